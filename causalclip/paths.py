"""Where the files beside the code lie: in a checkout beside the packages, in an installed wheel inside this one."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """A folder of files that the code reads: "assets" or "benchmarks"."""
    inside = _HERE / name
    return inside if inside.is_dir() else _HERE.parent / name
