"""The page's frame: its head, the switch of languages, what the open tab is for, and words on privacy and limits."""

from __future__ import annotations

from causalclip.evidence.precision import error_rates
from causalclip.languages import LANGUAGES, N_, _, current
from ui.purify.words import PURPOSE

HEADS = {
    "purify": (N_("Purify."), PURPOSE),
    "explore": (
        N_("Explore."),
        N_(
            "What each part of the model adds to its score, and whether two pictures are copies of one. For those who "
            "argue with a verdict; the verdict itself is in Detect."
        ),
    ),
    "measured": (
        N_("How good is it?"),
        N_("What was measured, on pictures that the detector was not trained on, with what it misses."),
    ),
}


def heads() -> str:
    """The sentences of all tabs but Detect's and Batch's, as HTML; one at most is shown."""
    return "".join(
        f"<p class='cc-head' data-for='{name}'><b>{_(title)}</b> {_(words)}</p>"
        for name, (title, words) in HEADS.items()
    )


PRIVACY = (
    (
        N_("Privacy."),
        N_(
            "A picture that you add is read on the server that runs this app. It is not sent anywhere else, and no "
            "address is looked up. The file, its maps and everything derived from it are deleted soon after you close "
            "the page. If you leave it open, the file is deleted within an hour, and what is derived from it within an "
            "hour of your last use of its tab: maps, reports, and the names and small pictures in Batch and Your "
            "archive. A profile that the page uses is kept until you close the page. No history is kept and no "
            "statistics are sent. Neither the name nor the content of a picture is logged."
        ),
    ),
    (
        N_("How this is checked."),
        N_(
            "SECURITY.md in the app's repository says what is promised and what is not defended. `make redteam` "
            "attacks the running app and prints what was tried and what held."
        ),
    ),
    (
        N_("What this cannot tell you."),
        N_(
            "This app cannot tell whether a picture was edited by hand, staged, or taken out of its context. It cannot "
            "tell who made it, or whether what it shows happened. The answer rests on traces that image generators "
            "leave in pixels. A new generator may leave other traces. Copying, shrinking and recompressing remove "
            "them. A score is not a proof: ask for the original file, look for earlier copies, and find the person who "
            "took the picture."
        ),
    ),
    (
        N_("Where it errs more often."),
        N_(
            "Photographs from studios and stock libraries are called “likely generated” by mistake more often than "
            "others."
        ),
    ),
    (
        N_("How to read the maps."),
        N_(
            "Orange places push the score towards *generated*, purple ones towards *not generated*. Every map has the "
            "same fixed scale, so two pictures can be compared. A pale map means little evidence. The causal map shows "
            "what the verdict rests on. The non-causal map shows what the model saw in the same places and left out."
        ),
    ),
    (
        N_("Why the non-causal map is empty."),
        N_("With the shipped detector, the channels that are held back have no weight in the verdict."),
    ),
)


def privacy() -> str:
    """As Markdown, in the reader's language."""
    return "\n\n".join(f"**{_(title)}** {_(words)}" for title, words in PRIVACY)


def introduction(measured_as: str | None) -> str:
    """As HTML; the numbers are the benchmark's, and are left out where there is none of that revision."""
    what = _("Was this picture made by an image generator, and where in it does the score come from?")
    rates = error_rates(measured_as)
    return f"<h1>CausalCLIP</h1><p>{what} {f'<b>{rates.sentence}</b> {rates.unsure}' if rates else ''}</p>"


# Of the switch: the choice goes into the address, and stays in the browser's own storage.
CHOOSE = """const select = element.querySelector("select");
select.addEventListener("change", () => {
  try { localStorage.setItem("language", select.value); } catch { /* a browser may keep nothing */ }
  const address = new URL(location);
  address.searchParams.set("lang", select.value);
  location.assign(address);
});"""


def languages() -> str:
    """The switch, as HTML; each language by its own name."""
    options = "".join(
        f"<option value='{code}' lang='{code}'{' selected' if code == current() else ''}>{name}</option>"
        for code, name in LANGUAGES.items()
    )
    return f"<label class='cc-language'>{_('Language')} <select>{options}</select></label>"
