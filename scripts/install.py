"""Installs what the app needs, at the versions of requirements.lock: python scripts/install.py

On Linux, pip's own choice of PyTorch brings CUDA, which is 5 GB and of no use without a graphics
card. Where no card is
seen, the CPU build comes first: from a folder of wheels that pip was told of (PIP_FIND_LINKS), or
from PyTorch's index (https://pytorch.org/get-started/locally). CAUSALCLIP_TORCH_INDEX names another
index, or is "none" for pip's choice. Where the index cannot be reached, a sentence says so, and
pip's choice follows. Standard library alone.
"""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

VARIABLE = "CAUSALCLIP_TORCH_INDEX"
INDEX = "https://download.pytorch.org/whl/cpu"  # as PyTorch's documentation gives it
PATIENCE = 5.0  # seconds for the index to answer
# Nvidia's, AMD's, and a card seen from WSL
CARDS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
ROOT = Path(__file__).resolve().parents[1]
PYTORCH = re.compile(r"torch(vision)?==")
CARD_ONLY = re.compile(r"nvidia-|cuda-|triton")  # packages that PyTorch's CPU build does without


def main() -> None:
    # 1. PyTorch's CPU build, unless there is a PyTorch
    if importlib.util.find_spec("torch") is None:
        _install_cpu_build()

    # 2. Everything else, or everything
    importlib.invalidate_caches()
    packages = locked_packages()
    if importlib.util.find_spec("torch"):
        packages = [one for one in packages if not (PYTORCH.match(one) or CARD_ONLY.match(one))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_text("\n".join(packages), encoding="utf-8")
        sys.exit(_pip_install("--no-deps", "--require-hashes", "--requirement", str(path)))


def locked_packages() -> list[str]:
    """Returns the entries of requirements.lock: `name==version ; marker` and its hashes, as pip
    reads them."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return re.split(r"\n(?=\S)", text.strip())


def _install_cpu_build() -> None:
    """Installs PyTorch without CUDA where that is another build than pip's own choice and no card
    is seen."""
    index = os.environ.get(VARIABLE) or INDEX
    if sys.platform != "linux" or index == "none" or _sees_card():
        return
    # Both from the same place: torchvision from elsewhere would bring a PyTorch of its own.
    if _pip_install("--no-index", "--no-deps", *accepted_versions(), quiet=True) == 0:
        return
    pinned = [one.split()[0] for one in locked_packages() if PYTORCH.match(one)]
    if not reaches(index):
        print(
            f"{index} does not answer: PyTorch comes with CUDA, which is 5 GB more and works as "
            f"well. {VARIABLE} can name another index that has its CPU build.",
            flush=True,
        )
    elif _pip_install("--index-url", index, "--no-deps", *pinned):
        print(
            "PyTorch's CPU build could not be installed. Its build with CUDA follows, and works as "
            "well.",
            flush=True,
        )


def _sees_card() -> bool:
    """Whether the system shows a graphics card that PyTorch can use."""
    return any(os.path.exists(path) for path in CARDS)


def reaches(index: str) -> bool:
    """Whether the index answers, within PATIENCE."""
    try:
        with urllib.request.urlopen(f"{index.rstrip('/')}/torch/", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def accepted_versions() -> list[str]:
    """Returns what is taken from a folder of wheels: any PyTorch that requirements.txt allows."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return [*re.findall(r"^torch[<>=~!].*$", text, re.MULTILINE), "torchvision"]


def _pip_install(*arguments: str, quiet: bool = False) -> int:
    """Runs `pip install` in this Python; returns its exit code."""
    output = subprocess.DEVNULL if quiet else None
    command = [sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    return subprocess.run(command, stdout=output, stderr=output).returncode


if __name__ == "__main__":
    main()
