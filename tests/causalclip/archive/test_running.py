"""A worker judges a file's bytes once, however many copies of it there are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

from causalclip.archive.running import Judge
from causalclip.detector import Detector, Verdict
from tests.makers.detectors import saved_detector
from tests.makers.pictures import encode, photo


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the pictures that the detector was asked about."""
    asked: list[tuple[int, ...]] = []
    judge: Callable[..., Verdict] = Detector.judge

    def noted(self: Detector, pixels: np.ndarray, **options: Any) -> Verdict:
        asked.append(pixels.shape)
        return judge(self, pixels, **options)

    monkeypatch.setattr(Detector, "judge", noted)
    monkeypatch.setattr("torch.set_num_threads", lambda n: None)  # of the tests' own process
    return asked


def test_a_copy_of_a_file_gets_its_row_and_is_not_judged_again(tmp_path: Path, judged: list[tuple[int, ...]]) -> None:
    saved_detector(tmp_path)
    one, other = encode(photo(90, 100), "JPEG"), encode(photo(96, 100), "JPEG")
    judge = Judge(str(tmp_path / "model"), False, None, remembered=1)
    rows = [judge.row(path, data) for path, data in (("a", one), ("b", one), ("c", other), ("d", one))]
    assert [row["path"] for row in rows] == ["a", "b", "c", "d"]
    assert rows[1] == rows[0] | {"path": "b"}
    assert rows[3]["logit"] == rows[0]["logit"] != rows[2]["logit"]
    assert judged == [(100, 90, 3), (100, 96, 3), (100, 90, 3)]  # what is forgotten is judged anew


def test_a_broken_file_is_told_under_each_path(tmp_path: Path, judged: list[tuple[int, ...]]) -> None:
    saved_detector(tmp_path)
    judge = Judge(str(tmp_path / "model"), False, None)
    rows = [judge.row(path, b"no picture") for path in "ab"]
    assert [row["path"] for row in rows] == ["a", "b"]
    assert all(row["error"] for row in rows)
    assert judged == []
