"""Training the purifier; never imported by the app.

train_purifier(training_sources(vlm_data, forensics), Path("assets/models/purifier"))
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from causalclip.backbones import load_tower
from causalclip.detector import Detector
from causalclip.weights import WeightsMissing
from purifier.pipeline import PurifierPipeline, new_pipeline
from purifier.train.card import write_card
from purifier.train.config import TrainConfig
from purifier.train.gate import fit_gate
from purifier.train.loop import fit
from purifier.train.pairs import PairMaker, PairsConfig, Source, make_pairs
from purifier.vlm import EmbeddedVLM


def train_purifier(
    sources: Sequence[Source],
    out: Path,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    batches: int = 300,
    cache: Path = Path(".cache/purifier"),
) -> PurifierPipeline:
    """Makes the pairs that are missing, trains, and writes the pipeline with its card to `out`.

    Args:
        settings: "pairs": of PairsConfig, "train": of TrainConfig, "network": of new_pipeline.
        batches: of pairs. cache: of pairs, and in a folder named as `out` of the checkpoint and the log.
    """
    chosen = {name: dict((settings or {}).get(name, {})) for name in ("pairs", "train", "network")}
    tower, config, pairs = load_tower(), TrainConfig(**chosen["train"]), cache / "pairs"
    maker = PairMaker(
        sources,
        PairsConfig(**chosen["pairs"]),
        tower=tower,
        vlm=_if_there(EmbeddedVLM.from_pretrained),
        detector=_if_there(Detector.from_pretrained),
    )
    for _ in tqdm(make_pairs(maker, pairs, batches=batches), total=batches, unit="batch of pairs"):
        pass
    pipeline, seen = new_pipeline(**chosen["network"]), dict[str, float]()
    fit(pipeline, pairs, cache / out.name, config, tower=tower)
    if config.kind == "bridge":
        gate, seen = fit_gate(pipeline, pairs, sources)
        pipeline = PurifierPipeline(
            pipeline.unet,
            pipeline.scheduler,
            gate=asdict(gate),
            fold=pipeline.config["fold"],
        )
    pipeline.save_pretrained(out)
    write_card(out, pipeline, pairs, cache / out.name / "train.jsonl", config, gate=seen)
    return pipeline


def _if_there(load: Any) -> Any:
    """The model, or None where its weights are not here: its objective is then left out."""
    try:
        return load()
    except WeightsMissing:
        return None
