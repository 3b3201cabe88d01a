"""How often the comparison of captions by meaning errs: python -m benchmarks.meaning DATA > benchmarks/meaning.json

On people's captions of the test photographs of COCO and Flickr8k: two of one photograph, which should reach the
threshold where they name the same things, and one each of two photographs, which should not.
"""

import json
import random
import sys
from pathlib import Path

from purifier.meaning import ALIKE, likeness
from purifier.vlm import EmbeddedVLM

PAIRS = 1000


def captions(data: Path) -> list[list[str]]:
    """Of each test photograph with two captions or more."""
    rows = [json.loads(line) for name in ("coco", "flickr8k") for line in (data / f"{name}.jsonl").open()]
    return [row["captions"] for row in rows if row["split"] == "test" and len(row["captions"]) > 1]


def measure(known: list[list[str]], model: EmbeddedVLM, *, seed: int = 0) -> dict[str, float]:
    """The shares of pairs that reach the threshold: of one photograph, and of two."""
    rng = random.Random(seed)
    same = [likeness(model, *rng.sample(texts, 2)) for texts in known]
    pairs = [rng.sample(known, 2) for _ in range(PAIRS)]
    other = [likeness(model, rng.choice(a), rng.choice(b)) for a, b in pairs]
    shares = {
        name: sum(v >= ALIKE for v in values) / len(values) for name, values in (("same", same), ("other", other))
    }
    return {"threshold": ALIKE, "photographs": len(known), "pairs": PAIRS, **shares}


if __name__ == "__main__":
    print(json.dumps(measure(captions(Path(sys.argv[1])), EmbeddedVLM.from_pretrained()), indent=1))
