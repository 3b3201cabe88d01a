"""The Explore tab: its words on a picture and its mask, and two copies compared, alike in every interface."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from skimage import data
from typer.testing import CliRunner

from causalclip import load_image
from causalclip.cli import app as command_line
from causalclip.evidence.comparison import compare
from tests.makers.pictures import encode
from tests.ui.asking import ask_tools


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
    _, [told] = ask_tools(tiny_app, ("compare", {"first": first, "second": second}))
    assert not told.isError, told
    assert timeless(json.loads(told.content[0].text)) == expected | {"notes": []}
