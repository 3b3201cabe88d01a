"""Makes the shipped vision-language model with all that is said of it, in one command.

    python -m purifier.vlm.training.make DATA --warm-start all-MiniLM-L6-v2

A stopped run goes on where it was, as long as its options are the same.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from causalclip.clip.weights import ASSETS
from purifier.vlm.model import EmbeddedVLM
from purifier.vlm.training.batches import TrainConfig
from purifier.vlm.training.card import write_card
from purifier.vlm.training.evaluation import calibrate, evaluate_vlm
from purifier.vlm.training.fitting import CACHE, train_vlm

WARM_WORDS = (
    "It started from the first layers of all-MiniLM-L6-v2 (Apache-2.0), a sentence encoder, turned causal, with the "
    "word pieces that the texts use."
)


def make_vlm(
    data_root: Path,
    out: Path,
    *,
    config: TrainConfig | None = None,
    warm_start: Path | None = None,
    cache: Path = CACHE,
    results: Path = Path("benchmarks/language.json"),
    settings: str = "",
) -> dict[str, Any]:
    """All of it: trains the model and its blind baseline, fits the confidence, measures on `test`, writes the card.

    Args:
        out: where the model is shipped. The blind baseline stays in the cache.
        results: where the measured numbers are written.
        settings: a sentence for the card on how the settings were chosen.
    """
    config = config or TrainConfig()
    model = train_vlm(data_root, out, config=config, warm_start=warm_start, cache=cache)
    calibrate(model, data_root, cache=cache)
    model.save_pretrained(out)
    blind_folder = cache / f"{out.name}-blind"
    blind_config = replace(config, blind=True)
    blind = train_vlm(data_root, blind_folder, config=blind_config, warm_start=warm_start, cache=cache)
    shipped = EmbeddedVLM.from_pretrained(out, tower=model.tower)
    measured = evaluate_vlm(shipped, data_root, blind=blind, cache=cache)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(measured, indent=2) + "\n")
    warm = "" if warm_start is None else WARM_WORDS
    write_card(out, measured, model=shipped, warm=warm, settings=settings)
    return measured


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: see the module's docstring."""
    default = TrainConfig()
    parser = argparse.ArgumentParser(description="Train, measure and ship the embedded vision-language model.")
    parser.add_argument("data", type=Path, help="folder with flickr8k.jsonl, coco.jsonl, daquar.jsonl and the pictures")
    parser.add_argument("--out", type=Path, default=ASSETS / "vlm")
    parser.add_argument("--warm-start", type=Path, help="folder of a BERT-like encoder, such as all-MiniLM-L6-v2")
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--views", type=int, default=default.views, help="augmented views of each picture, 1 to 6")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--settings", default="", help="a sentence for the card on how the settings were chosen")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    config = TrainConfig(epochs=args.epochs, views=args.views, seed=args.seed)
    measured = make_vlm(args.data, args.out, config=config, warm_start=args.warm_start, settings=args.settings)
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
