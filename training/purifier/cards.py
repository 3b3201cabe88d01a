"""The README.md beside each trained model: what it is, what it was trained on, how it did, its
limits."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from purifier.denoiser.attack_detector import STATISTICS
from purifier.denoiser.latent import LatentPurifier
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.vlm.lora import LoraEncoder
from purifier.vlm.model import EmbeddedVLM
from training.detector.model_card import fill_card
from training.purifier.attack_detector import AS_JPEG, COLOURLESS, MIN_BUDGET
from training.purifier.pairs import pair_files

REFINED, DETECTOR, LIMITS = (
    f"\n## {title}\n" for title in ("Refined", "The attack detector", "Limits")
)
COLLECTIONS = "boxes", "daquar"  # how rows of more than one type of question begin
BLIND = "* Blind: the same model, trained without the picture.\n"
NO_BLIND = (
    "* Blind (the same model, trained without the picture) has not been measured for these "
    "weights.\n"
)


def write_card(
    out: Path, pipeline: PurifierPipeline, pairs: Path, config: Mapping[str, Any]
) -> None:
    """Write out/README.md from the pairs' own records. config: of DenoiserConfig."""
    attacks = _drawn(pairs, skip=config["held"])
    parameters = sum(p.numel() for p in pipeline.unet.parameters()) / 1e6
    space = f"pixels folded by {pipeline.config['fold']}"
    if isinstance(pipeline, LatentPurifier):
        space = (
            f"latents: that of `{pipeline.config['base']}`, whose weights stay as they are, with a "
            "low-rank update (LoRA) that learned"
        )
    plan = "" if config["stop_after"] is None else f" (of {config['steps']} planned)"
    (out / "README.md").write_text(
        fill_card(
            "purifier",
            parameters=parameters,
            space=space,
            pictures=sum((n for _, n in attacks)),
            steps=config["stop_after"] or config["steps"],
            planned=plan,
            batch=config["batch"],
            guided=config["guided"],
            guide_from=config["guide_from"],
            attacks=_counts(attacks, "attack"),
            objectives=_counts(attacks, "objective"),
        )
    )


def write_refined_section(
    folder: Path, *, pictures: int, clean: float, steps: tuple[int, int]
) -> None:
    """Put into folder/README.md what the network went on with, in place of what was said of another
    time.

    Args:
        clean: the share that nobody attacked. steps: of the attacks, at least and at most.
    """
    section = f"""{REFINED}
Then it went on with {pictures:,} pictures of the training splits, {1 - clean:.0%} of them attacked as it learned, in
{steps[0]} to {steps[1]} steps: by its squared error, by how far what the language model sees behind it is from what it
sees of the clean picture, and by what it would say (HGD, arXiv 1712.02976).
"""  # noqa: E501
    _put(folder / "README.md", REFINED, section)


def write_detector_section(
    folder: Path, found: Mapping[str, float], unseen: Mapping[str, float], pairs: Sequence[Path]
) -> None:
    """Put what the attack detector does into folder/README.md, in place of what was said of another
    one.

    Args:
        found, unseen: what fit_attack_detector returns. pairs: the folders that it was fitted on.
    """
    attacks, shares = (
        [d for p in pairs for d in _drawn(p) if float(str(d[0]["eps"])) >= MIN_BUDGET],
        dict(found),
    )
    clean, attacked = shares.pop("clean"), shares.pop("attacked")
    by_attack = "\n".join(
        _found_row(attack, shares, unseen)
        for attack in shares
        if not attack.endswith((AS_JPEG, COLOURLESS))
    )
    section = fill_card(
        "detector",
        detector=DETECTOR,
        attacked=attacked,
        clean=clean,
        statistics=STATISTICS,
        pictures=sum((n for _, n in attacks)),
        attacks=_counts(attacks, "attack"),
        objectives=_counts(attacks, "objective"),
        by_attack=by_attack,
    )
    _put(folder / "README.md", DETECTOR, section)


def _found_row(attack: str, found: Mapping[str, float], unseen: Mapping[str, float]) -> str:
    """An attack's row: in how many pictures it is found, as they are and however saved."""
    kinds = (f"{attack}{format_name}" for format_name in ("", AS_JPEG, COLOURLESS))
    cells = (f"{found[kind]:.0%} ({unseen[kind]:.0%})" if kind in found else "-" for kind in kinds)
    return f"| {attack} | {' | '.join(cells)} |"


def write_encoder_card(out: Path, encoder: LoraEncoder) -> None:
    """Write out/README.md beside a LoRA encoder, from its facts."""
    parameters, facts = (
        sum(value.numel() for value in encoder.tensors.values()) / 1e6,
        encoder.facts,
    )
    config = facts["config"]
    runs = f" ({config['runs']})" if "runs" in config else ""
    rows = "\n".join(
        f"| {words}: {what} | {facts[kind][f'{name}before']:.3f} | "
        f"{facts[kind][f'{name}after']:.3f} |"
        for kind, words in (
            ("attacked", "attacked and purified"),
            ("never attacked", "purified, never attacked"),
        )
        for name, what in (
            ("", "answers that are those of the clean picture"),
            ("surprise ", "-log p of these"),
        )
    )
    (out / "README.md").write_text(
        fill_card(
            "encoder",
            rank=config["rank"],
            parameters=parameters,
            steps=config["steps"],
            runs=runs,
            pictures=facts["attacked pictures"],
            questions=facts["attacked"]["questions"],
            rows=rows,
        )
    )


def _put(card: Path, heading: str, section: str) -> None:
    """A section in place of the one under this heading; if there is none, in the order of the
    headings above."""
    before, _, rest = card.read_text().partition(heading)
    if rest:
        card.write_text(before + section + rest[rest.index("\n## ") :])
        return
    order = (REFINED, DETECTOR, LIMITS)
    following = next(name for name in order[order.index(heading) + 1 :] if name in before)
    above, following, below = before.partition(following)
    card.write_text(above + section + following + below)


def _drawn(pairs: Path, *, skip: int = 0) -> list[tuple[dict[str, object], int]]:
    """Return what was drawn for each batch, and how many pictures it has."""
    rows = []
    for path in pair_files(pairs)[skip:]:
        with safe_open(path, "pt") as file:
            rows.append(
                (json.loads(file.metadata()["drawn"]), file.get_slice("clean").get_shape()[0])
            )
    return rows


def _counts(draws: list[tuple[dict[str, object], int]], name: str) -> str:
    return ", ".join(f"{k} {n}" for k, n in Counter(str(d[name]) for d, _ in draws).most_common())


# The vision-language model ------------------------------------------------------------------------


def write_vlm_card(
    folder: Path, results: dict[str, Any], *, model: EmbeddedVLM, warm: str = "", settings: str = ""
) -> Path:
    """Write README.md beside the weights.

    Args:
        results: what `evaluate_vlm` measured on `test`.
        model: the one in the folder.
        warm: a sentence on the weights that the language model started from.
        settings: a sentence on how it was trained.
    """
    language = model.config.language
    blind = BLIND if all("blind" in row for row in results["answers"].values()) else NO_BLIND
    tables = f"{_caption_table(results['captions'])}\n{_answer_table(results['answers'])}"
    card = fill_card(
        "vlm",
        kind=language["model_type"].upper()
        if language["model_type"] == "bert"
        else language["model_type"].title(),
        layers=language["num_hidden_layers"],
        width=model.width,
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        tokens=len(model.vocabulary),
        answers=len(model.answers),
        warm=f" {warm}" if warm else "",
        settings=settings,
        tables=tables,
        blind=blind,
        threshold=model.config.threshold,
        sure=_sure_words(results["sure"]),
    )
    path = folder / "README.md"
    path.write_text(card)
    return path


def _caption_table(rows: dict[str, Any]) -> str:
    lines = ["| captions | pictures | CIDEr | 95 % | BLEU-4 |\n|---|---|---|---|---|\n"]
    for name, row in rows.items():
        low, high = row["cider_interval"]
        lines.append(
            f"| {name} | {row['pictures']} | {row['cider']:.3f} | {low:.2f} to {high:.2f} | "
            f"{row['bleu4']:.3f} |\n"
        )
    return "".join(lines)


def _answer_table(rows: dict[str, Any]) -> str:
    """Return the answers by collection, beside what needs no picture; then the types of question
    that gain nothing. Markdown."""
    lines = [
        "| questions | number | accuracy | 95 % | blind | majority |\n|---|---|---|---|---|---|\n"
    ]
    weak = []
    for name, row in rows.items():
        if not name.startswith(COLLECTIONS):
            better = row["accuracy"] > max(row.get("blind", 0.0), row["majority"])
            weak += [] if better else [f"{name} (n = {row['questions']})"]
            continue
        low, high = row["interval"]
        blind = f"{row['blind']:.3f}" if "blind" in row else ""
        numbers = (
            f"{row['accuracy']:.3f} | {low:.2f} to {high:.2f} | {blind} | {row['majority']:.3f}"
        )
        lines.append(f"| {name} | {row['questions']} | {numbers} |\n")
    words = f"* No better than blind or majority, by type of question: {', '.join(weak) or 'none'}."
    return "".join([*lines, "\n", words])


def _sure_words(rows: dict[str, Any]) -> str:
    phrases = []
    for name, row in rows.items():
        right = (
            "none was right" if row["accuracy"] is None else f"{row['accuracy']:.0%} of those right"
        )
        phrases.append(f"{name}: sure of {row['share']:.0%} of the answers, {right}")
    return "; ".join(phrases)
