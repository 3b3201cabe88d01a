"""EXIF and XMP of HEIC and AVIF files, by native readers."""

import pytest

from causalclip.provenance.blocks import COSTLY
from causalclip.provenance.reading import read_provenance
from tests.makers.metadata_files import exif_block, joined_items, xmp
from tests.makers.pictures import encode, photo

MB = 2**20


@pytest.mark.parametrize("name", ["HEIC", "AVIF"])
def test_the_bomb_without_its_charge_is_read(name: str) -> None:
    p = read_provenance(joined_items(name, items=0, extents=0, size=MB), name)  # type: ignore[arg-type]
    assert [field.value for field in p.fields] == ["EOS R5"]
    assert p.notes == ()


@pytest.mark.parametrize("name", ["HEIC", "AVIF"])
def test_what_is_cut_short_is_said(name: str) -> None:
    whole = encode(photo(), name, exif=b"Exif\0\0" + exif_block({272: b"EOS R5"}), xmp=xmp())
    assert read_provenance(whole[: whole.index(b"mdat") + 20], name).notes == (COSTLY,)  # type: ignore[arg-type]
