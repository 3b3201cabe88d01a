"""The folders of shipped files: in a checkout beside the packages, in an installed wheel inside
this one.

Without PyTorch: the name of a detector is checked before that comes.
"""

import json
from pathlib import Path

# The heads that one can choose, and their folders in assets/models: one mask for all pictures, or
# one for each.
HEADS = {"linear": "detector-linear", "causal": "detector-causal"}
DEFAULT_HEAD = "causal"
_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent  # of what is shipped
ASSETS = _ROOT / "assets" / "models"


def shipped_folder(name: str) -> Path:
    """Return a folder of files that the code reads, such as "assets"."""
    return _ROOT / name


class WeightsMissing(FileNotFoundError):
    """The weights that a model needs are not here; the message says what to do."""


def detector_folder(name: str | Path) -> Path:
    """Return the folder of a detector: a path that `python -m training detector` wrote, a name
    in assets/models, or `owner/name` of the Hugging Face hub, which is fetched.

    Raises:
        WeightsMissing: there is none, or the hub cannot be reached.
    """
    folder = Path(name) if Path(name).is_dir() else ASSETS / str(name)
    if "/" in str(name) and not _is_detector(folder):
        from causalclip.hub import folder_of

        folder = folder_of(name)
    if not _is_detector(folder):
        raise WeightsMissing(
            f"There is no detector {str(name)!r}: it needs a folder with config.json and "
            "head.safetensors."
        )
    return folder


def heads() -> tuple[str, ...]:
    """Return the names of HEADS whose weights are here."""
    return tuple(head for head, name in HEADS.items() if _is_detector(ASSETS / name))


def head_folder(head: str) -> Path:
    """Return the folder of a head, by its name in HEADS.

    Raises:
        WeightsMissing: there is no such head, or its weights are not here.
    """
    if head not in HEADS:
        raise WeightsMissing(f"There is no head {head!r}: choose {' or '.join(sorted(HEADS))}.")
    if head not in heads():
        raise WeightsMissing(
            f"The {head} head is not here: its folder {HEADS[head]} in assets/models is missing."
        )
    return ASSETS / HEADS[head]


def revision_of(folder: Path) -> str:
    """Return the revision of the detector in a folder, without loading it."""
    return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["revision"])


def _is_detector(folder: Path) -> bool:
    return (folder / "config.json").is_file()
