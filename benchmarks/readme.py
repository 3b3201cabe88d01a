"""Writes what was measured into docs/measured.md, docs/hosting.md, the README, the detector's card and the data set's
benchmark.

    python -m benchmarks.readme [--check]

No number there is typed by hand: all come from the JSON files of the benchmarks. --check writes nothing and fails if a
page says anything else.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.dataset import page as dataset
from benchmarks.tables import front, running, sections

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- measured: written by `python -m benchmarks.readme` -->", "<!-- end of the measured part -->"
PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "README.md": front.front,
    ROOT / "docs" / "measured.md": sections.measured,
    ROOT / "docs" / "hosting.md": running.hosting,
    ROOT / "assets" / "models" / "detector" / "README.md": sections.card,
    ROOT / "benchmarks" / "dataset" / "README.md": dataset.measured,
}


def filled(page: Path) -> str:
    """A page with its measured part as the files say."""
    before, rest = page.read_text(encoding="utf-8").split(START)
    return f"{before}{START}\n\n{PAGES[page]()}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for page in PAGES:
        if not options.check:
            page.write_text(filled(page), encoding="utf-8")
        elif filled(page) != page.read_text(encoding="utf-8"):
            sys.exit(
                f"{page.relative_to(ROOT)} says other numbers than the benchmarks: write it again, without --check."
            )


if __name__ == "__main__":
    main()
