"""Rows of a table that tests make."""

import hashlib
from typing import Any

from causalclip.dataset.table import Picture

PLAIN: dict[str, Any] = {
    "set": "sites",
    "split": "train",
    "label": "real",
    "kind": "photo",
    "hard": "",
    "generator": "",
    "series": "",
    "family": "",
    "evidence": "the site's page says so",
    "commit": "0" * 40,
    "licence": "MIT",
    "width": 640,
    "height": 480,
    "format": "JPEG",
    "crop": "",
    "grid": "",
    "phash": "",
    "pair": "",
    "pasted": "",
    "notes": "",
}


def picture(repo: str = "anna/photos", path: str = "a.jpg", **values: Any) -> Picture:
    """A row of a table; its hash is of its name unless it is given."""
    row = PLAIN | {"repo": repo, "path": path, "site": repo.split("/")[0].lower()} | values
    row.setdefault("real_by", "owner" if row["label"] == "real" else "")
    row.setdefault("sha256", hashlib.sha256(f"{repo}/{path}".encode()).hexdigest())
    return Picture(**row)
