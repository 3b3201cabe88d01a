"""Looks for examples of the Purify tab: python scripts/prepared.py [--eps 8 4] [--steps 10 6] [--keep]

Each photograph of scikit-image's package that may be shown, with each question and the attacks of that length: is the
embedded model sure of a right answer, does the attack turn it, and does purification bring it back? What holds comes
first, the surest at the top. Put the best three into PREPARED in ui/purify/examples.py. Half a minute a setting. --keep
looks for nothing and writes what comes of PREPARED to assets/purify.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from purifier.models import Models  # noqa: E402
from ui.purify.examples import PREPARED, Prepared, Tried, keep, run, try_out  # noqa: E402

# file, what it shows, question, right answer
CANDIDATES = (
    Prepared("chelsea.png", "a cat", "What animal is it?", "cat"),
    Prepared("chelsea.png", "a cat", "What is the main object?", "cat"),
    Prepared("camera.png", "a man with a camera", "What is the main object?", "person"),
    Prepared("camera.png", "a man with a camera", "Is there a person in the picture?", "yes"),
    Prepared("camera.png", "a man with a camera", "How many people are in the picture?", "1"),
    Prepared("astronaut.png", "an astronaut", "Is there a person in the picture?", "yes"),
    Prepared("astronaut.png", "an astronaut", "Can you see a person?", "yes"),
    Prepared("coffee.png", "a cup of coffee on a table", "What is the largest object?", "dining table"),
)


def search(candidates: Sequence[Prepared], eps: Sequence[int], steps: Sequence[int]) -> list[Tried]:
    """All of them under every attack, what holds first and the surest of those at the top."""
    models, found = Models(), []
    for candidate, budget, length in itertools.product(candidates, eps, steps):
        tried = try_out(models, replace(candidate, eps=budget, steps=length))
        found.append(tried)
        print(f"{'holds' if tried.holds else 'fails'}: {tried.words}", flush=True)
    return sorted(found, key=lambda tried: (tried.holds, tried.margin), reverse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eps", type=int, nargs="+", default=[8], help="of 255")
    parser.add_argument("--steps", type=int, nargs="+", default=[10])
    parser.add_argument("--keep", action="store_true", help="write what comes of PREPARED to assets/purify")
    options = parser.parse_args()
    if options.keep:
        models = Models()
        for example in PREPARED:
            keep(run(models, example), example)
        return
    found = [tried for tried in search(CANDIDATES, options.eps, options.steps) if tried.holds]
    print("\nThe surest first:", *(f"{tried.margin:.2f} {tried.example}" for tried in found), sep="\n")


if __name__ == "__main__":
    main()
