"""The card of a learned soft prefix."""

from pathlib import Path
from typing import Any

CARD = """---
license: other
---

# A soft prefix for the small vision-language model

{tokens} learned tokens that the model in `../vlm` reads before every prompt. Behind them it shall say of attacked and
purified pictures what it says of clean ones. The model's own weights are as they were. Off by default; the app and the
commands can switch it on, so that what it does is seen by itself.

Trained on {pictures} training pictures of the model's own data, attacked by PGD with {steps} steps at {eps} (1/255),
on the answer in one half and on CLIP's features in the other; {purified}.
Made again by `python -m purifier optimise-prompt`.

| on {held} held-out training pictures, share of answers that are those of the clean picture | |
|---|---|
| attacked, without the prefix | {before:.2f} |
| attacked, behind the prefix | {after:.2f} |
| clean, behind the prefix | {clean:.2f} |

The attacks did not know the prefix. An attacker who does can attack through it: it is no protection by itself.
"""


def write_prompt_card(folder: Path, facts: dict[str, Any]) -> Path:
    """Writes README.md beside the prefix, from what `optimise_prompt` returns."""
    config = facts["config"]
    text = CARD.format(
        tokens=config["tokens"],
        pictures=config["pictures"],
        steps=config["attack_steps"],
        eps=", ".join(f"{eps:g}" for eps in config["eps"]),
        held=facts["held pictures"],
        purified="half of them purified after that" if facts["purified"] else "none of them purified",
        before=facts["before"],
        after=facts["after"],
        clean=facts["clean"],
    )
    path = folder / "README.md"
    path.write_text(text)
    return path
