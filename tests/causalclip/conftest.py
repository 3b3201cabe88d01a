"""A tiny detector in a folder, for commands that load one."""

import pytest


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.makers.detectors import saved_detector

    folder = tmp_path_factory.mktemp("detector")
    saved_detector(folder)
    return str(folder / "model")
