"""EXIF and XMP of HEIC and AVIF files: read by native readers in a process of their own, whose time and memory end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from causalclip.provenance import isomedia
from causalclip.provenance.blocks import COSTLY
from causalclip.provenance.reading import read_provenance
from tests.makers.metadata_files import exif_block, joined_items, xmp
from tests.makers.pictures import encode, photo

MB = 2**20
BOMBS: tuple[tuple[int, int, int, bytes], ...] = (  # items, extents of each, bytes of the file, kind of the items
    (500, 64, MB, b"Exif"),
    (8, 64, 20 * MB, b"Exif"),
    (8, 64, 20 * MB, b"mime"),
    (8, 32, 20 * MB, b"Exif"),
    (500, 32, MB, b"mime"),
    (500, 1, 20 * MB, b"Exif"),
)
MEASURE = """
import json, pathlib, resource, sys
from causalclip.provenance.reading import read_provenance

def used():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)

def highest():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    seconds, before = used(), highest()
    notes = read_provenance(data, path.suffix[1:]).notes
    seconds = used() - seconds
    growth = highest() - before + 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps([path.name, seconds, growth, notes]))
"""


def test_items_that_join_the_whole_file_many_times_cost_little_and_are_said(tmp_path: Path) -> None:
    for number, (items, extents, size, kind) in enumerate(BOMBS):
        for name in ("HEIC", "AVIF"):
            bomb = joined_items(name, items=items, extents=extents, size=size, kind=kind)
            (tmp_path / f"{number}.{name}").write_bytes(bomb)
    done = subprocess.run([sys.executable, "-c", MEASURE, tmp_path], capture_output=True, check=True, timeout=120)
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(measured) == 2 * len(BOMBS)
    for label, seconds, growth, notes in measured:
        print(f"{label}: {seconds:.2f} s, {growth / MB:.0f} MB")
        assert seconds < 1, label
        assert growth < 200 * MB, label  # its own, and all of the highest child's
        assert notes == [COSTLY], label


@pytest.mark.parametrize("name", ["HEIC", "AVIF"])
def test_the_bomb_without_its_charge_is_read(name: str) -> None:
    p = read_provenance(joined_items(name, items=0, extents=0, size=MB), name)  # type: ignore[arg-type]
    assert [field.value for field in p.fields] == ["EOS R5"]
    assert p.notes == ()


@pytest.mark.parametrize("name", ["HEIC", "AVIF"])
def test_what_is_cut_short_is_said(name: str) -> None:
    whole = encode(photo(), name, exif=b"Exif\0\0" + exif_block({272: b"EOS R5"}), xmp=xmp())
    assert read_provenance(whole[: whole.index(b"mdat") + 20], name).notes == (COSTLY,)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["HEIC", "AVIF"])
def test_no_process_is_started_where_there_is_nothing_to_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(isomedia, "run_apart", lambda module, argument, data, **_: started.append(argument))
    assert read_provenance(encode(photo(), name), name).notes == ()  # type: ignore[arg-type]
    assert started == []
