"""Makes the examples of the Purify tab anew: python scripts/prepared.py writes what comes of PREPARED (in
ui/purify/examples.py) to assets/purify. An example that does not hold stops it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from purifier.models import Models  # noqa: E402
from ui.purify.examples import PREPARED, keep, run  # noqa: E402


def main() -> None:
    models = Models()
    for example in PREPARED:
        made = run(models, example)
        if not example.holds(made):
            sys.exit(f"{example.file}, {example.question!r}: {[said.spoken for said in made.said.values()]}")
        keep(made, example)


if __name__ == "__main__":
    main()
