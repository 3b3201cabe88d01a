"""Files between the browser and the code: only uploads come in, drawings go out lossless."""

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from ui.fields import save_png, upload_path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


def test_an_upload_that_was_deleted_is_said_to_be(folder: Path) -> None:
    with pytest.raises(gr.Error, match="no longer kept"):
        upload_path({"path": str(folder / "picture.jpg")})


@pytest.mark.parametrize("path", ["/etc/passwd", "http://192.0.2.1/x.png", None, ["a"]])
def test_anything_else_is_refused(path: object, folder: Path) -> None:
    with pytest.raises(gr.Error, match="Send the picture as an uploaded file"):
        upload_path({"path": path})


def test_a_way_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder.parent / "secret.png").touch()
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    for path in (folder / ".." / "secret.png", folder / "link.png", Path(f"{folder}-else") / "x.png"):
        with pytest.raises(gr.Error):
            upload_path({"path": str(path)})


def test_drawings_are_lossless_and_each_has_a_folder_of_its_own(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    first, second = (save_png(Image.fromarray(pixels), "map") for _ in range(2))
    assert first != second
    assert Path(first).name == "map.png"
    assert Path(first).is_relative_to(folder)
    with Image.open(first) as picture:
        assert np.array_equal(picture, pixels)
