"""Brings requirements.lock up to date: make lock, or python -m scripts.lock

Takes the newest release of each package that has a wheel for Linux on x86-64 and on ARM
(`required-environments` in pyproject.toml) and is at least a week old, so that a release which is
still being uploaded, or is taken back at once, does not come in. PyTorch stays at the installed
version, which is the one that the tests were run with. If any Python lacks a wheel, the lock stays
as it is.
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
MINIMUM_AGE = timedelta(days=7)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# OpenVINO's wheels for ARM need glibc 2.35
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_36")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder, "requirements.lock")

        # 1. Resolve
        constraints = Path(folder, "constraints.txt")
        installed = [
            f"{name}=={Version(version(name)).public}" for name in ("torch", "torchvision")
        ]
        constraints.write_text("\n".join(installed), encoding="utf-8")
        error = _compile_requirements(
            *(
                "requirements.txt",
                "--constraints",
                str(constraints),
                "--universal",
                "--python-version",
                PYTHONS[0],
            ),
            *("--exclude-newer", (datetime.now(UTC) - MINIMUM_AGE).isoformat(timespec="seconds")),
            *("--generate-hashes", "--output-file", str(lock)),
        )
        if error:
            sys.exit(error)

        # 2. Check
        for python in PYTHONS:
            for platform in PLATFORMS:
                error = find_missing_wheels(lock, python=python, platform=platform)
                if error:
                    sys.exit(
                        f"requirements.lock stays as it is. Python {python}, {platform}:\n{error}"
                    )

        # 3. Keep
        (ROOT / "requirements.lock").write_bytes(lock.read_bytes())


def find_missing_wheels(requirements: Path, *, python: str, platform: str) -> str:
    """Returns what keeps a file of requirements from being installed from wheels alone, "" if
    nothing does.

    Args:
        requirements: such as requirements.lock.
        python: such as "3.12".
        platform: one of uv's, such as "x86_64-manylinux_2_28".
    """
    return _compile_requirements(
        str(requirements), "--python-version", python, "--python-platform", platform
    )


def _compile_requirements(*arguments: str) -> str:
    """Runs `uv pip compile`, which takes wheels alone; returns its error, "" if there is none."""
    plain = (
        "--no-annotate",
        "--no-header",
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--quiet",
    )
    command = [find_uv_bin(), "pip", "compile", "--only-binary", ":all:", *plain, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip()


if __name__ == "__main__":
    main()
