"""A tiny detector in a folder, for commands that load one."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.makers.detectors import saved_detector

    folder = tmp_path_factory.mktemp("detector")
    saved_detector(folder)
    return str(folder / "model")


@pytest.fixture
def two_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny detectors in the place of the shipped heads."""
    from causalclip.paths import HEADS
    from tests.makers.detectors import saved_heads

    for head, folder in saved_heads(tmp_path).items():
        monkeypatch.setitem(HEADS, head, folder)
