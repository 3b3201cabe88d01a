"""What develops and tests is installed by uv as pip is set, and by pip where uv has no word for it."""

import subprocess
import sys
from typing import Any

import pytest

from scripts import install


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would install, and succeed."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(install.subprocess, "run", run)
    return commands


def test_pips_settings_are_read_with_the_environment_before_its_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nfind-links = /files /more\nindex-url = https://files.example/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", "/environment")
    found = install.settings()
    assert found["index-url"] == "https://files.example/simple"
    assert found["find-links"] == "/environment"


def test_uv_is_told_what_pip_is_told(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"find-links": "/a /b", "index-url": "https://i.example/simple", "default-timeout": "9", "cert": "/c.pem"}
    monkeypatch.setattr(install, "settings", lambda: found)
    assert install.main("some.txt") == 0
    first, second = ran
    assert first[:4] == [sys.executable, "-m", "pip", "install"]
    assert first[-1].startswith("uv>=")
    options = ["--find-links", "/a", "--find-links", "/b", "--index-url", "https://i.example/simple"]
    assert second[1:4] == ["-m", "uv", "pip"]
    assert second[-8:] == [*options, "--requirement", "some.txt"]


@pytest.mark.parametrize("name", ["constraint", "no-index", "proxy", "require-hashes"])
def test_what_uv_has_no_word_for_is_left_to_pip(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(install, "settings", lambda: {name: "x"})
    assert install.main("some.txt") == 0
    assert ran == [[sys.executable, "-m", "pip", "install", "--quiet", "--requirement", "some.txt"]]
    assert "pip does it" in capfd.readouterr().out


@pytest.mark.parametrize("failing", ["uv>=", "--python"])
def test_where_uv_fails_pip_installs(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """It cannot be had, or it finds no way."""
    commands = []

    def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return subprocess.CompletedProcess(command, int(any(word.startswith(failing) for word in command)))

    monkeypatch.setattr(install.subprocess, "run", run)
    monkeypatch.setattr(install, "settings", dict)
    assert install.main("some.txt") == 0
    assert commands[-1] == [sys.executable, "-m", "pip", "install", "--quiet", "--requirement", "some.txt"]
