"""The README.md of a trained purifier: what it is, what it was trained on, how it did on held-out pairs, its limits."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import safe_open

from purifier.denoiser.filters import QUALITY, TWIN
from purifier.denoiser.gate import STATISTICS
from purifier.denoiser.guidance import SIZE
from purifier.denoiser.pipeline import FINER, SIDE, PurifierPipeline
from purifier.training.config import RefiningConfig, TrainConfig
from purifier.training.gate import LEAST
from purifier.training.loop import pair_files
from purifier.training.pairs import PairsConfig
from purifier.vlm.eye import Eye

REFINED, GATE, LIMITS = "\n## Refined\n", "\n## The gate\n", "\n## Limits\n"


def write_card(out: Path, pipeline: PurifierPipeline, pairs: Path, log: Path, config: TrainConfig) -> None:
    """Writes out/README.md from the pairs' own records and the last line of the log."""
    drawn = _drawn(pairs, skip=config.held)
    last = json.loads(log.read_text().splitlines()[-1])
    parameters = sum(p.numel() for p in pipeline.unet.parameters()) / 1e6
    counts = {name: _counts(drawn, name) for name in ("attack", "objective")}
    pictures = sum(n for _, n in drawn)
    (out / "README.md").write_text(f"""---
license: other
license_name: weights-of-mixed-data
library_name: diffusers
tags: [adversarial-purification, image-to-image]
---
# Purifier

A U-Net of {parameters:.1f} million parameters on pixels folded by {pipeline.config["fold"]}, and the
scheduler of its steps. It walks a straight bridge from an attacked picture to the clean one, in 1 to 5 deterministic
steps; `purifier/denoiser/bridge.py` has the equations. The idea is CoDefend's (arXiv 2510.11096). Its losses are not
public, so the bridge is our own, after ADBM (ICLR 2025) and rectified flow.

## Trained on
{pictures} attacked pictures of the training splits, {_steps(config)} steps of {config.batch};
{config.guided:.0%} of the steps after the first {config.guide_from:.0%} were guided by CLIP's features.
Attacks, in batches: {counts["attack"]}. What they attacked: {counts["objective"]}.

## The network alone, before the gate, on {config.held} held-out batches of pairs, one step
| | |
|---|---|
{_held_out(last)}

What it does for answers and captions under each attack is in docs/measured.md.

## Limits
It was trained against attacks that do not know it. An attacker who knows it can follow the gradient through it;
docs/measured.md says what is left then. A purified photo may read as generated to a detector.
""")


def write_eye_card(out: Path, eye: Eye) -> None:
    """Writes out/README.md beside an adapted encoder, from its facts."""
    parameters, facts = sum(value.numel() for value in eye.tensors.values()) / 1e6, eye.facts
    config = facts["config"]
    runs = f" ({config['runs']})" if "runs" in config else ""
    rows = "\n".join(
        f"| {words}: {what} | {facts[kind][f'{name}before']:.3f} | {facts[kind][f'{name}after']:.3f} |"
        for kind, words in (("attacked", "attacked and purified"), ("never attacked", "purified, never attacked"))
        for name, what in (("", "answers that are those of the clean picture"), ("surprise ", "-log p of these"))
    )
    (out / "README.md").write_text(f"""---
license: other
---

# CLIP's encoder, adapted to purified pictures

A low-rank update (LoRA, rank {config["rank"]}, {parameters:.1f} million parameters with the LayerNorms) of the tower in
`../clip-vit-b-16`, with which the small vision-language model of `../vlm` sees in a purified picture what it sees in
the clean one. Nothing else of it is changed. The purifier is guided by it (see `../purifier`). The model looks through
it in the app, unless it is switched off, where the purifier changed the picture, and in commands and the API when asked
to.

It learned in {config["steps"]} steps{runs}, from {facts["attacked pictures"]} attacked pictures of the
training splits and from others of them that nobody attacked, most of them purified by force, guided or not and at
several qualities, the others quantised by chance. Its goal is what the model's own tower sees of the clean picture
(FARE's, arXiv 2402.12336). `python -m purifier train-eye` makes one like it, but not the same weights:
docs/tried.md says how the shipped ones came about.

On {facts["attacked"]["questions"]} questions about crops that it did not learn from:

| | guided and seen by CLIP alone | by the adapted encoder |
|---|---|---|
{rows}

Other crops of the same pictures may have been learned from. What it does on test pictures are the rows
"adapted encoder" of docs/measured.md. The attacks did not know it. An attacker who knows it can attack through it: it
is no protection by itself.
""")


def write_refined_section(folder: Path, config: RefiningConfig, pairs: PairsConfig) -> None:
    """Puts into folder/README.md what the network went on with, in place of what was said of another time."""
    low, high = pairs.steps
    _put(
        folder / "README.md",
        REFINED,
        f"""{REFINED}
Then it went on with {config.steps * pairs.batch:,} pictures of the training splits. {1 - config.clean:.0%} of them were
attacked as it learned, in {low} to {high} steps. It learned by its squared error, by how far what the language model
sees behind it is from what it sees of the clean picture, and by what it would say (HGD, arXiv 1712.02976).
""",
    )


def write_gate_section(folder: Path, opens: Mapping[str, float], pairs: Sequence[Path]) -> None:
    """Puts what the gate does into folder/README.md, in place of what was said of another one.

    Args:
        opens: what fit_gate returns. pairs: the folders that it was fitted on.
    """
    drawn, shares = [d for p in pairs for d in _drawn(p) if float(str(d[0]["eps"])) >= LEAST], dict(opens)
    clean, attacked = shares.pop("clean"), shares.pop("attacked")
    pictures = sum(n for _, n in drawn)
    by_attack = "\n".join(f"| {attack} | {share:.0%} |" for attack, share in shares.items())
    section = f"""{GATE}
An attack on CLIP still works at a quarter of its size, so removing most of it is not enough. A gate opens for
{attacked:.1%} of held-out attacked pictures, at the threshold where it opens for {clean:.1%} of held-out clean
ones. They are shown as they are, as JPEGs, and without colour. The gate is a small network. It takes
{STATISTICS} statistics of the picture and of what the purifier's network finds, and how far CLIP's tokens move when
faint detail is quantised away (feature squeezing, arXiv 1704.01155).

If the gate opens, a coarse twin of the picture is made: quantised as JPEG at quality {QUALITY} would, at {TWIN} px of
its short side, as the mean over eight shifted grids. Nearly nothing of an attack is left in it, and little detail. Then
the picture itself, at {SIDE} px of its short side, is moved by {SIZE:g}/255 in every value, so that CLIP sees in it
more of what the adapted encoder (`../vlm-eye`) sees in the twin, and it is quantised at quality {FINER}.
Finer detail, which CLIP does not see, is quantised at {FINER}, too; above 4 million pixels the finest is lost. So a
purified picture steers CLIP as an attack does, only back. Its fine detail proves nothing, least of all text and
faces. If the gate judges the picture clean, it is returned unchanged.

Fitted to {pictures} attacked pictures, in batches: {_counts(drawn, "attack")}; aimed at: {_counts(drawn, "objective")}.
Neither the network nor the gate has seen APGD or Square.

| attack | opens for, of held-out pictures |
|---|---|
{by_attack}
"""
    _put(folder / "README.md", GATE, section)


def _put(card: Path, heading: str, section: str) -> None:
    """A section in place of the one under this heading; if there is none, before the gate, or before the limits."""
    before, _, rest = card.read_text().partition(heading)
    if rest:
        card.write_text(before + section + rest[rest.index("\n## ") :])
    else:
        above, next_heading, below = before.partition(GATE if GATE in before else LIMITS)
        card.write_text(above + section + next_heading + below)


def _drawn(pairs: Path, *, skip: int = 0) -> list[tuple[dict[str, object], int]]:
    """What was drawn for each batch, and how many pictures it has."""
    drawn = []
    for path in pair_files(pairs)[skip:]:
        with safe_open(path, "pt") as file:
            drawn.append((json.loads(file.metadata()["drawn"]), file.get_slice("clean").get_shape()[0]))
    return drawn


def _counts(drawn: list[tuple[dict[str, object], int]], name: str) -> str:
    return ", ".join(f"{k} {n}" for k, n in Counter(str(d[name]) for d, _ in drawn).most_common())


def _steps(config: TrainConfig) -> str:
    if config.stop_after is None:
        return f"{config.steps}"
    return f"{config.stop_after} (of {config.steps} planned)"


def _held_out(last: Mapping[str, float]) -> str:
    """The rows of what a validation measured."""
    return f"""\
| PSNR of attacked pictures to the clean ones | {last["psnr_attacked"]:.1f} dB |
| after purification | {last["psnr"]:.1f} dB |
| of clean pictures that were purified | {last["psnr_clean"]:.1f} dB |
| what is left of the shift of CLIP's embedding | {last["shift"]:.2f} |
| shift of clean pictures by purification, in the same unit | {last["shift_clean"]:.2f} |"""
