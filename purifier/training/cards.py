"""The README.md beside each trained model: what it is, what it was trained on, how it did, its limits."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from purifier.denoiser.attack_detector import STATISTICS
from purifier.denoiser.filters import QUALITY, REFERENCE_SIDE
from purifier.denoiser.guidance import SIZE
from purifier.denoiser.pipeline import FINER, SIDE, PurifierPipeline
from purifier.training.attack_detector import LEAST
from purifier.training.pairs import pair_files
from purifier.vlm.lora import LoraEncoder
from purifier.vlm.model import EmbeddedVLM

REFINED, DETECTOR, WORTH, LIMITS = (
    f"\n## {title}\n" for title in ("Refined", "The attack detector", "What each part is worth", "Limits")
)


def write_card(out: Path, pipeline: PurifierPipeline, pairs: Path, log: Path, config: Mapping[str, Any]) -> None:
    """Writes out/README.md from the pairs' own records and the last line of the log. config: of DenoiserConfig."""
    drawn = _drawn(pairs, skip=config["held"])
    last = json.loads(log.read_text().splitlines()[-1])
    parameters = sum(p.numel() for p in pipeline.unet.parameters()) / 1e6
    planned = "" if config["stop_after"] is None else f" (of {config['steps']} planned)"
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
{sum(n for _, n in drawn)} attacked pictures of the training splits, \
{config["stop_after"] or config["steps"]}{planned} steps of {config["batch"]};
{config["guided"]:.0%} of the steps after the first {config["guide_from"]:.0%} were guided by CLIP's features.
Attacks, in batches: {_counts(drawn, "attack")}. What they attacked: {_counts(drawn, "objective")}.

## The network alone, on {config["held"]} held-out batches of pairs, one step
| | |
|---|---|
| PSNR of attacked pictures to the clean ones | {last["psnr_attacked"]:.1f} dB |
| after purification | {last["psnr"]:.1f} dB |
| of clean pictures that were purified | {last["psnr_clean"]:.1f} dB |
| what is left of the shift of CLIP's embedding | {last["shift"]:.2f} |
| shift of clean pictures by purification, in the same unit | {last["shift_clean"]:.2f} |

What it does for answers and captions under each attack is in docs/measured.md.

## Limits
It was trained against attacks that do not know it. An attacker who knows it can follow the gradient through it;
docs/measured.md says what is left then. A purified photo may read as generated to a detector.
""")


def write_refined_section(folder: Path, *, pictures: int, clean: float, steps: tuple[int, int]) -> None:
    """Puts into folder/README.md what the network went on with, in place of what was said of another time.

    Args:
        clean: the share that nobody attacked. steps: of the attacks, at least and at most.
    """
    section = f"""{REFINED}
Then it went on with {pictures:,} pictures of the training splits. {1 - clean:.0%} of them were
attacked as it learned, in {steps[0]} to {steps[1]} steps. It learned by its squared error, by how far what the language
model sees behind it is from what it sees of the clean picture, and by what it would say (HGD, arXiv 1712.02976).
"""
    _put(folder / "README.md", REFINED, section)


def write_detector_section(folder: Path, found: Mapping[str, float], pairs: Sequence[Path]) -> None:
    """Puts what the attack detector does into folder/README.md, in place of what was said of another one.

    Args:
        found: what fit_attack_detector returns. pairs: the folders that it was fitted on.
    """
    drawn, shares = [d for p in pairs for d in _drawn(p) if float(str(d[0]["eps"])) >= LEAST], dict(found)
    clean, attacked = shares.pop("clean"), shares.pop("attacked")
    by_attack = "\n".join(f"| {attack} | {share:.0%} |" for attack, share in shares.items())
    section = f"""{DETECTOR}
It finds an attack in {attacked:.1%} of held-out attacked pictures, at the threshold where it finds one in {clean:.1%}
of held-out clean ones. They are shown as they are, as JPEGs, and without colour. It is a small network on
{STATISTICS} statistics of the picture and of what the purifier's network finds, and on how far CLIP's tokens move when
faint detail is quantised away (feature squeezing, arXiv 1704.01155). A picture that it takes for clean is returned
unchanged.

An attack on CLIP still works at a quarter of its size, so removing most of it is not enough. Behind the network, a
low-quality reference of the picture is made: quantised as a JPEG of quality {QUALITY}, at {REFERENCE_SIDE} px of its
short side, as the mean over eight shifted grids. Nearly nothing of an attack is left in it, and little detail. Then one
signed-gradient step ({SIZE:g}/255) moves CLIP's features of the picture, at {SIDE} px of its short side, towards the
LoRA encoder's (`../vlm-eye`) features of the reference, and the result is quantised at quality {FINER}. Finer detail,
which CLIP does not see, is quantised at {FINER}, too; above 4 million pixels the finest is lost. So a purified picture
steers CLIP as an attack does, only back. Its fine detail proves nothing, least of all text and faces.

Fitted to {sum(n for _, n in drawn)} attacked pictures, in batches: {_counts(drawn, "attack")}; aimed at: \
{_counts(drawn, "objective")}.
Neither the network nor the detector has seen APGD or Square.

| attack | found in, of held-out pictures |
|---|---|
{by_attack}
"""
    _put(folder / "README.md", DETECTOR, section)


def write_worth_section(folder: Path, paired: Sequence[Mapping[str, Any]]) -> None:
    """Puts what the evaluation found each part to be worth into folder/README.md.

    Args:
        paired: of the evaluation's report.
    """
    rows = "\n".join(
        f"| {one['column']} | {one['row']} | {one['against']} | {one['n']} | {one['agreement']:.0%} | "
        f"{one['agreement against']:.0%} | {one['won']} | {one['lost']} | {one['p']:.2g} |"
        for one in paired
    )
    section = f"""{WORTH}
Answers to test questions that stay those of the clean picture, on the same attacked pictures: with all parts, and with
one left out or exchanged. "Won" are the answers that the first keeps and the second loses, "lost" the reverse; p is of
McNemar's exact test. The unsupervised denoiser (DiffPure's recipe) and the regression are the same network, trained
otherwise.

| attack | this | against | questions | kept | kept against | won | lost | p |
|---|---|---|---|---|---|---|---|---|
{rows}
"""
    _put(folder / "README.md", WORTH, section)


def write_encoder_card(out: Path, encoder: LoraEncoder) -> None:
    """Writes out/README.md beside a LoRA encoder, from its facts."""
    parameters, facts = sum(value.numel() for value in encoder.tensors.values()) / 1e6, encoder.facts
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
benchmarks/purification says how the shipped ones came about.

On {facts["attacked"]["questions"]} questions about crops that it did not learn from:

| | guided and seen by CLIP alone | by the LoRA encoder |
|---|---|---|
{rows}

Other crops of the same pictures may have been learned from. What it does on test pictures are the rows
"adapted encoder" of docs/measured.md. The attacks did not know it. An attacker who knows it can attack through it: it
is no protection by itself.
""")


def _put(card: Path, heading: str, section: str) -> None:
    """A section in place of the one under this heading; if there is none, in the order of the headings above."""
    before, _, rest = card.read_text().partition(heading)
    if rest:
        card.write_text(before + section + rest[rest.index("\n## ") :])
        return
    order = (REFINED, DETECTOR, WORTH, LIMITS)
    following = next(name for name in order[order.index(heading) + 1 :] if name in before)
    above, following, below = before.partition(following)
    card.write_text(above + section + following + below)


def _drawn(pairs: Path, *, skip: int = 0) -> list[tuple[dict[str, object], int]]:
    """What was drawn for each batch, and how many pictures it has."""
    drawn = []
    for path in pair_files(pairs)[skip:]:
        with safe_open(path, "pt") as file:
            drawn.append((json.loads(file.metadata()["drawn"]), file.get_slice("clean").get_shape()[0]))
    return drawn


def _counts(drawn: list[tuple[dict[str, object], int]], name: str) -> str:
    return ", ".join(f"{k} {n}" for k, n in Counter(str(d[name]) for d, _ in drawn).most_common())


# The vision-language model ------------------------------------------------------------------------

HEAD = """---
license: other
language: en
tags: [image-to-text, visual-question-answering]
---

# A small vision-language model for captions and answers

It captions a photo and answers short questions about it, and it says when it is not sure. It is here to show what
an attack changes and what a purifier brings back. It is no match for a large model.

* Eyes: CLIP ViT-B/16's image tower (OpenAI's weights, int8 in `../clip-vit-b-16`), frozen. Patch tokens of layers 8 and
  11, averaged to 7 x 7, and the embedding. The whole picture is squeezed to 224 x 224; resize and normalisation are
  inside, and all is differentiable.
* Voice: a causal {kind} of {layers} layers, width {width}, {parameters:.1f} M parameters with the connector, {tokens}
  word pieces; int8 matrices with one scale a row.{warm}
* `config.json` (how it is built, the fit of its confidence), `tokenizer.json`, `answers.json` (the {answers} answers
  that it may give), `*.safetensors`.

## Trained on
Captions of Flickr8k (a part: 815 photos) and COCO (437 photos), questions and answers of DAQUAR (its official training
questions, less a tenth that was held out), and questions made by templates from COCO's boxes. Flickr8k's pictures and
captions are for non-commercial research; the pictures of COCO are their owners' under Flickr's terms; DAQUAR is for
research. No picture or caption is in these files. {settings}

## Measured on `test`
"""
BLIND = "* The blind baseline is the same model trained without the picture.\n"
NO_BLIND = (
    "* The blind baseline (the same model trained without the picture) has not been measured for these weights.\n"
)
TAIL = """
{blind}* The majority is the most frequent training answer to that type of question. Answers match exactly: lower case,
  `_` as a space, the members of a list in any order.
* DAQUAR's official split is by question: most test pictures also have training questions, so its test flatters every
  model that sees the picture. The row for pictures without training questions (all theirs were held out) does not.
* Intervals are 95 %, bootstrapped over questions or pictures.

## Its confidence
The probability of being right, fitted to the likelihood of the answer on held-out questions of the training split
(Platt scaling); from {threshold} on it is sure, below it says "I am not sure" and its guess. On `test`: {sure}.

## Limits
English, everyday photos, short answers from a fixed list. It guesses at small objects, counts beyond three, text and
colours; it does not know people. It is easy to fool, which is why it is used here.
"""


def write_vlm_card(
    folder: Path, results: dict[str, Any], *, model: EmbeddedVLM, warm: str = "", settings: str = ""
) -> Path:
    """Writes README.md beside the weights.

    Args:
        results: what `evaluate_vlm` measured on `test`.
        model: the one in the folder.
        warm: a sentence on the weights that the language model started from.
        settings: a sentence on how it was trained.
    """
    language = model.config.language
    head = HEAD.format(
        kind=language["model_type"].upper() if language["model_type"] == "bert" else language["model_type"].title(),
        layers=language["num_hidden_layers"],
        width=model.width,
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        tokens=len(model.vocabulary),
        answers=len(model.answers),
        warm=f" {warm}" if warm else "",
        settings=settings,
    )
    blind = BLIND if all("blind" in row for row in results["answers"].values()) else NO_BLIND
    tail = TAIL.format(blind=blind, threshold=model.config.threshold, sure=_sure_words(results["sure"]))
    tables = f"{_caption_table(results['captions'])}\n{_answer_table(results['answers'])}"
    path = folder / "README.md"
    path.write_text(head + tables + tail)
    return path


def _caption_table(rows: dict[str, Any]) -> str:
    """Captions by collection, as Markdown."""
    lines = ["| captions | pictures | CIDEr | 95 % | BLEU-4 |\n|---|---|---|---|---|\n"]
    for name, row in rows.items():
        low, high = row["cider_interval"]
        lines.append(
            f"| {name} | {row['pictures']} | {row['cider']:.3f} | {low:.2f} to {high:.2f} | {row['bleu4']:.3f} |\n"
        )
    return "".join(lines)


def _answer_table(rows: dict[str, Any]) -> str:
    """Answers by type of question, beside what needs no picture, as Markdown."""
    lines = ["| questions | number | accuracy | 95 % | blind | majority |\n|---|---|---|---|---|---|\n"]
    for name, row in rows.items():
        low, high = row["interval"]
        blind = f"{row['blind']:.3f}" if "blind" in row else ""
        numbers = f"{row['accuracy']:.3f} | {low:.2f} to {high:.2f} | {blind} | {row['majority']:.3f}"
        lines.append(f"| {name} | {row['questions']} | {numbers} |\n")
    return "".join(lines)


def _sure_words(rows: dict[str, Any]) -> str:
    said = []
    for name, row in rows.items():
        right = "none was right" if row["accuracy"] is None else f"{row['accuracy']:.0%} of those right"
        said.append(f"{name}: sure of {row['share']:.0%} of the answers, {right}")
    return "; ".join(said)
