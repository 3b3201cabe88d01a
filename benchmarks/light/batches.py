"""Whether several pictures at once go through the tower faster: python -m benchmarks.light.batches [--runtime int8]

Processor seconds a view, of one forward pass of 1 to 16 views on one thread: the least of some rounds in turn, which
other work on the machine moves little. Writes benchmarks/light/batches.json.
"""

import argparse
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.latency import processor
from causalclip.clip.embedding import needs
from causalclip.detector import Detector

OUT = Path(__file__).resolve().parent / "batches.json"
COUNTS = 1, 2, 4, 8, 16


def measure(detector: Detector, *, rounds: int) -> list[dict[str, Any]]:
    """A row a count: views, and processor seconds a view."""
    size, needed = detector.tower.image_size, needs(detector.config.parts, detector.tower)
    pixels = torch.rand(max(COUNTS), 3, size, size, generator=torch.Generator().manual_seed(0))
    least = dict.fromkeys(COUNTS, float("inf"))
    with torch.inference_mode():
        for turn in range(rounds + 1):
            for count in COUNTS:
                spent = time.process_time()
                detector.tower(pixels[:count], **needed)
                if turn:  # the first compiles
                    least[count] = min(least[count], (time.process_time() - spent) / count)
    return [{"views": count, "cpu": round(seconds, 4)} for count, seconds in least.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=("int8", "float32", "bfloat16"), default="int8")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "runtime": options.runtime,
        "rows": measure(Detector.from_pretrained(runtime=options.runtime), rounds=options.rounds),
        "load": round(os.getloadavg()[0], 1),
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
