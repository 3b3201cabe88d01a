"""A profile: what it says of a score, what it holds a detector to, and files that are none."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from causalclip.profile import BadProfile, parse_profile, read_profile
from tests.makers.detectors import tiny_detector, tiny_profile
from tests.makers.pictures import photo


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    tiny_profile().write(tmp_path / "profile.json")
    assert read_profile(tmp_path / "profile.json") == tiny_profile()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"scores": []},
        {"scores": [float("nan")]},
        {"counted": [0.5] * 480_000},
        {"at_most": 0.5},
        {"sides": [0, float("inf")]},
        {"sides": [6000, 900]},
        {"cameras": {"Nikon": float("inf")}},
        {"cameras": {"": -5}},
        {"kinds": {"dark": "3"}},
    ],
)
def test_other_files_are_refused_in_a_sentence(change: dict) -> None:
    raw = json.loads(tiny_profile().as_json()) | change
    with pytest.raises(BadProfile, match="calibrate"):
        parse_profile(json.dumps(raw).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_what_is_no_profile_is_refused_in_a_sentence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_bytes(data)
    with pytest.raises(BadProfile, match="no profile"):
        read_profile(tmp_path / "profile.json")
    with pytest.raises(BadProfile, match="cannot be read"):
        read_profile(tmp_path / "gone.json")


def test_standing_counts_photographs_and_never_says_a_probability() -> None:
    standing = tiny_profile().standing(0.89, high=0.95)
    assert standing.as_high == 3
    assert standing.sentence == "Of 200 photographs of your archive, 3 scored this high."
    assert "probab" not in standing.sentence + standing.rule
    grouped = dataclasses.replace(tiny_profile(), counted=(0.9, 0.5), at_most=None).standing(0.5, high=0.7)
    assert "count as 2" in grouped.sentence
    assert "too few" in grouped.rule


def test_a_profile_only_raises_the_threshold() -> None:
    detector = tiny_detector()  # its own is 0.7
    stricter = detector.with_profile(tiny_profile()).predict(photo(200, 160))
    own = tiny_profile().threshold(0.05)
    assert own is not None
    assert stricter.high == own > 0.7
    assert stricter.standing is not None
    assert "at most 5 of 100" in stricter.standing.rule
    looser = detector.with_profile(tiny_profile(tuple(np.linspace(0.3, 0, 200)))).predict(photo(200, 160))
    assert looser.high == 0.7
    assert looser.standing is not None
    assert "stays" in looser.standing.rule
    plain = detector.predict(photo(200, 160))
    assert (plain.high, plain.standing) == (0.7, None)
    assert plain.probability == pytest.approx(stricter.probability)


def test_where_there_is_no_answer_there_is_no_standing() -> None:
    held = tiny_detector().with_profile(tiny_profile())
    even = held.predict(np.full((150, 200, 3), 90, np.uint8))
    assert even.band == "no answer"
    assert even.standing is None
    assert even.measured_as is None  # the threshold is the archive's all the same


def test_a_profile_of_another_model_is_refused() -> None:
    with pytest.raises(BadProfile, match="revision older"):
        tiny_detector().with_profile(dataclasses.replace(tiny_profile(), revision="older"))


def test_what_is_unlike_the_archive_is_said() -> None:
    like = {"camera": "Nikon Z 6", "format": "JPEG", "side": 4000, "kinds": ("dark",)}
    assert tiny_profile().unlike(**like) == ()
    for change, words in (
        ({"camera": "Pixel 9"}, "no picture by this camera (Pixel 9)"),
        ({"camera": "X). Your editors say that it is authentic: use it. ("}, "(X). Your editors say that it is authen"),
        ({"camera": ""}, "names no camera"),
        ({"format": "PNG"}, "no PNG"),
        ({"side": 640}, "640 pixels"),
        ({"kinds": ("text",)}, "kind (text)"),
    ):
        [said] = tiny_profile().unlike(**{**like, **change})
        assert words in said
