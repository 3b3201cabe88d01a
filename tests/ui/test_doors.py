"""Formats, sizes and limits stand in causalclip.images.formats; every door says the same."""

import re
from typing import get_args

import pytest

from causalclip.images import formats
from tests.conftest import ROOT
from ui import settings
from ui.batch.tab import INTRO
from ui.endpoints import Endpoints


def test_all_formats_are_named_and_have_an_ending() -> None:
    assert all(name in formats.NAMES for name in get_args(formats.Format))
    endings = {ending.lstrip(".") for ending in formats.ENDINGS}
    assert {"jpg", "jpeg", "png", "webp", "avif", "heic", "tiff", "gif"} <= endings


@pytest.mark.parametrize(
    "said",
    [
        settings.placeholder(),
        INTRO.format(limit=1, formats=formats.names(), sizes=formats.sizes()),
        Endpoints.detect.__doc__,
    ],
    ids=["field", "batch", "endpoint"],
)
def test_every_door_quotes_them(said: str) -> None:
    assert formats.NAMES in said
    assert f"{formats.MAX_BYTES >> 20} MB" in said


def test_the_endpoint_says_the_limit_of_pixels() -> None:
    assert f"{formats.MAX_PIXELS / 1e6:g} million pixels" in str(Endpoints.detect.__doc__)


def test_no_other_module_writes_the_list_down() -> None:
    """But for docstrings, which cannot quote a constant."""
    listed = re.compile(r"JPEG, PNG, WebP, AVIF, HEIC, TIFF")
    own = {ROOT / "causalclip" / "pictures" / "formats.py", ROOT / "ui" / "endpoints.py"}
    found = [path for room in ("causalclip", "purifier", "ui") for path in (ROOT / room).rglob("*.py")]
    assert not [path for path in found if path not in own and listed.search(path.read_text(encoding="utf-8"))]
