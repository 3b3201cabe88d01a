"""Training the purifier; never imported by the app.

train_purifier(training_sources(vlm_data, forensics), Path("assets/models/purifier"))
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Tower
from causalclip.clip.weights import WeightsMissing
from causalclip.detector import Detector
from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline
from purifier.training.card import write_card, write_gate_section
from purifier.training.config import TrainConfig
from purifier.training.gate import fit_gate
from purifier.training.loop import fit
from purifier.training.pairs import PairMaker, PairsConfig, Source, make_pairs
from purifier.vlm import EmbeddedVLM

Settings = Mapping[str, Any]


def train_purifier(
    sources: Sequence[Source],
    out: Path,
    *,
    settings: Settings | None = None,
    batches: int = 300,
    cache: Path = Path(".cache/purifier"),
) -> PurifierPipeline:
    """Makes the pairs that are missing, trains, and writes the pipeline with its card to `out`.

    Args:
        settings: "pairs": of PairsConfig, "train": of TrainConfig, "network": of new_pipeline, "gate": a list, each
            of PairsConfig and `batches`, of the gate's own pairs.
        batches: of pairs, where the gate's do not say it. cache: of pairs, and in a folder named as `out` of the
            checkpoint and the log.
    """
    chosen = {name: dict((settings or {}).get(name, {})) for name in ("pairs", "train", "network")}
    tower, config, pairs = load_tower(), TrainConfig(**chosen["train"]), cache / "pairs"
    make_missing(sources, PairsConfig(**chosen["pairs"]), pairs, tower=tower, batches=batches)
    pipeline = new_pipeline(**chosen["network"])
    fit(pipeline, pairs, cache / out.name, config, tower=tower)
    pipeline.save_pretrained(out)
    write_card(out, pipeline, pairs, cache / out.name / "train.jsonl", config)
    if config.kind != "bridge":
        return pipeline
    return refit_gate(sources, out, settings=settings, batches=batches, cache=cache, tower=tower)


def refit_gate(
    sources: Sequence[Source],
    folder: Path,
    *,
    settings: Settings | None = None,
    batches: int = 100,
    cache: Path = Path(".cache/purifier"),
    tower: Tower | None = None,
) -> PurifierPipeline:
    """Fits the gate of the trained network in `folder` anew, and writes it and its part of the card there.

    Args:
        settings, batches, cache: as of train_purifier.
    """
    pipeline, pairs = PurifierPipeline.from_pretrained(folder), []
    for number, chosen in enumerate((settings or {}).get("gate", [{}])):
        pairs.append(cache / f"gate-pairs-{number}")
        config, count = {k: v for k, v in chosen.items() if k != "batches"}, chosen.get("batches", batches)
        make_missing(sources, PairsConfig(**config), pairs[-1], tower=tower or load_tower(), batches=count)
    gate, opens = fit_gate(pipeline, pairs, sources)
    pipeline.register_to_config(gate=asdict(gate))  # type: ignore[attr-defined]
    pipeline.save_pretrained(folder)
    write_gate_section(folder, opens, pairs)
    return pipeline


def make_missing(
    sources: Sequence[Source], config: PairsConfig, folder: Path, *, tower: Tower, batches: int
) -> PairMaker:
    """Makes the pairs that are missing; returns their maker."""
    maker = PairMaker(
        sources,
        config,
        tower=tower,
        vlm=if_there(EmbeddedVLM.from_pretrained),
        detector=if_there(Detector.from_pretrained),
    )
    for _ in tqdm(make_pairs(maker, folder, batches=batches), total=batches, unit="batch of pairs"):
        pass
    return maker


def if_there(load: Any) -> Any:
    """The model, or None where its weights are not here: its objective is then left out."""
    try:
        return load()
    except WeightsMissing:
        return None
