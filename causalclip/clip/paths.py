"""Where shipped models lie, and what is said when one is not there. Light: names are checked before PyTorch comes."""

import json
from pathlib import Path

from causalclip.paths import shipped_folder

ASSETS = shipped_folder("assets") / "models"


class WeightsMissing(FileNotFoundError):
    """The weights that a model needs are not here; the message says what to do."""


def detector_folder(name: str | Path) -> Path:
    """The folder of a detector: a path that `python -m causalclip train` wrote, or a name in assets/models.

    Raises:
        WeightsMissing: there is none.
    """
    folder = Path(name) if Path(name).is_dir() else ASSETS / str(name)
    if not (folder / "config.json").is_file():
        raise WeightsMissing(
            f"There is no detector {str(name)!r}: it needs a folder with config.json and head.safetensors."
        )
    return folder


def revision_of(folder: Path) -> str:
    """The revision of the detector in a folder, without loading it."""
    return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["revision"])
