"""The head of the page: it says what the tab that is open is for (assets/style.css shows the one that belongs)."""

from __future__ import annotations

from ui.purify.story import PURPOSE

HEADS = {
    "purify": f"<b>Purify.</b> {PURPOSE}",
    "explore": "<b>Explore.</b> What each part of the model adds to its score, and whether two pictures are copies of "
    "one. For those who argue with a verdict; the verdict itself is in Detect.",
    "measured": "<b>How good is it?</b> What was measured, on pictures that the detector was not trained on, with what "
    "it misses.",
}


def heads() -> str:
    """The sentences of all tabs but Detect's and Batch's, as HTML; one at most is shown."""
    return "".join(f"<p class='cc-head' data-for='{name}'>{words}</p>" for name, words in HEADS.items())
