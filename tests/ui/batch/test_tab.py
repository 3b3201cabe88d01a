"""The Batch tab's callbacks: a table that fills, downloads of what is done, and no file but uploads."""

import csv
import io
import json
import re
import unicodedata
import warnings
import zipfile
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import gradio as gr
import numpy as np
import pytest
from pypdf import PdfReader

from causalclip.clip.weights import WeightsMissing
from causalclip.evidence.cautions import SHORT, Kind
from causalclip.evidence.examination import examine
from causalclip.evidence.headline import ANSWERS, BUT_A_PART, tone_of
from causalclip.evidence.region_finder import Region
from causalclip.evidence.regions import RegionFinding
from causalclip.examine.batch import CHECKING, UNCHECKED, Row
from causalclip.languages import LANGUAGES, _, is_rtl, speaking
from causalclip.report.card import LOOKING_FOR_PARTS, SIGN
from causalclip.report.document import draw_thumbnail
from causalclip.report.overview import METHOD
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.batch import opened as opened_row
from ui.batch.downloads import write_download
from ui.batch.kept import Batch
from ui.batch.opened import gone
from ui.batch.progress import progress
from ui.batch.tab import BatchTab, build_batch_tab
from ui.batch.table import draw_table
from ui.batch.triage import ORDER, counts
from ui.detect.searches import SITES, searches
from ui.server.files import new_folder
from ui.server.queue import FairQueue, Priority
from ui.server.turns import take_turn


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


def event(index: int) -> Any:
    """A click on a row, as the table's script sends it."""
    return SimpleNamespace(index=index)


def sentence(tab: BatchTab, updates: dict[Any, Any]) -> str:
    return str(updates[tab.status])


def test_answers_come_first_and_a_bad_file_costs_its_row(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"), b_jpg=b"\xff\xd8\xff broken", c_png=encode(photo(90, 80), "PNG"))
    updates = list(tab.run(take_turn("batch"), payload))
    tables = [rows(u[tab.table]) for u in updates if u.get(tab.table)]
    assert [len(t) for t in tables] == [1, 2, 3, 3, 3, 3]
    checked = [sum(row[4] not in (CHECKING, "\N{EN DASH}") for row in t) for t in tables]
    assert checked == [0, 0, 0, 1, 2, 2]  # all answers, and only then whether they survive
    said = [text(sentence(tab, u)) for u in updates]
    assert said[0] == "Looking at the first picture of 3."
    assert said[2].startswith("2 of 3 have an answer, about ")
    assert said[3].startswith("3 of 3 have an answer. ")
    assert said[4].startswith("All have an answer. Checked whether it survives: 2 of 3")
    batch = updates[-1][tab.batch]
    assert said[-1] == f"Finished: 2 examined, 1 could not be. {(c := counts(batch.rows))[0].upper()}{c[1:]}."
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
    assert plain["answer"] == text(by_name["a.png"][2]).split(maxsplit=1)[1]
    assert plain["stability"]["words"] == by_name["a.png"][4]
    assert "data:image" not in json.dumps(plain)


def test_a_summary_can_be_mailed_of_what_is_done(tab: BatchTab) -> None:
    """As HTML and PDF, at any moment: here before anything was checked."""
    running = tab.run(take_turn("batch"), upload(a_png=encode(photo(), "PNG"), b_png=encode(photo(90, 80), "PNG")))
    next(running)
    batch = next(running)[tab.batch]
    running.close()
    page = Path(tab.packed("html", batch)).read_text(encoding="utf-8")
    pdf = PdfReader(tab.packed("pdf", batch))
    written = "".join(sheet.extract_text() for sheet in pdf.pages)
    assert len(pdf.pages) == 1
    for words in ("1 picture examined", "a.png", batch.rows[0].answer, batch.rows[0].sha256, "Two thresholds make"):
        assert words in page
        assert "".join(words.split()) in "".join(written.split())
    assert "<script" not in page
    assert tab.packed("zip", None) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_summary_is_in_the_readers_language(tmp_path: Path, language: str) -> None:
    """The PDF, too: its letters are shaped, and none is missing in its fonts."""
    found = (Row(1, "a.png", "Likely generated", 0.9, sha256="ab" * 32, survives="Yes", cautions="small"),)
    with speaking(language):
        page = write_download("html", Batch(tmp_path, 1, found)).read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            written = "".join(
                sheet.extract_text() for sheet in PdfReader(write_download("pdf", Batch(tmp_path, 1, found))).pages
            )
        direction = "rtl" if is_rtl() else "ltr"
        for words in (_("Likely generated"), _(METHOD), _("Survives re-encoding?"), _(SHORT["small"])):
            assert words in page
        answer = _("Likely generated")
    assert f"lang='{language}' dir='{direction}'" in page
    assert "ab" * 32 in written
    if language not in ("ar", "hi"):  # whose letters change their shape and order, so that no reader finds all of them
        assert answer in written
    else:
        named = [unicodedata.name(letter, "") for letter in unicodedata.normalize("NFKC", written)]
        script = "ARABIC" if language == "ar" else "DEVANAGARI"
        assert sum(script in name for name in named) > 500


def test_what_is_too_long_for_its_line_in_the_pdf_ends_after_a_whole_word(tmp_path: Path) -> None:
    found = (Row(1, "a.png", "Inconclusive", 0.5, sha256="ab" * 32, survives="otherwise " * 40),)
    sheets = PdfReader(write_download("pdf", Batch(tmp_path, 1, found))).pages
    assert len(sheets) == 1
    assert re.findall(r"\w+\N{HORIZONTAL ELLIPSIS}", sheets[0].extract_text()) == ["otherwise\N{HORIZONTAL ELLIPSIS}"]


def test_a_summary_of_two_hundred_pictures_is_small(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = draw_thumbnail(noise, side=64)
    found = [Row(i, f"<b>{i}.jpg", ANSWERS[i % len(ANSWERS)], 0.5, sha256=f"{i:064x}") for i in range(200)]
    batch = Batch(tmp_path, 200, tuple(found), {row.sha256: picture for row in found})
    for kind in ("html", "pdf"):
        path = write_download(kind, batch)
        assert path.stat().st_size < 5_000_000
    assert "<b>0.jpg" not in (tmp_path / "causalclip-batch.html").read_text()
    assert len(PdfReader(tmp_path / "causalclip-batch.pdf").pages) <= 5


def test_what_needs_a_look_stands_on_top() -> None:
    answers = ("Likely not generated", "Inconclusive", "Likely generated", "The file says it was generated")
    found = [Row(i, f"{i}.jpg", answer, 0.5) for i, answer in enumerate(answers, 1)]
    found.append(Row(5, "5.jpg", "Inconclusive", 0.7))
    assert [text(row[1]) for row in rows(draw_table(found))] == ["4.jpg", "3.jpg", "5.jpg", "2.jpg", "1.jpg"]
    assert counts(found) == (
        "1 whose file says it was generated, 1 likely generated, 2 inconclusive, 1 likely not generated"
    )


def test_counts_are_said_in_the_plural_of_the_language() -> None:
    found = [Row(i, "", answer) for answer, n in zip(ORDER, range(1, 20), strict=False) for i in range(n)]
    assert len(counts(found).split(", ")) == len(ORDER) - 1  # both answers of which one part differs are one
    parted = sum(row.answer in BUT_A_PART.values() for row in found)
    assert parted > 1
    assert f"{parted} with one part that differs" in counts(found)
    three = [Row(i, "", "Likely generated") for i in range(3)]
    told = {"en": "3 likely generated", "es": "3 probablemente generadas", "uk": "3 ймовірно згенеровані"}
    for language, words in told.items():
        with speaking(language):
            assert counts(three) == words


def test_what_to_be_careful_about_is_a_sentence() -> None:
    found = [Row(1, "a.jpg", "Inconclusive", 0.5, cautions="small, dark")]
    assert rows(draw_table(found))[0][5] == "Too small to be looked at close up. Mostly dark, which misleads detectors."
    assert set(SHORT) == set(get_args(Kind))


def test_files_that_are_examined_are_not_examined_again(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"))
    *_, last = tab.run(take_turn("batch"), payload)
    before = last[tab.batch]
    more = payload + upload(b_png=encode(photo(90, 80), "PNG"))
    updates = [u for u in tab.run(take_turn("batch"), more, before) if u.get(tab.table)]
    first = rows(updates[0][tab.table])
    assert [row[4] for row in first] == [before.rows[0].survives]  # at once
    assert len(updates[-1][tab.batch].rows) == 2


def test_equal_bytes_under_two_names_are_two_rows_each_with_its_own(tab: BatchTab) -> None:
    """Also in a later run, in which one of them has another number."""
    data = encode(photo(), "PNG")
    payload = upload(reuters_png=data, whatsapp_png=data)
    *_, first = tab.run(take_turn("batch"), payload)
    *_, later = tab.run(take_turn("batch"), [*upload(a_png=data), *payload], first[tab.batch])
    for batch, names in (first[tab.batch], ["reuters", "whatsapp"]), (later[tab.batch], ["a", "reuters", "whatsapp"]):
        written = dict(batch.reports())
        for number, name in enumerate(names, 1):
            assert f"<bdi>{name}.png</bdi>" in tab.open(batch, event(number))
            assert json.loads(written[f"{number:03d}-{name}.json"])["name"] == f"{name}.png"
            page = written[f"{number:03d}-{name}.html"]
            assert [other for other in names if f"{other}.png" in page] == [name]


def test_a_row_looks_as_in_detect_and_opens_its_full_result(tab: BatchTab) -> None:
    *_, last = tab.run(take_turn("batch"), upload(a_png=encode(photo(), "PNG"), b_jpg=b"no picture"))
    batch = last[tab.batch]
    drawn = last[tab.table]
    tone = tone_of(next(row.answer for row in batch.rows if row.score is not None))
    assert f"class='cc-answer cc-{tone}'" in drawn
    assert SIGN[tone] in drawn
    assert drawn.count("src='data:image/webp;base64,") == 1
    assert next(row for row in rows(drawn) if text(row[1]) == "a.png")[-1] == "\N{EN DASH}"  # no metadata
    assert re.findall(r"data-number='(\d+)'", drawn) == ["1"]  # the refused one has nothing to open
    opened = tab.open(batch, event(1))
    for part in ("cc-card", "cc-scale", "aria-label='Provenance'", "aria-label='Stability'", "src='data:image/webp"):
        assert part in opened
    assert tab.open(batch, event(2)) == tab.open(None, event(1)) == gone()
    in_memory = len(json.dumps(list(batch.thumbnails.values())))
    assert in_memory < 10_000  # the results themselves are on disk
    plain = json.loads(dict(batch.reports())["001-a.json"])["parts"]  # what was found of parts, and no promise to look
    assert plain["sentence"] in unescape(opened)
    assert LOOKING_FOR_PARTS not in opened


def test_an_opened_row_without_an_answer_has_no_map_of_one(tmp_path: Path) -> None:
    blank = examine(encode(np.full((90, 90, 3), 80, np.uint8), "PNG"), tiny_detector(), stability=False)
    opened_row.write(tmp_path, blank.sha256, blank, causal="data:,")
    said = opened_row.read(tmp_path, blank.sha256)
    assert "cc-unanswered" in said
    assert "<figure>" not in said


def test_an_opened_row_shows_the_part_that_differs(tmp_path: Path) -> None:
    square = Region((16, 16, 48, 48), (((16, 16), (48, 16), (48, 48), (16, 48)),), 0.2, 16)
    x = examine(encode(photo(), "PNG"), tiny_detector(), stability=False)
    opened_row.write(tmp_path, x.sha256, replace(x, parts=RegionFinding("found", square)), causal="data:,")
    said = opened_row.read(tmp_path, x.sha256)
    assert "cc-part-found" in said
    assert "from (16, 16) to (48, 48)" in said


def test_time_left_is_of_those_that_are_not_done() -> None:
    assert progress(3, 12, 12) == "3 of 12 have an answer, about 40 seconds left."
    assert progress(1, 50, 10) == "1 of 50 have an answer, about 9 minutes left."
    assert progress(0, 4, 3) == "0 of 4 have an answer."
    assert progress(4, 4, 3) == "4 of 4 have an answer."


def test_the_bar_moves_with_every_answer_and_the_place_in_the_queue_is_told(
    tab: BatchTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = FairQueue(1)
    monkeypatch.setattr("ui.batch.tab.PICTURES", door)
    first = door.enter(Priority.VERDICT)
    running = tab.run(take_turn("batch"), upload(a_png=encode(photo(), "PNG")))
    assert "<progress value='0' max='2'" in sentence(tab, next(running))
    waits = sentence(tab, next(running))
    assert "0 of 1 have an answer. Waiting, 1 before you." in text(waits)
    assert "cc-elapsed" in waits
    with first:
        pass
    assert [re.findall(r"<progress value='(.)'", sentence(tab, u)) for u in running] == [["1"], ["2"], []]


def test_stopping_keeps_what_is_done(tab: BatchTab) -> None:
    sizes = ((64, 64), (80, 70), (90, 80))
    running = tab.run(
        take_turn("batch"), upload(**{f"{i}_png": encode(photo(*size), "PNG") for i, size in enumerate(sizes)})
    )
    for _skipped in range(4):
        next(running)
    batch = next(running)[tab.batch]  # three answers, and whether the first survives
    running.close()  # what Gradio does to a cancelled event
    (kept,) = tab.stopped(take_turn("batch"), batch)
    assert "kept: All have an answer. Checked whether it survives: 1 of 3." in sentence(tab, kept)
    survives = {row.number: row.survives for row in kept[tab.batch].rows}
    assert survives == {1: batch.finished[batch.rows[-1].key].survives, 2: UNCHECKED, 3: UNCHECKED}
    with zipfile.ZipFile(tab.packed("zip", kept[tab.batch])) as archive:
        assert archive.namelist() == ["results.csv", "summary.html", "001-0.html", "001-0.json"]
    assert kept[tab.start]["interactive"]
    early = tab.stopped(take_turn("batch"), replace(batch, rows=batch.rows[:1]))
    assert "kept: 1 of 3 have an answer." in sentence(tab, next(early))
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
