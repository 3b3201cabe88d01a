"""The card of a learned soft prefix."""

from pathlib import Path
from typing import Any

CARD = """---
license: other
---

# A soft prefix for the small vision-language model

{tokens} learned tokens that are added to the first ones that the model in `../vlm` sees of a picture. They were
learned so that it says of {kind} pictures what it says of clean ones. The model's own weights are unchanged. The
prefix is off by default; the app and the commands can switch it on. The app uses it only where the purifier changed the
picture.

Trained on {pictures} training pictures of the model's own data, attacked by PGD with {steps} steps at {eps} (1/255),
on the answer in two thirds and on CLIP's features in the others; {purified}.
Made again by `python -m purifier optimise-prompt`.

| {questions} questions on {held} held-out training pictures | without the prefix | with it |
|---|---|---|
| answers that are those of the clean picture | {before:.3f} | {after:.3f} |
| -log p of those answers, a token | {before_surprise:.3f} | {after_surprise:.3f} |
| the same share on clean pictures | 1.000 | {clean:.3f} |

The attacks did not know the prefix. An attacker who knows it can attack through it: it is no protection by itself.
"""


def write_prompt_card(folder: Path, facts: dict[str, Any]) -> Path:
    """Writes README.md beside the prefix, from what `optimise_prompt` returns."""
    config = facts["config"]
    text = CARD.format(
        tokens=config["tokens"],
        kind="attacked and purified" if facts["purified"] else "attacked",
        pictures=facts["pictures"],
        steps=config["attack_steps"],
        eps=", ".join(f"{eps:g}" for eps in config["eps"]),
        held=facts["held pictures"],
        questions=facts["held questions"],
        purified="purified after that" if facts["purified"] else "none of them purified",
        before_surprise=facts["surprise before"],
        after_surprise=facts["surprise after"],
        before=facts["before"],
        after=facts["after"],
        clean=facts["clean"],
    )
    path = folder / "README.md"
    path.write_text(text)
    return path
