"""Assembles what is pushed to a Hugging Face Space: python scripts/space.py [--out dist/space]

Only what the app reads: code and its version, models, style, the measured numbers that it draws (not those of single
pictures), and the picture of the README. What is not committed is left out.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = re.compile(
    r"app\.py|README\.md|LICENSE|requirements\.txt|pyproject\.toml|docs/(app\.png|purify-idea\.svg)|assets/.+"
    r"|(causalclip|purifier|ui)/.+\.py|benchmarks/.+\.json"
)
LARGEST = 9_000_000  # bytes: a Space refuses files of 10 MB and more that are not in LFS


class SpaceError(Exception):
    """What was assembled would not run as a Space."""


def assemble(out: Path) -> list[Path]:
    """Copies the committed files that a Space needs to `out`, which is emptied first; returns their paths in it.

    Raises:
        SpaceError: a file is too large, or the README has no front matter.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    chosen = [Path(name) for name in listed.split("\0") if KEPT.fullmatch(name)]
    heavy = [f"{path} ({_size(path):,} bytes)" for path in chosen if _size(path) > LARGEST]
    if heavy:
        raise SpaceError(f"Larger than {LARGEST:,} bytes, which a Space refuses: {', '.join(heavy)}.")
    if not (ROOT / "README.md").read_text(encoding="utf-8").startswith("---\n"):
        raise SpaceError("README.md has no front matter, which tells a Space how to start the app.")
    shutil.rmtree(out, ignore_errors=True)
    for path in chosen:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, out / path)
    return chosen


def _size(path: Path) -> int:
    return (ROOT / path).stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "space")
    options = parser.parse_args()
    try:
        files = assemble(options.out)
    except SpaceError as error:
        sys.exit(str(error))
    total = sum(_size(path) for path in files) / 1e6
    print(f"{len(files)} files, {total:.0f} MB, in {options.out}. Push that folder to the Space's repository.")


if __name__ == "__main__":
    main()
