"""The Batch tab's callbacks: a table that fills, downloads of what is done, and no file but uploads."""

import csv
import io
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from causalclip.clip.weights import WeightsMissing
from causalclip.examine.batch import Row
from causalclip.examine.headline import tone_of
from causalclip.report.card import SIGN
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.batch.opened import GONE
from ui.batch.progress import progress
from ui.batch.tab import BatchTab, build_batch_tab
from ui.batch.table import draw_table
from ui.detect.searches import SITES, searches
from ui.server.files import new_folder
from ui.server.turns import take_turn


@pytest.fixture(scope="module")
def tab() -> BatchTab:
    detector = tiny_detector()
    with gr.Blocks():
        return build_batch_tab(lambda: detector)


def upload(**files: bytes) -> list[dict[str, str]]:
    folder = new_folder()
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return [{"path": str(path)} for path in sorted(folder.iterdir())]


def rows(table: str) -> list[list[str]]:
    """The cells of an HTML table's body."""
    body = table.partition("<tbody>")[2]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body)]


def text(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


def event(index: int) -> Any:
    """A click on a row, as the table's script sends it."""
    return SimpleNamespace(index=index)


def sentence(tab: BatchTab, updates: dict[Any, Any]) -> str:
    return str(updates[tab.status])


def test_rows_come_one_by_one_and_a_bad_file_costs_its_row(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"), b_jpg=b"\xff\xd8\xff broken", c_png=encode(photo(90, 80), "PNG"))
    updates = list(tab.run(take_turn("batch"), payload))
    tables = [rows(u[tab.table]) for u in updates if u.get(tab.table)]
    assert [len(t) for t in tables] == [1, 1, 2, 3, 3, 3]
    assert [t[-1][4] for t in tables[:2]] == [
        "Being checked",
        tables[1][-1][4],
    ]  # the verdict comes before its stability
    assert [text(row[1]) for row in tables[-1]] == ["a.png", "b.jpg", "c.png"]
    said = [text(sentence(tab, u)) for u in updates]
    assert said[0] == "Looking at the first picture of 3."
    assert [s.partition(" done")[0] for s in said[1:-1]] == ["0 of 3", "1 of 3", "2 of 3", "2 of 3", "3 of 3"]
    assert "seconds left" in said[2]
    assert tables[-1][1][2] == "Not examined"
    assert tables[-1][1][-1]
    assert "2 examined, 1 could not be" in sentence(tab, updates[-1])
    shown = next(u[tab.table_file]["value"] for u in updates if u.get(tab.table_file, {}).get("value"))
    lines = list(csv.reader(io.StringIO(Path(shown).read_text(encoding="utf-8-sig"))))
    assert [line[1] for line in lines] == ["File", "a.png", "b.jpg", "c.png"]
    with zipfile.ZipFile(updates[-1][tab.reports]["value"]) as archive:
        names = archive.namelist()
        assert names == ["results.csv", "01-a.html", "01-a.json", "03-c.html", "03-c.json"]
        said = json.loads(archive.read("01-a.json"))
        assert "data:image/webp" in archive.read("01-a.html").decode()
    assert said["answer"] == text(tables[-1][0][2]).split(maxsplit=1)[1]
    assert said["stability"]["words"] == tables[-1][0][4]
    assert "data:image" not in json.dumps(said)


def test_a_row_looks_as_in_detect_and_opens_its_full_result(tab: BatchTab) -> None:
    *_, last = tab.run(take_turn("batch"), upload(a_png=encode(photo(), "PNG"), b_jpg=b"no picture"))
    batch = last[tab.batch]
    drawn = last[tab.table]
    tone = tone_of(batch.rows[0].answer)
    assert f"class='cc-answer cc-{tone}'" in drawn
    assert SIGN[tone] in drawn
    assert drawn.count("src='data:image/webp;base64,") == 1
    assert text(rows(drawn)[0][-1]) == "\N{EN DASH}"  # no metadata
    assert re.findall(r"data-number='(\d+)'", drawn) == ["1"]  # the refused one has nothing to open
    opened = tab.open(batch, event(1))
    for part in ("cc-card", "cc-scale", "aria-label='Provenance'", "aria-label='Stability'", "src='data:image/webp"):
        assert part in opened
    assert tab.open(batch, event(2)) == tab.open(None, event(1)) == GONE
    in_memory = len(json.dumps(list(batch.thumbnails.values())))
    assert in_memory < 10_000  # the results themselves are on disk


def test_time_left_is_of_those_that_are_not_done() -> None:
    assert progress(3, 12, 12) == "3 of 12 done, about 40 seconds left."
    assert progress(1, 50, 10) == "1 of 50 done, about 9 minutes left."
    assert progress(0, 4, 3) == "0 of 4 done."
    assert progress(4, 4, 3) == "4 of 4 done."


def test_stopping_keeps_what_is_done(tab: BatchTab) -> None:
    png = encode(photo(), "PNG")
    running = tab.run(take_turn("batch"), upload(a_png=png, b_png=png, c_png=png))
    for _ in range(3):
        next(running)
    batch = next(running)[tab.batch]
    running.close()  # what Gradio does to a cancelled event
    (kept,) = tab.stopped(take_turn("batch"), batch)
    assert "kept: 1 of 3" in sentence(tab, kept)
    assert [row.survives for row in kept[tab.batch].rows] == [batch.rows[0].survives, "Not checked"]
    with zipfile.ZipFile(kept[tab.reports]["value"]) as archive:
        assert archive.namelist() == ["results.csv", "01-a.html", "01-a.json"]
    assert kept[tab.start]["interactive"]
    assert "kept: 0 of 0" in sentence(tab, next(tab.stopped(take_turn("batch"), None)))


def test_a_hopeless_archive_is_explained(tab: BatchTab) -> None:
    *_, said, last = tab.run(take_turn("batch"), upload(a_zip=b"PK\x03\x04 broken"))
    assert "cut short or damaged" in sentence(tab, said)
    assert tab.status not in last  # and the explanation stays


def test_missing_weights_are_explained() -> None:
    def missing() -> Any:
        raise WeightsMissing("There is no detector.")

    with gr.Blocks():
        tab = build_batch_tab(missing)
    said = list(tab.run(take_turn("batch"), upload(a_png=encode(photo(), "PNG"))))[-2]
    assert "There is no detector." in sentence(tab, said)


def test_names_are_escaped() -> None:
    drawn = draw_table([Row(1, "<img src=x onerror=alert(1)>", "inconclusive", 0.51234, claims="'>&")])
    assert "<img" not in drawn
    assert text(rows(drawn)[0][1]) == "&lt;img src=x onerror=alert(1)&gt;"
    assert "data-value='0.51234'>0.51<" in drawn
    assert draw_table([]) == ""


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.org/a.png", "../../etc/passwd", 7])
def test_nothing_but_uploads_is_read(tab: BatchTab, path: object) -> None:
    with pytest.raises(gr.Error):
        next(tab.run(take_turn("batch"), [{"path": path}]))


def test_nothing_given(tab: BatchTab) -> None:
    assert ["Add pictures" in sentence(tab, u) for u in tab.run(take_turn("batch"), None)] == [True]
    assert ["Add pictures" in sentence(tab, u) for u in tab.run(take_turn("batch"), [])] == [True]


def test_search_links_carry_nothing() -> None:
    found: list[dict[str, str | None]] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "a":
                found.append(dict(attrs))

    Links().feed(searches())
    assert [link["href"] for link in found] == list(SITES.values())
    for link in found:
        assert (link["target"], link["rel"]) == ("_blank", "noopener noreferrer")
        assert "?" not in str(link["href"])
