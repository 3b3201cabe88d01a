"""The card of a feature denoiser."""

from pathlib import Path
from typing import Any

CARD = """---
license: other
---

# A feature denoiser for the small vision-language model

A prompt that goes by the picture: {depth} transformer blocks ({million:.1f} million parameters) that add to every
visual token of the model in `../vlm` what purification took from it. The model's own weights are unchanged. The app
uses it, unless it is switched off, where the purifier changed the picture; commands and the API use it when asked to.

It learned, in {steps} steps of {batch}, from {crops} crops of training pictures, each purified by force; {attacked} of
them had been attacked, in several ways. Made again by `python -m purifier train-feature-denoiser`.

| {questions} questions on crops that it did not learn from | without it | with it |
|---|---|---|
{rows}

Other crops of the same pictures may have been learned from. What it does on test pictures is the row "ours, 1 step,
prompt" of docs/measured.md. The attacks did not know it. An attacker who knows it can attack through it: it is no
protection by itself.
"""


def write_card(folder: Path, facts: dict[str, Any], *, parameters: int) -> Path:
    """Writes README.md beside the denoiser, from its facts."""
    rows = []
    for kind, words in (("attacked", "attacked and purified"), ("never attacked", "purified, never attacked")):
        found = facts[kind]
        for name, what in (("", "answers that are those of the clean picture"), ("surprise ", "-log p a token")):
            rows.append(f"| {words}: {what} | {found[f'{name}before']:.3f} | {found[f'{name}after']:.3f} |")
    config = facts["config"]
    text = CARD.format(
        depth=config["depth"],
        million=parameters / 1e6,
        steps=config["steps"],
        batch=config["batch"],
        crops=facts["crops"],
        attacked=facts["attacked crops"],
        questions=facts["attacked"]["questions"],
        rows="\n".join(rows),
    )
    path = folder / "README.md"
    path.write_text(text)
    return path
