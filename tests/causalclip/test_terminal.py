"""Columns on a terminal: aligned by cells, of which a Chinese or Japanese character takes two."""

from pathlib import Path

import pytest
from rich.cells import cell_len

from causalclip.commands.terminal import MAX_LINE, Lines
from causalclip.examination.result import Stage
from causalclip.examination.stages import examine_file
from causalclip.languages import _, speaking
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo

NAMES = "a.png", "東京の写真.png", "ある長い名前の写真" * 8 + "-1.png"


@pytest.mark.parametrize("language", ["en", "zh", "ja"])
def test_answers_stand_below_each_other_whatever_the_names_are(
    tmp_path: Path, language: str
) -> None:
    paths = [tmp_path / name for name in NAMES]
    found = examine_file(encode(photo(300), "PNG"), tiny_detector(), until=Stage.VERDICT)
    with speaking(language):
        lines = Lines(paths, tested=False)
        drawn = [lines.line(path, found) for path in paths]
        answer = _(found.headline.origin.answer.brief)
    assert all(answer in line for line in drawn)
    assert len({cell_len(line.partition(answer)[0]) for line in drawn}) == 1
    assert all(cell_len(line) <= MAX_LINE + STYLE for line in drawn)
    assert drawn[-1].partition("  ")[0].endswith("-1.png")


STYLE = cell_len("\033[33m\033[1m\033[0m")  # the colours' own characters
