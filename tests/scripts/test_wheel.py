"""What a wheel holds, judged by from a folder outside the checkout: code, weights, and what they read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.makers.pictures import encode, photo


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a wheel, as pip would lay them down; packing 100 MB would take minutes and change nothing."""
    place = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "setup.py", "--quiet", "build", "--build-base", str(place / "build")]
    done = subprocess.run(
        [*command, "--build-lib", str(place / "lib")], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return place / "lib"


def run(installed: Path, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, errors="replace"
    )


def test_every_file_of_the_assets_is_there_and_nothing_of_single_pictures(installed: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "assets"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = listed.stdout.split("\n")[:-1]
    missing = [name for name in names if not (installed / "causalclip" / name).is_file()]
    assert missing == []
    assert (installed / "causalclip" / "benchmarks" / "detection.json").is_file()
    assert {path.name for path in installed.iterdir()} == {"causalclip", "purifier", "ui"}
    assert sum(path.stat().st_size for path in installed.rglob("*") if path.is_file()) < 125e6


def test_it_judges_outside_the_checkout_and_the_app_finds_all_that_its_page_reads(
    installed: Path, tmp_path: Path
) -> None:
    """In one process: to import PyTorch takes as long as either."""
    (tmp_path / "a.jpg").write_bytes(encode(photo(300, 280), "JPEG"))
    code = """
import runpy, sys
sys.argv = ["causalclip", "detect", "a.jpg", "--json"]
try:
    runpy.run_module("causalclip", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
import ui
from ui import app
from ui.measured.page import page
print()
print(ui.__file__)
print(len(page()) > 10_000, len(app.build(lambda: None).fns) > 10)
"""
    done = run(installed, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    *answer, place, said = done.stdout.splitlines()
    assert json.loads("\n".join(answer))["model"] == "detector"
    assert Path(place).is_relative_to(installed)
    assert said == "True True"


def test_the_commands_are_named(installed: Path) -> None:
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert set(scripts) == {"causalclip", "purifier", "causalclip-app"}
    for target in scripts.values():
        module, function = target.split(":")
        assert f"def {function}" in (installed / Path(*module.split("."))).with_suffix(".py").read_text()
