"""The Batch tab's callbacks: a table that fills, downloads of what is done, and no file but uploads."""

import csv
import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from causalclip.batch import CHECKING, NOTHING, UNCHECKED, BatchRow
from causalclip.clip.weights import WeightsMissing
from causalclip.evidence.examination import examine
from causalclip.evidence.headline import ANSWERS, BUT_A_PART, CLAIMED
from causalclip.evidence.region_finder import Region
from causalclip.evidence.regions import RegionFinding
from causalclip.evidence.stability import SAID
from causalclip.evidence.words import LOOKING_FOR_REGIONS, NO_ANSWER, NO_ANSWER_TITLE
from causalclip.languages import LANGUAGES, _, is_rtl, speaking
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.batch.results import Batch, full_result, gone
from ui.batch.tab import BatchTab, build_batch_tab, progress
from ui.batch.table import ORDER, counts, draw_table, filters
from ui.fields import new_folder
from ui.server.queue import FairQueue, Priority
from ui.turns import take_turn


@pytest.fixture(autouse=True)
def drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.batch.tab.PAUSE", 0.0)


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


def click(row: int) -> Any:
    """On a row, as the table's script sends it."""
    return SimpleNamespace(index=row)


def run(tab: BatchTab, payload: Any, before: Batch | None = None) -> list[dict[Any, Any]]:
    return list(tab.run(take_turn("batch"), payload, before))


def test_answers_come_first_and_a_bad_file_costs_its_row(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"), b_jpg=b"\xff\xd8\xff broken", c_png=encode(photo(90, 80), "PNG"))
    updates = run(tab, payload)
    tables = [rows(u[tab.table]) for u in updates if u.get(tab.table)]
    assert [len(t) for t in tables] == [1, 2, 3, 3, 3, 3]
    checked = [sum(row[4] not in (CHECKING, "\N{EN DASH}") for row in t) for t in tables]
    assert checked == [0, 0, 0, 1, 2, 2]  # all answers, and only then whether they survive
    assert "Finished: 2 examined, 1 could not be." in updates[-1][tab.status]
    batch = updates[-1][tab.batch]
    by_name = {text(row[1]): row for row in tables[-1]}
    assert by_name["b.jpg"][2] == "Not examined"
    assert by_name["b.jpg"][-1]
    lines = list(csv.reader(io.StringIO(Path(tab.packed("csv", batch)).read_text(encoding="utf-8-sig"))))
    assert [line[1] for line in lines] == ["File", "a.png", "b.jpg", "c.png"]
    with zipfile.ZipFile(tab.packed("zip", batch)) as archive:
        names = archive.namelist()
        assert names == ["results.csv", "summary.html", "001-a.html", "001-a.json", "003-c.html", "003-c.json"]
        plain = json.loads(archive.read("001-a.json"))
        assert "data:image/webp" in archive.read("001-a.html").decode()
    assert plain["answer"] == unescape(text(by_name["a.png"][2])).split(maxsplit=1)[1]
    assert plain["stability"]["words"] == by_name["a.png"][4]
    assert "data:image" not in json.dumps(plain)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_summary_is_in_the_readers_language_and_escaped(tmp_path: Path, language: str) -> None:
    found = Batch(tmp_path, 1, (BatchRow(1, "<b>.png", "Likely generated", 0.9, sha256="ab" * 32, survives="Yes"),))
    with speaking(language):
        page = found.download("html").read_text(encoding="utf-8")
        for words in (_("Likely generated"), _("Survives re-encoding?"), "ab" * 32, "&lt;b&gt;.png"):
            assert words in page
        assert f"lang='{language}' dir='{'rtl' if is_rtl() else 'ltr'}'" in page
    assert "<script" not in page
    assert "<b>.png" not in page


def test_what_needs_a_look_stands_on_top_and_is_counted() -> None:
    answers = ("Likely not generated", "Inconclusive", "Likely generated", "The file says it was generated")
    found = [BatchRow(i, f"{i}.jpg", answer, 0.5) for i, answer in enumerate(answers, 1)]
    found.append(BatchRow(5, "5.jpg", "Inconclusive", 0.7))
    assert [text(row[1]) for row in rows(draw_table(found))] == ["4.jpg", "3.jpg", "5.jpg", "2.jpg", "1.jpg"]
    every = [BatchRow(i, "", answer) for answer, n in zip(ORDER, range(1, 20), strict=False) for i in range(n)]
    assert len(counts(every).split(", ")) == len(ORDER) - 1  # both answers of which one part differs are one
    assert f"{sum(row.answer in BUT_A_PART.values() for row in every)} with one part that differs" in counts(every)
    with speaking("uk"):
        assert counts([BatchRow(i, "", "Likely generated") for i in range(3)]) == "3 ймовірно згенеровані"


def test_files_that_are_examined_are_not_examined_again(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"))
    before = run(tab, payload)[-1][tab.batch]
    more = payload + upload(b_png=encode(photo(90, 80), "PNG"))
    updates = [u for u in run(tab, more, before) if u.get(tab.table)]
    assert [row[4] for row in rows(updates[0][tab.table])] == [before.rows[0].survives]  # at once
    assert len(updates[-1][tab.batch].rows) == 2


def test_files_that_were_deleted_meanwhile_are_to_be_added_again(tab: BatchTab) -> None:
    """After an hour; so is the batch's own folder."""
    old = upload(a_png=encode(photo(), "PNG"))
    before = run(tab, old)[-1][tab.batch]
    Path(old[0]["path"]).unlink()
    shutil.rmtree(before.folder)
    later = run(tab, [*upload(c_png=encode(photo(80, 70), "PNG")), *old], before)[-1]
    found = sorted(later[tab.batch].rows, key=lambda row: row.number)
    assert [(row.name, bool(row.problem)) for row in found] == [("c.png", False), ("a.png", True)]
    assert "Add it again." in found[1].problem


def test_equal_bytes_under_two_names_are_two_rows_each_with_its_own(tab: BatchTab) -> None:
    """Also in a later run, in which one of them has another number."""
    data = encode(photo(), "PNG")
    payload = upload(reuters_png=data, whatsapp_png=data)
    first = run(tab, payload)[-1][tab.batch]
    later = run(tab, [*upload(a_png=data), *payload], first)[-1][tab.batch]
    for batch, names in (first, ["reuters", "whatsapp"]), (later, ["a", "reuters", "whatsapp"]):
        written = dict(batch.reports())
        for number, name in enumerate(names, 1):
            assert f"<bdi>{name}.png</bdi>" in tab.open(batch, click(number))
            assert json.loads(written[f"{number:03d}-{name}.json"])["name"] == f"{name}.png"
            page = written[f"{number:03d}-{name}.html"]
            assert [other for other in names if f"{other}.png" in page] == [name]


def test_a_row_opens_its_full_result(tab: BatchTab) -> None:
    last = run(tab, upload(a_png=encode(photo(), "PNG"), b_jpg=b"no picture"))[-1]
    batch, drawn = last[tab.batch], last[tab.table]
    assert drawn.count("src='data:image/webp;base64,") == 1
    assert re.findall(r"data-number='(\d+)'", drawn) == ["1"]  # the refused one has nothing to open
    opened = tab.open(batch, click(1))
    for part in ("cc-card", "cc-scale", "aria-label='Provenance'", "aria-label='Stability'", "src='data:image/webp"):
        assert part in opened
    assert tab.open(batch, click(2)) == tab.open(None, click(1)) == gone()
    assert len(json.dumps(list(batch.thumbnails.values()))) < 10_000  # the results themselves are on disk
    assert json.loads(dict(batch.reports())["001-a.json"])["parts"]["sentence"] in unescape(opened)
    assert LOOKING_FOR_REGIONS not in opened


def test_an_opened_row_shows_the_part_that_differs_and_no_map_without_an_answer() -> None:
    square = Region((16, 16, 48, 48), (((16, 16), (48, 16), (48, 48), (16, 48)),), 0.2, 16)
    x = examine(encode(photo(), "PNG"), tiny_detector(), stability=False)
    said = full_result(replace(x, parts=RegionFinding("found", square)), causal="data:,")
    assert "cc-part-found" in said
    assert "<figure>" in said
    blank = examine(encode(np.full((90, 90, 3), 80, np.uint8), "PNG"), tiny_detector(), stability=False)
    said = full_result(blank, causal="data:,")
    assert "cc-unanswered" in said
    assert "<figure>" not in said


def test_time_left_is_of_those_that_are_not_done() -> None:
    assert progress(3, 12, 12) == "3 of 12 have an answer, about 40 seconds left."
    assert progress(1, 50, 10) == "1 of 50 have an answer, about 9 minutes left."
    assert progress(0, 4, 3) == "0 of 4 have an answer."


def test_the_bar_moves_with_every_answer_and_the_place_in_the_queue_is_told(
    tab: BatchTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = FairQueue(1)
    monkeypatch.setattr("ui.batch.tab.PICTURES", queue)
    first = queue.enter(Priority.VERDICT)
    running = tab.run(take_turn("batch"), upload(a_png=encode(photo(), "PNG")))
    assert "<progress value='0' max='2'" in next(running)[tab.status]
    assert "Waiting, 1 before you." in next(running)[tab.status]
    with first:
        pass
    assert [re.findall(r"<progress value='(.)'", u[tab.status]) for u in running] == [["1"], ["2"], []]


def test_stopping_keeps_what_is_done(tab: BatchTab) -> None:
    sizes = ((64, 64), (80, 70), (90, 80))
    payload = upload(**{f"{i}_png": encode(photo(*size), "PNG") for i, size in enumerate(sizes)})
    running = tab.run(take_turn("batch"), payload)
    for _skipped in range(4):
        next(running)
    batch = next(running)[tab.batch]  # three answers, and whether the first survives
    running.close()  # what Gradio does to a cancelled event
    (kept,) = tab.stopped(take_turn("batch"), batch)
    assert "Checked whether it survives: 1 of 3." in kept[tab.status]
    survives = {row.number: row.survives for row in kept[tab.batch].rows}
    assert survives == {1: batch.finished[batch.rows[-1].key].survives, 2: UNCHECKED, 3: UNCHECKED}
    with zipfile.ZipFile(tab.packed("zip", kept[tab.batch])) as archive:
        assert archive.namelist() == ["results.csv", "summary.html", "001-0.html", "001-0.json"]
    assert kept[tab.start]["interactive"]


def test_what_goes_wrong_as_a_whole_is_said(tab: BatchTab, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise WeightsMissing("There is no detector.")

    def full() -> Path:
        raise OSError("The disk is full.")

    *_, said, last = run(tab, upload(a_zip=b"PK\x03\x04 broken"))
    assert "cut short or damaged" in said[tab.status]
    assert tab.status not in last  # and the explanation stays
    with gr.Blocks():
        broken = build_batch_tab(missing)
    assert "There is no detector." in run(broken, upload(a_png=encode(photo(), "PNG")))[-2][broken.status]
    payload = upload(a_png=encode(photo(), "PNG"))
    monkeypatch.setattr("ui.batch.tab.new_folder", full)
    said, last = run(tab, payload)
    assert "Something went wrong here" in said[tab.status]
    assert last[tab.start]["interactive"]


def test_a_table_is_escaped_and_says_why_there_is_no_answer() -> None:
    drawn = draw_table([BatchRow(1, "<img src=x onerror=alert(1)>", "inconclusive", 0.51234, claims="'>&")])
    assert "<img" not in drawn
    assert "data-value='0.51234'>0.51<" in drawn
    page = BatchRow(1, "page.png", NO_ANSWER_TITLE, band=NO_ANSWER, kind="page", survives=NOTHING, sha256="ab" * 32)
    refused = BatchRow(2, "broken.png", "Not examined", problem="It is damaged.")
    html = draw_table([page, refused], edges=(0.3, 0.7))
    assert re.findall(r"data-number='(\d+)'", html) == ["1"]
    assert "Kind of picture: page." in html
    assert "It is damaged." in html
    marked = BatchRow(1, "a.png", CLAIMED["generated"], 0.04, band="likely not generated", claims="It carries a mark.")
    assert "By the pixels: likely not generated. It carries a mark." in draw_table([marked], edges=(0.3, 0.7))


@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_a_filter_has_the_keys_of_every_row_in_any_language(language: str) -> None:
    """Two answers hold a comma, and whether an answer survives is kept in the words of who asked."""
    with speaking(language):
        survives = [_(key) if key == "Yes" else f"{_(key)}: so many copies" for key in SAID.values()]
        found = [
            BatchRow(n, "a.png", answer, 0.5, survives=survives[n % 3], cautions="dark, small", kind="photograph")
            for n, answer in enumerate(ANSWERS)
        ]
        html, offered = draw_table(found, edges=(0.3, 0.7)), filters()
    for name in ("kind", "answer", "cautions", "survives"):
        (choices,) = re.findall(f"data-filter='{name}'>(.*?)</select>", offered)
        kept = {key for values in re.findall(f" data-{name}='(.*?)'", html) for key in values.split("|")}
        assert kept <= set(re.findall("value='([^']+)'", choices))
    assert html.count("data-answer='One part differs'") == 2
    assert {*re.findall("data-survives='(.*?)'", html)} == set(SAID.values())


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.org/a.png", "../../etc/passwd", 7])
def test_nothing_but_uploads_is_read(tab: BatchTab, path: object) -> None:
    with pytest.raises(gr.Error):
        next(tab.run(take_turn("batch"), [{"path": path}]))
    assert len(run(tab, None)) == len(run(tab, [])) == 1
