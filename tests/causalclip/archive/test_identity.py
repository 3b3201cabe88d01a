"""What judges is known without PyTorch in the process that only hands out the work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

from causalclip.archive.identity import runtime_apart
from causalclip.archive.problems import ArchiveProblem
from causalclip.clip.runtime import VARIABLE, choose_runtime

ROOT = Path(__file__).resolve().parents[3]
ASKS = (
    "import sys, causalclip.archive.command, causalclip.archive.running;"
    "from causalclip.archive.identity import runtime_apart;"
    "print(runtime_apart(), *(name for name in ('torch', 'matplotlib') if name in sys.modules))"
)


def asked(**environment: str) -> subprocess.CompletedProcess[str]:
    own = os.environ | environment
    return subprocess.run([sys.executable, "-c", ASKS], cwd=ROOT, env=own, capture_output=True, text=True, check=False)


def test_the_process_that_starts_workers_does_without_pytorch() -> None:
    assert asked().stdout.split() == [choose_runtime()]


def test_a_runtime_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "CAUSALCLIP_RUNTIME can be bfloat16, int8, int8-avx2, float32, not 'int4'."
    assert asked(**{VARIABLE: "int4"}).stderr.strip().endswith(f"ArchiveProblem: {said}")
    monkeypatch.setenv(VARIABLE, "int4")
    with pytest.raises(ArchiveProblem, match=r"not 'int4'\.$"):
        runtime_apart()
