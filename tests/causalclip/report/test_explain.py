"""Masks in numbers: what one lets through, how two differ, and the command that says so."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from causalclip.commands.app import app
from causalclip.detector import Detector
from causalclip.maps.channels import MaskDifference, by_part, compare_masks, mean_mask
from causalclip.paths import HEADS, head_folder
from tests.makers.detectors import saved_heads, tiny_detector
from tests.makers.pictures import encode, photo


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = tmp_path / "a.png", tmp_path / "b.png"
    for path, size in zip(paths, ((160, 120), (90, 100)), strict=True):
        path.write_bytes(encode(photo(*size), "PNG"))
    return [str(path) for path in paths]


@pytest.fixture
def two_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny detectors in the place of the shipped heads."""
    for head, folder in saved_heads(tmp_path).items():
        monkeypatch.setitem(HEADS, head, folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments])


def test_a_difference_is_counted_channel_by_channel() -> None:
    first, second = np.array([0.9, 0.6, 0.1, 0.5]), np.array([0.9, 0.2, 0.7, 0.4])
    found = MaskDifference.of(first, second)
    assert (found.channels, found.first, found.second, found.only_first, found.only_second) == (
        4,
        3,
        2,
        2,
        1,
    )
    assert found.mean == pytest.approx((0.4 + 0.6 + 0.1) / 4)
    assert found.correlation == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert MaskDifference.of(first, np.ones(4)).correlation is None


def test_parts_of_a_difference_add_up_to_the_whole() -> None:
    detector = tiny_detector()
    a, b = (detector.predict(photo(*size)) for size in ((160, 120), (90, 100)))
    whole, parts = compare_masks(a, b)
    for count in ("channels", "first", "second", "only_first", "only_second"):
        assert getattr(whole, count) == sum(getattr(part, count) for part in parts.values())
    assert np.concatenate(list(by_part(a, mean_mask(a)).values())).tolist() == mean_mask(a).tolist()
    assert whole.mean > 0
    with pytest.raises(ValueError, match="different detectors"):
        compare_masks(a, replace(b, model="other"))


@pytest.mark.usefixtures("two_heads")
def test_explain_says_how_the_masks_of_two_pictures_differ(pictures: list[str]) -> None:
    said = json.loads(run(*pictures, "--json").stdout)
    # by itself, as it has masks that differ
    assert [one["head"] for one in said["pictures"]] == ["causal", "causal"]
    assert said["difference"]["mean"] > 0
    assert (
        sum(part["only_first"] for part in said["difference"]["parts"].values())
        == said["difference"]["only_first"]
    )
    for one, expected in zip(said["pictures"], ("first", "second"), strict=True):
        assert one["passing"] == sum(one["parts"].values()) == said["difference"][expected]
    text = run(*pictures).stdout
    assert str(said["pictures"][0]["passing"]) in text
    assert "causal head" in text


@pytest.mark.usefixtures("two_heads")
def test_the_linear_head_has_one_mask_for_all(pictures: list[str]) -> None:
    said = json.loads(run(*pictures, "--json", "--head", "linear").stdout)
    difference = said["difference"]
    assert (difference["only_first"], difference["only_second"], difference["mean"]) == (0, 0, 0.0)
    assert "The two masks are equal." in run(*pictures, "--head", "linear").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--head", "random"], 2, "--head is causal or linear"),
        (["--head", "causal", "--model", "detector-linear"], 2, "either"),
    ],
)
@pytest.mark.usefixtures("two_heads")
def test_a_head_that_is_not_there_gets_a_sentence(
    pictures: list[str], arguments: list[str], code: int, words: str
) -> None:
    said = run(pictures[0], *arguments)
    assert said.exit_code == code
    assert words in said.output


def test_without_the_causal_head_nothing_takes_its_place(
    pictures: list[str], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setitem(HEADS, "causal", "nowhere")
    monkeypatch.setitem(HEADS, "linear", model)
    assert (
        json.loads(run(pictures[0], "--json", "--head", "linear").stdout)["pictures"][0]["channels"]
        == 120
    )
    assert (run(pictures[0]).exit_code, run(pictures[0]).stdout) == (1, "")
    missing = run(pictures[0], "--head", "causal")
    assert (missing.exit_code, "causal head is not here" in missing.output) == (1, True)


@pytest.mark.usefixtures("two_heads")
def test_both_heads_share_a_tower() -> None:
    linear = Detector.from_pretrained(head_folder("linear"))
    causal = Detector.from_pretrained(head_folder("causal"), beside=linear)
    assert causal.tower is linear.tower
    assert (linear.config.head, causal.config.head) == ("linear", "causal")
    found = causal.predict(photo(160, 120))
    assert (found.head, found.model) == ("causal", "detector-causal")
