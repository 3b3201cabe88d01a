"""Bring the lists of trusted certificates up to date: python -m scripts.trust CONFORMANCE

CONFORMANCE is a git directory of c2pa-org/conformance-public, whose newest commit gives C2PA's
trust list and its list of authorities for time stamps; the commit and its day are written beside
them. --interim is a git directory of contentauth/verify-site, which gives the list that was in use
before. With --check nothing is written, and the exit code is 1 where what is shipped differs.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from cryptography import x509

from causalclip.provenance.trust import FOLDER, INTERIM, ORIGIN, SIGNERS, TIME_STAMPS

LISTS = {
    SIGNERS: "trust-list/C2PA-TRUST-LIST.pem",
    TIME_STAMPS: "trust-list/C2PA-TSA-TRUST-LIST.pem",
}
INTERIM_LIST = "static/trust/anchors.pem"


def git(repository: Path, *arguments: str) -> str:
    """Return what git says of a repository."""
    command = ["git", "--git-dir", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _read_list(repository: Path, path: str) -> str:
    """Return a list of the newest commit, PEM; raise ValueError where it holds no certificate."""
    text = git(repository, "show", f"HEAD:{path}")
    x509.load_pem_x509_certificates(text.encode())
    return text


def _read_lists(conformance: Path, interim: Path | None) -> dict[str, str]:
    """Return the files of assets/trust by their names."""
    files = {name: _read_list(conformance, path) for name, path in LISTS.items()}
    commit, day = git(conformance, "log", "-1", "--format=%H %cs").split()
    origin = {"repository": "c2pa-org/conformance-public", "commit": commit, "date": day}
    files[ORIGIN] = json.dumps(origin, indent=2) + "\n"
    if interim:
        files[INTERIM] = _read_list(interim, INTERIM_LIST)
    return files


def main() -> None:
    parser = argparse.ArgumentParser("python -m scripts.trust", description=__doc__)
    parser.add_argument("conformance", type=Path, help="git directory of C2PA's lists")
    parser.add_argument("--interim", type=Path, help="git directory of the interim list")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()

    differing = []
    for name, text in _read_lists(options.conformance, options.interim).items():
        path = FOLDER / name
        count = text.count("-----BEGIN CERTIFICATE-----")
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            differing.append(name)
        if not options.check:
            path.write_text(text, encoding="utf-8")
        print(f"{name}: {count} certificates" if count else f"{name}: {' '.join(text.split())}")
    if options.check and differing:
        sys.exit(f"Not as in that commit: {', '.join(differing)}")


if __name__ == "__main__":
    main()
