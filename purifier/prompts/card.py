"""The card of a feature denoiser."""

from pathlib import Path
from typing import Any

CARD = """---
license: other
---

# A feature denoiser for the small vision-language model

A prompt that goes by the picture: {depth} transformer blocks ({million:.1f} million parameters) that add to every
visual token of the model in `../vlm` what purification took from it. The model's own weights are unchanged. It is off
by default; the app and the commands can switch it on. It is used only where the purifier changed the picture.

It learned, in {steps} steps of {batch}, from {pictures} training pictures of `../vlm` and `../detector`, each purified
by force; {attacked} of them had been attacked (PGD, PGD in l2, MI-FGSM, FGSM and patches; on answers, on CLIP's layers
and on the detector).
Made again by `python -m purifier train-feature-denoiser`.

| {questions} questions on held-out training pictures | without it | with it |
|---|---|---|
{rows}

What it does on test pictures is the row "ours, 1 step, prompt" of docs/measured.md. The attacks did not know it. An
attacker who knows it can attack through it: it is no protection by itself.
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
        pictures=facts["pictures"],
        attacked=facts["attacked pictures"],
        questions=facts["attacked"]["questions"],
        rows="\n".join(rows),
    )
    path = folder / "README.md"
    path.write_text(text)
    return path
