"""What is installed, shipped and served: the lock, PyTorch's build, a wheel, a Space, and the
containers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from causalclip.paths import DEFAULT_HEAD, HEADS
from scripts import lock, space
from tests.conftest import ROOT
from tests.makers.pictures import encode, photo
from ui.serving import refuse_exposure

COMPOSED: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSED["services"]


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [
        Requirement(line.split("#")[0]) for line in lines if line.strip() and line[0] not in "#-"
    ]


def test_the_lock_holds_what_the_app_needs_within_its_bounds() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    pinned = {entry.split("==")[0]: re.match(r"[^ ;]+", entry.split("==")[1]) for entry in entries}
    for requirement in requirements("requirements.txt"):
        version = pinned[requirement.name]
        assert requirement.specifier.contains(version[0]), requirement
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_names_no_place_to_fetch_from() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips a test where no package index answers."""
    anything = tmp_path_factory.mktemp("index") / "requirements.txt"
    anything.write_text("packaging")
    if error := lock.find_missing_wheels(anything, python="3.12", platform=lock.PLATFORMS[0]):
        pytest.skip(f"No package index answers: {error}")


@pytest.mark.full
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("platform", lock.PLATFORMS)
@pytest.mark.parametrize("python", [lock.PYTHONS[0], lock.PYTHONS[-1]])
def test_the_lock_has_a_wheel_of_every_package_for_linux(python: str, platform: str) -> None:
    assert (
        lock.find_missing_wheels(ROOT / "requirements.lock", python=python, platform=platform) == ""
    )


@pytest.mark.full
@pytest.mark.usefixtures("index")
def test_a_release_for_macos_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pyobjc-core")
    error = lock.find_missing_wheels(
        tmp_path / "requirements.txt", python="3.12", platform=lock.PLATFORMS[0]
    )
    assert "pyobjc-core" in error


@pytest.mark.full
@pytest.mark.usefixtures("index")
def test_a_space_can_be_built_with_what_spaces_adds(tmp_path: Path) -> None:
    """PyTorch's CPU wheels have the versions of the index's own."""
    [sdk] = re.findall(
        r"^sdk_version: (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    pinned = re.sub(
        r"^--extra-index-url .*|\+cpu", "", space.requirements(gpu=False), flags=re.MULTILINE
    )
    everything = [pinned, *(one.format(sdk=sdk) for one in space.ADDED)]
    (tmp_path / "requirements.txt").write_text("\n".join(everything))
    assert (
        lock.find_missing_wheels(
            tmp_path / "requirements.txt", python="3.12", platform=lock.PLATFORMS[0]
        )
        == ""
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a wheel, as pip would lay them down; packing 100 MB would take minutes and
    change nothing."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "setup.py", "--quiet", "build", "--build-base", str(place / "build")]
    done = subprocess.run(
        [*command, "--build-lib", str(place / "lib")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return place / "lib"


def run(wheel: Path, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
    )


@pytest.mark.full
def test_every_file_of_the_assets_is_there_and_nothing_of_single_pictures(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "assets"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = listed.stdout.split("\n")[:-1]
    missing = [name for name in names if not (wheel / "causalclip" / name).is_file()]
    assert missing == []
    assert {path.name for path in wheel.iterdir()} == {"causalclip", "purifier", "ui"}
    assert sum(path.stat().st_size for path in wheel.rglob("*") if path.is_file()) < 125e6


@pytest.mark.full
def test_it_judges_outside_the_checkout_and_the_app_finds_all_that_its_page_reads(
    wheel: Path, tmp_path: Path
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
print()
print(ui.__file__)
print(len(app.build(lambda: None).fns) > 10)
"""
    done = run(wheel, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    *answer, place, said = done.stdout.splitlines()
    assert json.loads("\n".join(answer))["model"] == HEADS[DEFAULT_HEAD]
    assert Path(place).is_relative_to(wheel)
    assert said == "True"


@pytest.mark.full
def test_the_assembled_space_builds_its_page(tmp_path: Path) -> None:
    """In a folder of its own, with nothing of this repository on the path."""
    files = space.assemble(tmp_path / "space")
    assert Path("app.py") in files
    assert any(path.suffix == ".safetensors" for path in files)
    assert not any(path.parts[0] in {"tests", "scripts"} for path in files)
    code = "import app; from ui.app import build; print(len(build(lambda: None).fns))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "space", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_a_space_has_what_its_pages_link_to_pinned_versions_and_its_weights_in_lfs(
    tmp_path: Path,
) -> None:
    files = space.assemble(tmp_path)
    for page in (tmp_path / path for path in files if path.suffix == ".md"):
        links = [
            link
            for link in space.LINK.findall(page.read_text(encoding="utf-8"))
            if "://" not in link
        ]
        assert [link for link in links if not (page.parent / link).exists()] == [], page
    pinned = dict(
        re.findall(
            r"^([a-z0-9-]+)==([^ \n]+)", (tmp_path / "requirements.txt").read_text(), re.MULTILINE
        )
    )
    assert {one.name for one in requirements("requirements.txt")} <= set(pinned)
    assert pinned["torch"].endswith("+cpu")
    assert not any(name.startswith(("nvidia", "cuda", "triton")) for name in pinned)
    assert f"sdk_version: {pinned['gradio']}\n" in (tmp_path / "README.md").read_text(
        encoding="utf-8"
    )
    heavy = {path.suffix for path in files if (tmp_path / path).stat().st_size > 1e6}
    assert [f"*{suffix}" for suffix in heavy] == [space.ATTRIBUTES.split()[0]]
    assert "+cpu" not in space.requirements(gpu=True)


@pytest.mark.parametrize("name", ["app", "proxy"])
def test_neither_may_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["healthcheck"]["test"]
    [temporary] = service["tmpfs"]
    assert temporary.startswith("/tmp:size=")


def test_the_proxy_alone_is_reached_and_on_this_machine_unless_told() -> None:
    assert "ports" not in SERVICES["app"]
    assert SERVICES["proxy"]["ports"] == ["${CAUSALCLIP_LISTEN:-127.0.0.1:8080}:8080"]
    assert list(SERVICES["app"]["networks"]) == ["inside"]
    assert COMPOSED["networks"]["inside"]["internal"]
    assert SERVICES["proxy"]["depends_on"]["app"] == {"condition": "service_healthy"}


def test_the_app_believes_the_proxy_and_listens_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    believed = SERVICES["app"]["environment"]["FORWARDED_ALLOW_IPS"]
    assert believed == SERVICES["proxy"]["networks"]["inside"]["ipv4_address"]
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", believed)
    refuse_exposure("0.0.0.0")
