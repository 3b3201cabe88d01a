"""python scripts/install.py FILE: installs a file of requirements by uv, which takes half the time, or by pip.

uv does not read pip's settings: those that it has a word for are handed on. Where pip is set in another way, or uv
cannot be had or fails, pip installs. Standard library alone.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HANDED_ON = ("find-links", "index-url", "extra-index-url")
OF_NO_MATTER = ("cache-dir", "default-timeout", "disable-pip-version-check", "progress-bar", "retries", "timeout")


def settings() -> dict[str, str]:
    """What pip is set to by its files and the environment, by name; the environment comes last, and wins."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [line.split("=", 1) for line in sorted(lines, key=lambda line: line.startswith(":env:"))]
    return {name.rpartition(".")[2]: str(ast.literal_eval(value)) for name, value in pairs}


def words(found: Mapping[str, str]) -> list[str] | None:
    """The options of uv that say the same; None where it has none."""
    if set(found) - {*HANDED_ON, *OF_NO_MATTER, "cert"}:
        return None
    return [word for name in HANDED_ON for value in found.get(name, "").split() for word in (f"--{name}", value)]


def by_uv(file: str) -> bool:
    """Whether uv has installed it. uv is installed first, as the file of requirements names it."""
    found = settings()
    options = words(found)
    if options is None:
        return False
    pip = [sys.executable, "-m", "pip", "install", "--quiet", uv_requirement()]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", sys.executable]
    trusted = {"SSL_CERT_FILE": found["cert"]} if "cert" in found else {}
    if subprocess.run(pip).returncode:
        return False
    return subprocess.run([*uv, *options, "--requirement", file], env=os.environ | trusted).returncode == 0


def uv_requirement() -> str:
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("uv>"))


def main(file: str) -> int:
    if by_uv(file):
        return 0
    print(f"uv could not install {file} as pip is set here: pip does it, which takes longer.", flush=True)
    return subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--requirement", file]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
