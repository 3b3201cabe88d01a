"""The provenance panel: how the file was compressed is said at once, and nothing is counted to zero."""

import re

from causalclip.provenance.reading import read_provenance
from causalclip.report.panels import provenance_panel
from tests.makers.metadata_files import exif_block, jpeg_exif
from tests.makers.pictures import encode, photo


def before_a_click(html: str) -> str:
    return re.sub(r"<details.*?</details>", "", html)


def test_compression_is_said_without_a_click() -> None:
    html = provenance_panel(read_provenance(encode(photo(), "JPEG", quality=88), "JPEG"))
    assert "Last saved as JPEG of quality 88 of 100" in before_a_click(html)
    assert "<details" not in html
    assert not re.search(r"\b0 (claim|field)", html)


def test_only_what_is_there_is_counted() -> None:
    html = provenance_panel(read_provenance(jpeg_exif(exif_block({272: b"EOS R5"})), "JPEG"))
    assert "<summary>All that it says (1 field)</summary>" in html
    assert "EOS R5" not in before_a_click(html)
    html = provenance_panel(read_provenance(jpeg_exif(exif_block({272: b"EOS R5", 305: b"NovelAI"})), "JPEG"))
    assert "(1 claim, 2 fields)" in html


def test_a_file_without_metadata_has_nothing_to_open() -> None:
    html = provenance_panel(read_provenance(encode(photo(), "PNG"), "PNG"))
    assert "<details" not in html
    assert "Last saved" not in html
