"""The app's folder goes with its process, whichever way that ends, and takes nothing of anyone else with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HANGS, ROOT
from ui.start import PREFIX, RunFolder, clean

CODE = """
import pathlib, sys, tempfile, time
from ui.start import (claim)
run = claim()
(run.uploads / "picture.jpg").write_bytes(b"x")
tempfile.NamedTemporaryFile(delete=False).write(b"half an upload")
print(run.folder, flush=True)
time.sleep({seconds})
"""


def start(base: Path, *, seconds: float = 60) -> tuple[subprocess.Popen[str], Path]:
    """A process with a folder in `base`, and the folder."""
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(base)}
    command = [sys.executable, "-c", CODE.format(seconds=seconds)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("ending", ["end", "SIGTERM", "SIGINT"])
def test_it_goes_with_its_process(tmp_path: Path, ending: str) -> None:
    process, run = start(tmp_path, seconds=0 if ending == "end" else 60)
    if ending != "end":
        assert (run / "uploads" / "picture.jpg").exists()
        assert len(list(run.iterdir())) == 3  # uploads, examples, and half an upload
        process.send_signal(getattr(signal, ending))
    process.wait(HANGS)
    assert not list(tmp_path.iterdir())


def test_after_a_kill_the_next_start_is_clean(tmp_path: Path) -> None:
    process, killed = start(tmp_path)
    process.kill()
    process.wait(HANGS)
    assert (killed / "uploads" / "picture.jpg").exists()
    run = RunFolder(tmp_path)
    assert not killed.exists()
    assert run.uploads.exists()
    run.close()
    assert not list(tmp_path.iterdir())


def test_only_folders_are_cleaned(tmp_path: Path) -> None:
    """Other folders, files of that name, and links of that name, whose targets stay."""
    other, target = tmp_path / "other", tmp_path / "target"
    for folder in (other, target):
        folder.mkdir()
        (folder / "a.png").touch()
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(target)
    before = sorted(tmp_path.rglob("*"))
    clean(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
