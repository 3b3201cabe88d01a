"""Makes the embedded model with all that is said of it, or measures one that is there:

    python -m purifier.training.vlm DATA/vlm --out RUN/vlm --warm-start all-MiniLM-L6-v2
    python -m purifier.training.vlm DATA/vlm --out RUN/vlm --measure

A stopped run goes on where it was, if its options are the same.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from purifier.training.cards import write_vlm_card
from purifier.training.vlm_evaluation import calibrate, evaluate_vlm
from purifier.training.vlm_fitting import CACHE, VLMTrainConfig, train_vlm
from purifier.vlm.model import EmbeddedVLM

WARM_WORDS = (
    "It started from the first layers of all-MiniLM-L6-v2 (Apache-2.0), a sentence encoder, turned causal, with the "
    "word pieces that the texts use."
)


def make_vlm(
    data_root: Path,
    out: Path,
    *,
    config: VLMTrainConfig,
    warm_start: Path | None = None,
    cache: Path = CACHE,
    settings: str = "",
) -> dict[str, Any]:
    """All of it: trains the model and its blind baseline, fits the confidence, measures on `test`, writes the card.

    Args:
        out: the model's folder. The blind baseline stays in the cache.
        settings: a sentence for the card on how the settings were chosen.
    """
    model = train_vlm(data_root, out, config=config, warm_start=warm_start, cache=cache)
    calibrate(model, data_root, cache=cache).save_pretrained(out)
    blind_config, blind_folder = replace(config, blind=True), cache / f"{out.name}-blind"
    blind = train_vlm(data_root, blind_folder, config=blind_config, warm_start=warm_start, cache=cache)
    shipped = EmbeddedVLM.from_pretrained(out, tower=model.tower)
    measured = evaluate_vlm(shipped, data_root, blind=blind, cache=cache)
    write_vlm_card(out, measured, model=shipped, warm=WARM_WORDS if warm_start else "", settings=settings)
    return measured


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: see the module's docstring."""
    default = VLMTrainConfig()
    parser = argparse.ArgumentParser(description="Train, measure and ship the embedded vision-language model.")
    parser.add_argument("data", type=Path, help="folder with flickr8k.jsonl, coco.jsonl, daquar.jsonl and the pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--warm-start", type=Path, help="folder of a BERT-like encoder, such as all-MiniLM-L6-v2")
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--views", type=int, default=default.views, help="augmented views of each picture, 1 to 6")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--settings", default="", help="a sentence for the card on how the settings were chosen")
    parser.add_argument("--measure", action="store_true", help="train nothing: measure the model that is in --out")
    parser.add_argument("--results", type=Path, help="JSON file for the numbers, which are printed, too")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    if args.measure:
        measured = evaluate_vlm(EmbeddedVLM.from_pretrained(args.out), args.data, cache=CACHE)
    else:
        config = VLMTrainConfig(epochs=args.epochs, views=args.views, seed=args.seed)
        measured = make_vlm(args.data, args.out, config=config, warm_start=args.warm_start, settings=args.settings)
    if args.results:
        args.results.write_text(json.dumps(measured, indent=2) + "\n")
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
