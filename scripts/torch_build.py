"""python scripts/torch_build.py, before the requirements: PyTorch's CPU build where no graphics card is seen.

On Linux, pip's own choice brings CUDA, which is 5 GB and of no use without a card. The CPU build is on PyTorch's index
alone (https://pytorch.org/get-started/locally), or in a folder of wheels that pip is told of (PIP_FIND_LINKS), which
comes first. CAUSALCLIP_TORCH_INDEX names another index, or is "none" for pip's choice. Where the index cannot be
reached, a sentence says so, and pip's choice follows. Standard library alone.
"""

import importlib.util
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

VARIABLE = "CAUSALCLIP_TORCH_INDEX"
INDEX = "https://download.pytorch.org/whl/cpu"  # as PyTorch's documentation gives it
PATIENCE = 5.0  # seconds for the index to answer
CARDS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # Nvidia's, AMD's, and a card seen from WSL
ROOT = Path(__file__).resolve().parents[1]


def sees_card() -> bool:
    """Whether the system shows a graphics card that PyTorch can use."""
    return any(os.path.exists(path) for path in CARDS)


def reaches(index: str) -> bool:
    """Whether the index answers, within PATIENCE."""
    try:
        with urllib.request.urlopen(f"{index.rstrip('/')}/torch/", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def wanted() -> str:
    """The requirement of requirements.txt."""
    found = re.search(r"^torch[<>=~!].*$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "requirements.txt names no torch"
    return found[0]


def in_folder() -> bool:
    """Whether pip was told of a folder of wheels that has PyTorch, which is then installed from it.

    torchvision comes from there as well: one that is newer would bring a newer PyTorch, and so the build with CUDA.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wanted(), "torchvision"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def main() -> None:
    index = os.environ.get(VARIABLE) or INDEX
    if sys.platform != "linux" or index == "none" or sees_card() or importlib.util.find_spec("torch"):
        return
    if in_folder():
        return
    if not reaches(index):
        print(
            f"{index} does not answer: PyTorch comes with CUDA, which is 5 GB more and works as well. "
            f"{VARIABLE} can name another index that has its CPU build.",
            flush=True,
        )
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--index-url", index, wanted()]
    if subprocess.run(command).returncode:
        print("PyTorch's CPU build could not be installed. Its build with CUDA follows, and works as well.", flush=True)


if __name__ == "__main__":
    main()
