"""What is pushed to a Space is whole and small enough."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import space


def test_the_assembled_space_builds_its_page(tmp_path: Path) -> None:
    """In a folder of its own, with nothing of this repository on the path."""
    files = space.assemble(tmp_path / "space")
    assert Path("app.py") in files
    assert any(path.suffix == ".safetensors" for path in files)
    assert not any(path.parts[0] in {"tests", "scripts"} for path in files)
    assert not any("outcomes" in path.parts for path in files)
    assert max((tmp_path / "space" / path).stat().st_size for path in files) <= space.LARGEST
    code = (
        "import app; from causalclip.report.document import versions; assert versions()['causalclip'] != 'unknown';"
        " from purifier.models import Models; models = Models(other=app.VLM); "
        "page = app.build(lambda: None, models=models); print(len(page.fns), 'tiny' in str(page.config))"
    )
    chosen = {**os.environ, "CAUSALCLIP_VLM": "someone/tiny"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "space", capture_output=True, text=True, env=chosen
    )
    assert done.returncode == 0, done.stderr
    functions, offered = done.stdout.split()
    assert int(functions) > 10
    assert offered == "True"


def test_a_file_that_is_too_large_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "LARGEST", 1_000_000)
    with pytest.raises(space.SpaceError, match=r"assets/models/.+safetensors"):
        space.assemble(tmp_path / "space")
    assert not (tmp_path / "space").exists()


def test_an_image_of_docker_holds_what_a_space_does(tmp_path: Path) -> None:
    let_in = {line[1:] for line in (space.ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    needed = {path.parts[0] for path in space.assemble(tmp_path / "space")} - {"README.md", "LICENSE", "docs"}
    assert let_in - {"scripts/torch_build.py"} == needed  # which only picks PyTorch's build while the image is made
