"""The Batch tab's callbacks: a table that fills, downloads of what is done, and no file but uploads."""

import csv
import io
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from causalclip.clip.weights import WeightsMissing
from causalclip.examine.batch import Row
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.batch.tab import BatchTab, build_batch_tab
from ui.batch.table import draw_table
from ui.detect.searches import SITES, links
from ui.server.files import new_folder


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
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]


def sentence(tab: BatchTab, updates: dict[Any, Any]) -> str:
    return str(updates[tab.status])


def test_rows_come_one_by_one_and_a_bad_file_costs_its_row(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"), b_jpg=b"\xff\xd8\xff broken", c_png=encode(photo(90, 80), "PNG"))
    updates = list(tab.run(payload))
    tables = [rows(u[tab.table]) for u in updates if u.get(tab.table)]
    assert [len(t) for t in tables] == [1, 2, 3]
    assert [row[1] for row in tables[-1]] == ["a.png", "b.jpg", "c.png"]
    assert tables[-1][1][2] == "not examined"
    assert tables[-1][1][-1]
    assert "2 examined, 1 could not be" in sentence(tab, updates[-1])
    shown = next(u[tab.table_file]["value"] for u in updates if u.get(tab.table_file, {}).get("value"))
    lines = list(csv.reader(io.StringIO(Path(shown).read_text(encoding="utf-8-sig"))))
    assert [line[1] for line in lines] == ["File", "a.png", "b.jpg", "c.png"]
    with zipfile.ZipFile(updates[-1][tab.reports]["value"]) as archive:
        names = archive.namelist()
        assert names == ["results.csv", "01-a.html", "01-a.json", "03-c.html", "03-c.json"]
        said = json.loads(archive.read("01-a.json"))
    assert said["examination"]["band"] == tables[-1][0][2]
    assert said["maps"]["causal"].startswith("data:image/png")


def test_stopping_keeps_what_is_done(tab: BatchTab) -> None:
    png = encode(photo(), "PNG")
    running = tab.run(upload(a_png=png, b_png=png, c_png=png))
    next(running)
    batch = next(running)[tab.batch]
    running.close()  # what Gradio does to a cancelled event
    kept = tab.stopped(batch)
    assert "1 of the files" in sentence(tab, kept)
    with zipfile.ZipFile(kept[tab.reports]["value"]) as archive:
        assert archive.namelist() == ["results.csv", "01-a.html", "01-a.json"]
    assert kept[tab.start]["interactive"]
    assert "0 of the files" in sentence(tab, tab.stopped(None))


def test_a_hopeless_archive_is_explained(tab: BatchTab) -> None:
    *_, said, last = tab.run(upload(a_zip=b"PK\x03\x04 broken"))
    assert "cut short or damaged" in sentence(tab, said)
    assert tab.status not in last  # and the explanation stays


def test_missing_weights_are_explained() -> None:
    def missing() -> Any:
        raise WeightsMissing("There is no detector.")

    with gr.Blocks():
        tab = build_batch_tab(missing)
    said = list(tab.run(upload(a_png=encode(photo(), "PNG"))))[-2]
    assert "There is no detector." in sentence(tab, said)


def test_names_are_escaped() -> None:
    drawn = draw_table([Row(1, "<img src=x onerror=alert(1)>", "inconclusive", 0.51234, claims="'>&")])
    assert "<img" not in drawn
    assert rows(drawn)[0][1] == "&lt;img src=x onerror=alert(1)&gt;"
    assert "data-value='0.51234'>0.51<" in drawn
    assert draw_table([]) == ""


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.org/a.png", "../../etc/passwd", 7])
def test_nothing_but_uploads_is_read(tab: BatchTab, path: object) -> None:
    with pytest.raises(gr.Error):
        next(tab.run([{"path": path}]))


def test_nothing_given(tab: BatchTab) -> None:
    assert ["Add pictures" in sentence(tab, u) for u in tab.run(None)] == [True]
    assert ["Add pictures" in sentence(tab, u) for u in tab.run([])] == [True]


def test_search_links_carry_nothing() -> None:
    found: list[dict[str, str | None]] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "a":
                found.append(dict(attrs))

    Links().feed(links())
    assert [link["href"] for link in found] == list(SITES.values())
    for link in found:
        assert (link["target"], link["rel"]) == ("_blank", "noopener noreferrer")
        assert "?" not in str(link["href"])
