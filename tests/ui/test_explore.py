"""The Explore tab: its words on a picture and its mask, and two copies compared, alike in every
interface."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from skimage import data
from typer.testing import CliRunner

from causalclip import load_image
from causalclip.cli import app as command_line
from causalclip.detector import Detection
from causalclip.examination.compare import compare
from causalclip.maps.channels import compare_masks, mean_mask
from causalclip.report.explain import difference_sentence, mask_sentence
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from tests.ui.asking import ask_tools
from ui.detector import ChosenDetector, forget_choices
from ui.tabs.explore.views import answer, mask_figure


def detections(*sizes: tuple[int, int], hidden: int = 8) -> list[Detection]:
    detector = tiny_detector(hidden=hidden)
    return [detector.predict(photo(*size)) for size in sizes]


def drawings(figure: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", figure)


def test_the_difference_is_drawn_and_said() -> None:
    first, second = detections((160, 120), (90, 100))
    figure = mask_figure(first, second)
    assert len(drawings(figure)) == 3 * len(first.parts)
    assert difference_sentence(compare_masks(first, second)[0]) in figure
    equal = mask_figure(*detections((160, 120), (90, 100), hidden=0))
    assert "The two masks are equal." in equal
    empty = [one for i, one in enumerate(drawings(equal)) if i % 3 == 2]
    assert all(re.fullmatch(r"<svg[^>]*>(<path class='[^']+' d=''/>)+</svg>", one) for one in empty)


def test_each_channel_is_a_cell_in_its_place() -> None:
    """The band's stretches cover all cells of a part, and those in colour are those that pass."""
    [found] = detections((160, 120))
    band = {"on": np.zeros(120, bool), "off": np.zeros(120, bool)}
    start = 0
    for one, (_part, width) in zip(drawings(mask_figure(found, None)), found.parts, strict=True):
        for kind, cells in band.items():
            [path] = re.findall(rf"class='cc-{kind}' d='(.*?)'", one)
            for at, length in re.findall(r"M(\d+) \d+h(\d+)", path):
                cells[start + int(at) // 2 : start + (int(at) + int(length)) // 2] = True
        start += width
    assert np.array_equal(band["on"], mean_mask(found) >= 0.5)
    assert np.array_equal(band["off"], ~band["on"])


def test_the_answer_says_whose_mask_is_shown() -> None:
    [causal], [linear] = detections((160, 120)), detections((160, 120), hidden=0)
    assert "the linear head, which judged" in answer(linear, causal)
    assert "not here" in answer(linear, linear)
    assert "cc-small" not in answer(causal, causal)
    assert mask_sentence(causal) in answer(linear, causal)


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


def test_python_command_line_http_and_agents_answer_alike(
    tiny_app: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    expected = timeless(compare(*(load_image(path).pixels for path in pair)).as_dict())
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
    first, second = (
        f"data:image/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}"
        for path in pair
    )
    _, [told] = ask_tools(tiny_app, ("compare", {"first": first, "second": second}))
    assert not told.isError, told
    assert timeless(json.loads(told.content[0].text)) == expected | {"notes": []}
