"""What tests of the detector's training share."""

import pytest


@pytest.fixture(autouse=True)
def _pictures_are_read_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """To start other processes takes longer than all else; test_features.py starts them."""
    for module in ("features", "lora"):
        monkeypatch.setattr(f"training.detector.{module}.MIN_PARALLEL", 10_000)
