"""What C2PA's own reader and what this program say of the images of `c2pa-org/public-testfiles`.

--files is a git directory of that repository; its newest commit is read.
"""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.common import Options
from causalclip.images.formats import sniff
from causalclip.provenance.credentials import MIME, read_credentials
from causalclip.provenance.trust import trust_lists

FOLDER = "image/jpeg/"
# the most that may be said of a file, by what the reader says of it
ALLOWED = {
    "Trusted": {"trusted", "unknown signer"},
    "Valid": {"unknown signer"},
    "Invalid": {"invalid", "unvalidated"},
    "none": {"none"},
}


def measure(options: Options) -> dict[str, Any]:
    """Return a row for each image, and how many of ours say more than the reader."""
    rows = [_row(path, _git(options.files, f"HEAD:{path}")) for path in _images(options.files)]
    return {
        "commit": _show(options.files, "rev-parse", "HEAD"),
        "trust list": trust_lists().issued.isoformat(),
        "images": len(rows),
        "more": sum(row["ours"] not in ALLOWED[row["reader"]] for row in rows),
        "rows": rows,
    }


def _row(path: str, data: bytes) -> dict[str, Any]:
    """Return what both say of an image."""
    image_format = sniff(data)
    assert image_format
    report = _report(data, MIME[image_format])
    results = report.get("validation_results", {}) if report else {}
    failures = results.get("activeManifest", {}).get("failure", [])
    ours = read_credentials(data, image_format)
    return {
        "image": Path(path).stem,
        "reader": report["validation_state"] if report else "none",
        "codes": [failure["code"] for failure in failures],
        "ours": ours.state,
        "reasons": ours.reasons,
    }


def _report(data: bytes, mime: str) -> dict[str, Any] | None:
    """Return what C2PA's reader says by C2PA's trust list; None without credentials."""
    from c2pa import Context, Reader

    settings = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        "trust": {"trust_anchors": trust_lists().signers},
    }
    with Context.from_dict(settings) as context:
        reader = Reader.try_create(mime, io.BytesIO(data), context=context)
        if reader is None:
            return None
        with reader:
            report: dict[str, Any] = json.loads(reader.json())
            return report


def _images(repository: Path) -> list[str]:
    """Return the paths of the images, without those that manifests hold."""
    return [
        path
        for path in _show(repository, "ls-tree", "--name-only", "HEAD", FOLDER).splitlines()
        if path.endswith((".jpg", ".jpeg"))
    ]


def _show(repository: Path, *arguments: str) -> str:
    command = ["git", "--git-dir", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _git(repository: Path, name: str) -> bytes:
    command = ["git", "--git-dir", str(repository), "show", name]
    return subprocess.run(command, check=True, capture_output=True).stdout
