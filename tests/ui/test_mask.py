"""The Mask tab: its tiles and words on a picture and its mask; and two copies compared, alike in
every interface."""

import base64
import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from causalclip import load_image
from causalclip.calibration import sigmoid
from causalclip.commands.app import app as command_line
from causalclip.compare.pictures import compare
from causalclip.detection import Detection
from causalclip.examination.messages import score_text
from causalclip.maps.attribution import localised_logit
from causalclip.maps.channels import (
    by_part,
    compare_masks,
    contributions,
    deletion_order,
    kept_channels,
    mean_mask,
    offset,
    remaining,
    removal_counts,
    score_under,
    suppressed,
    suppressed_score,
)
from causalclip.maps.figure import save_mask_figure
from causalclip.maps.overlay import draw_map, prepare
from causalclip.report.masks import difference_sentence, passing_sentence
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.detector import ChosenDetector, forget_choices
from ui.tabs.charts import BEYOND
from ui.tabs.mask import erase, tiles
from ui.tabs.mask.heatmap import PUSH_UNIT, mask_heatmaps
from ui.tabs.mask.rendering import answer, channels


def detections(*sizes: tuple[int, int], hidden: int = 8) -> list[Detection]:
    detector = tiny_detector(hidden=hidden)
    return [detector.predict(photo(*size)) for size in sizes]


def layers(figure: str, name: str = "cc-mask-first") -> list[np.ndarray]:
    """The values of each row that is drawn with that colour, float [D] in [0, 1]."""
    addresses = re.findall(
        rf"class='{name}' style='--cc-alpha:url\(data:image/png;base64,(.*?)\)'", figure
    )
    pictures = [Image.open(io.BytesIO(base64.b64decode(one))) for one in addresses]
    return [np.asarray(picture.getchannel("A"))[0] / 255 for picture in pictures]


def row_data(figure: str) -> list[dict[str, str]]:
    """What the browser gets of each row."""
    return [json.loads(html.unescape(one)) for one in re.findall(r"data-row='(.*?)'", figure)]


def test_each_channel_is_a_cell_of_its_mask() -> None:
    [detection] = detections((160, 120))
    figure = mask_heatmaps(detection, None)
    assert np.allclose(np.concatenate(layers(figure)), mean_mask(detection), atol=0.5 / 255 + 1e-6)
    pushes = np.concatenate(
        [np.frombuffer(base64.b64decode(row["push"]), "<i2") for row in row_data(figure)]
    )
    assert np.allclose(pushes * PUSH_UNIT, contributions(detection), atol=PUSH_UNIT / 2 + 1e-9)
    assert mask_heatmaps(None, None) == ""


@pytest.mark.parametrize("order", ["mask", "push"])
def test_columns_are_sorted_within_their_row_and_keep_their_number(order: Any) -> None:
    [detection] = detections((160, 120))
    values = {"mask": mean_mask(detection), "push": contributions(detection)}[order]
    rows = row_data(mask_heatmaps(detection, None, order=order))
    for (_part, of_part), row in zip(by_part(detection, values).items(), rows, strict=True):
        channels = np.frombuffer(base64.b64decode(row["channel"]), "<u2")
        assert sorted(channels) == list(range(len(of_part)))
        assert (np.diff(of_part[channels]) <= 0).all()


def test_the_difference_is_drawn_and_said() -> None:
    first, second = detections((160, 120), (90, 100))
    figure = mask_heatmaps(first, second)
    apart = mean_mask(first) - mean_mask(second)
    count = len(first.parts)
    more = np.concatenate(layers(figure)[2 * count :])
    less = np.concatenate(layers(figure, "cc-mask-second"))
    assert np.allclose(more - less, apart, atol=0.5 / 255 + 1e-6)
    assert difference_sentence(compare_masks(first, second)[0]) in figure
    equal = mask_heatmaps(*detections((160, 120), (90, 100), hidden=0))
    assert "The two masks are equal." in equal
    assert not np.concatenate(layers(equal, "cc-mask-second")).any()


def test_the_suppressed_half_is_what_one_minus_the_mask_says() -> None:
    """Both halves together are the head without a mask, which is linear."""
    detector = tiny_detector(hidden=8)
    pixels = photo(160, 120)
    detection = detector.predict(pixels)
    for head in detector.heads.values():
        head.mask = None
    whole = detector.predict(pixels)
    suppressed = suppressed_score(detection)
    logit = np.log(suppressed / (1 - suppressed))
    assert np.isclose(detection.logit + logit - offset(detection), whole.logit, atol=1e-4)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_figure_is_written_in_the_format_that_is_named(tmp_path: Path, ending: str) -> None:
    [detection] = detections((160, 120))
    file = tmp_path / f"mask.{ending}"
    save_mask_figure(prepare(photo(160, 120), detection), file)
    if ending == "png":
        assert Image.open(file).size[0] > 1000
    else:
        assert file.read_text().lstrip().startswith("<?xml")


def test_the_answer_says_that_a_linear_head_has_one_mask_for_all_pictures() -> None:
    [causal], [linear] = detections((160, 120)), detections((160, 120), hidden=0)
    assert "the same for all pictures" in answer(linear)
    assert "the same for all pictures" not in answer(causal)
    assert passing_sentence(causal) in answer(causal)


def scores(html_text: str) -> list[str]:
    return re.findall(r"</span> <b>(.*?)</b>", html_text)


def test_each_tile_has_the_score_of_what_it_shows() -> None:
    [detection] = detections((160, 120))
    drawing = prepare(photo(160, 120), detection)
    thresholds = detection.low, detection.high
    both = contributions(detection) + suppressed(detection)
    unmasked = sigmoid(offset(detection) + float(both.sum()))
    expected = [unmasked, detection.probability, suppressed_score(detection)]
    assert scores(tiles.four_tiles(drawing)) == [score_text(s, *thresholds) for s in expected]


def test_the_removal_begins_with_the_verdict_and_ends_without_what_pushes_to_its_side() -> None:
    detector = tiny_detector()
    pixels = photo(160, 120)
    drawing = prepare(pixels, detector.predict(pixels))
    detection = drawing.detection
    frames = tiles.removal_tile(detector, pixels, drawing)
    counts = removal_counts(detection)
    assert frames.count("<figure") == len(counts)
    order, pushes = deletion_order(detection), contributions(detection)
    expected = [sigmoid(detection.logit - float(pushes[order[:c]].sum())) for c in counts]
    thresholds = detection.low, detection.high
    assert scores(frames) == [score_text(score, *thresholds) for score in expected]
    side = 1.0 if detection.logit > 0 else -1.0
    left = np.delete(pushes, order[: counts[-1]])
    passes = np.delete(mean_mask(detection) >= 0.5, order[: counts[-1]])
    assert not (side * left[passes] > 0).any()


def test_what_is_left_without_channels_is_a_map_that_adds_up() -> None:
    detector = tiny_detector()
    pixels = photo(160, 120)
    detection = detector.predict(pixels)
    counts = [5, 20]
    kept = kept_channels(detection, counts)
    for row, views in zip(kept, detector.explain_channels(pixels, kept), strict=True):
        total = sum(float(view.causal.sum()) + view.rest for view in views)
        assert total == pytest.approx(float(contributions(detection)[row].sum()), abs=1e-4)
        left = remaining(detection, row, views)
        assert left.logit == pytest.approx(total + offset(detection), abs=1e-4)


def test_a_score_under_another_picture_s_mask_is_the_head_s_with_that_mask() -> None:
    first, second = detections((160, 120), (90, 100))
    one = replace(first, views=first.views[:1])
    other = replace(second, views=second.views[:1])
    [view] = one.views
    whole = view.channels + view.suppressed
    expected = offset(one) + float((other.views[0].mask * whole).sum())
    assert score_under(one, other) == pytest.approx(sigmoid(expected), abs=1e-6)
    with pytest.raises(ValueError, match="different detectors"):
        score_under(one, replace(other, revision="another"))


def test_a_channel_that_leaves_the_scale_is_an_arrow() -> None:
    [detection] = detections((160, 120))
    beyond = replace(
        detection,
        views=tuple(replace(view, channels=100 * view.channels) for view in detection.views),
    )
    assert BEYOND[True] in channels(beyond) or BEYOND[False] in channels(beyond)
    within = replace(
        detection,
        views=tuple(replace(view, channels=0.001 * view.channels) for view in detection.views),
    )
    assert BEYOND[True] not in channels(within)
    assert BEYOND[False] not in channels(within)


def test_a_page_chooses_its_head_for_itself() -> None:
    class Both:
        heads = ("linear", "causal")

        def __call__(self, head: str = "") -> Any:
            return head or "linear"

    chosen = ChosenDetector(Both())  # type: ignore[arg-type]
    assert (chosen(), chosen.with_mask()) == ("linear", "causal")
    chosen.choose_head("causal")
    assert chosen() == "causal"
    chosen.choose_head("random")
    assert chosen() == "causal"
    forget_choices("")
    assert chosen() == "linear"
    alone = ChosenDetector(lambda: "tiny")  # type: ignore[arg-type, return-value]
    alone.choose_head("causal")
    assert (alone(), alone.with_mask(), alone.heads) == ("tiny", "tiny", ())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photograph, and a copy of it in another format with a part covered."""
    folder = tmp_path_factory.mktemp("pair")
    covered = np.array(data.astronaut())
    covered[60:150, 120:200] = 90
    paths = folder / "a.png", folder / "b.webp"
    for pixels, path, kind in zip((data.astronaut(), covered), paths, ("PNG", "WebP"), strict=True):
        path.write_bytes(encode(pixels, kind))
    return paths


def timeless(answer: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(answer))
    return {name: value for name, value in plain.items() if name not in ("seconds", "paths")}


def test_python_command_line_and_http_answer_alike(
    tiny_app: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    comparison = compare(*(load_image(path).pixels for path in pair))
    expected = timeless(comparison.model_dump(mode="json"))
    assert expected["answer"] == "same picture"
    assert len(expected["changes"]) == 1
    result = CliRunner().invoke(
        command_line, ["compare", *map(str, pair), "--json", "--out-dir", str(tmp_path)]
    )
    assert timeless(json.loads(result.stdout)) == expected | {"notes": []}
    assert (
        timeless(json.loads((tmp_path / "comparison.json").read_text())["comparison"]) == expected
    )
    assert expected["sentence"] in (tmp_path / "comparison.html").read_text()
    answered = Client(tiny_app, verbose=False).predict(
        *(handle_file(path) for path in pair), api_name="/compare"
    )
    assert timeless(answered) == expected | {"notes": []}


def test_the_cells_that_can_be_erased_add_up_to_all_that_has_a_place() -> None:
    [detection] = detections((160, 120))
    grid = erase.cell_shares(detection)
    assert grid.shape == (18, 24)
    assert np.isclose(grid.sum(), localised_logit(detection.views), atol=1e-4)


def test_what_is_brushed_over_is_the_map_of_what_passes() -> None:
    [detection] = detections((160, 120))
    drawing = prepare(photo(160, 120), detection)
    data = re.search(r"base64,([^']+)'", erase.brush_panel(drawing))
    assert data is not None
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data[1]))), float)
    drawn = draw_map(drawing), Image.fromarray(drawing.picture)
    size = shown.shape[1], shown.shape[0]
    to_map, to_picture = (
        np.abs(np.asarray(one.resize(size), float) - shown).mean() for one in drawn
    )
    assert to_map < 0.5 * to_picture


def test_erased_cells_are_blanked_and_no_others() -> None:
    pixels = photo(240, 180)
    blanked = erase.blank_cells(pixels, [0, 25], (18, 24))
    mean = pixels.reshape(-1, 3).mean(0).round()
    assert (blanked[:10, :10] == mean).all()
    assert (blanked[10:20, 10:20] == mean).all()
    changed = (blanked != pixels).any(2)
    assert changed.sum() <= 200
    assert not changed[20:].any()


def test_the_check_says_what_both_of_its_scores_mean() -> None:
    detection = replace(detections((160, 120))[0], low=0.29, high=0.9)
    sentence = erase.both_scores(0.8999, 0.91, detection)
    assert "0.8999 (inconclusive)" in sentence  # never as 0.90, from which it would be generated
    assert "0.91 (likely generated)" in sentence


@pytest.mark.parametrize("sent", ["", "x,-1,99999999999", "432", "1;2"])
def test_a_page_may_send_anything_as_cells(sent: str) -> None:
    assert erase.parse_cells(sent, 432) == []
    assert erase.parse_cells(f"{sent},3,3,7", 432) == [3, 7]
