"""The Explore tab: its words on a picture and its mask, and two copies compared, alike in every interface."""

import asyncio
import base64
import dataclasses
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from skimage import data
from typer.testing import CliRunner

from causalclip import load_image
from causalclip.cli import app as command_line
from causalclip.detector import Detection
from causalclip.evidence.comparison import compare
from causalclip.evidence.words import NO_ANSWER, NO_ANSWER_TITLE
from causalclip.maps.maskgrid import mean_masks, openness
from causalclip.maps.words import MASK_MEANING, SHARED_MASK_MEANING
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.explore.words import PAPER, UNMEASURED, answer, mask

MEASURED = {"nhsic": 0.87, "adversary_accuracy": 0.99, "density": 0.4}


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_what_is_no_photograph_has_its_reason_in_place_of_a_score(detection: Detection) -> None:
    assert "Score 0." in answer(detection)
    refused = answer(dataclasses.replace(detection, band=NO_ANSWER, kind="page"))
    assert NO_ANSWER_TITLE in refused
    assert "Score 0." not in refused


def test_openness_is_counted_and_shown_for_each_kind_of_view(detection: Detection) -> None:
    o = openness(np.array([0.0, 0.05, 0.1, 0.5, 0.9, 1.0]))
    assert (o.closed, o.open, o.mean) == (pytest.approx(3 / 6), pytest.approx(2 / 6), pytest.approx(2.55 / 6))
    assert o.bins == pytest.approx((2 / 6, 1 / 6, 0, 0, 0, 1 / 6, 0, 0, 0, 2 / 6))
    said = text(mask(detection, {}))
    for values in mean_masks(detection).values():
        assert f"{openness(values).open:.0%} of the channels are open" in said
        assert all(f"{share:.1%}" in said for share in openness(values).bins)
    assert PAPER in mask(detection, {})


def test_what_training_measured_of_the_mask_is_said_and_nothing_else(detection: Detection) -> None:
    assert UNMEASURED in mask(detection, {})
    said = text(mask(detection, {"whole": MEASURED}))
    assert "right about 99.0% of them" in said
    assert text(MASK_MEANING) in said
    assert text(MASK_MEANING) not in text(mask(detection, {"whole": MEASURED | {"adversary_accuracy": 0.52}}))
    same = {kind: MEASURED | {"variance": 0.0} for kind in mean_masks(detection)}
    assert text(SHARED_MASK_MEANING) in text(mask(detection, same))
    assert text(SHARED_MASK_MEANING) not in said


# Two copies compared ------------------------------------------------------------------------------


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
    result = CliRunner().invoke(command_line, ["compare", *map(str, pair), "--json", "--out-dir", str(tmp_path)])
    assert timeless(json.loads(result.stdout)) == expected | {"notes": []}
    assert timeless(json.loads((tmp_path / "comparison.json").read_text())["comparison"]) == expected
    assert expected["sentence"] in (tmp_path / "comparison.html").read_text()
    answered = Client(tiny_app, verbose=False).predict(*(handle_file(path) for path in pair), api_name="/compare")
    assert timeless(answered) == expected | {"notes": []}
    first, second = (
        f"data:image/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}" for path in pair
    )

    async def ask() -> Any:
        address = f"{tiny_app}gradio_api/mcp/"
        async with streamablehttp_client(address) as (read, write, _), ClientSession(read, write) as agent:
            await agent.initialize()
            return await agent.call_tool("compare", {"first": first, "second": second})

    with ThreadPoolExecutor(1) as pool:  # browser tests keep an event loop running in this thread
        told = pool.submit(asyncio.run, ask()).result()
    assert not told.isError, told
    assert timeless(json.loads(told.content[0].text)) == expected | {"notes": []}
