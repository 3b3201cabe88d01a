"""The Batch tab's callbacks: a table that fills, downloads of what is done, and no file but
uploads."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from causalclip.batch import CHECKING, NOTHING_TO_CHECK, UNCHECKED, BatchRow
from causalclip.examination.answer import Origin
from causalclip.examination.messages import NO_ANSWER
from causalclip.images.zips import Member, read_zip
from causalclip.languages import _, is_rtl, speaking
from tests.makers.detectors import tiny_detector
from tests.makers.metadata_files import unjudged_files
from tests.makers.pictures import encode, photo, starred
from ui.panel import new_request
from ui.server.uploads import new_folder
from ui.tabs.batch.results import Batch
from ui.tabs.batch.tab import BatchTab, build_batch_tab, progress
from ui.tabs.batch.table import draw_table


@pytest.fixture(autouse=True)
def drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.tabs.batch.tab.PAUSE", 0.0)


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
    return [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body)
    ]


def text(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


def click(row: int) -> Any:
    """On a row, as the table's script sends it."""
    return SimpleNamespace(index=row)


def run(tab: BatchTab, payload: Any, before: Batch | None = None) -> list[dict[Any, Any]]:
    return list(tab.run(new_request("batch"), payload, before))


def test_answers_come_first_and_a_bad_file_costs_its_row(tab: BatchTab) -> None:
    payload = upload(
        a_png=encode(photo(), "PNG"),
        b_jpg=b"\xff\xd8\xff broken",
        c_png=encode(photo(90, 80), "PNG"),
    )
    updates = run(tab, payload)
    tables = [rows(u[tab.table]) for u in updates if u.get(tab.table)]
    assert [len(t) for t in tables] == [1, 2, 3, 3, 3, 3]
    checked = [sum("cc-row-dots" in row[-1] for row in t) for t in tables]
    assert checked == [0, 0, 0, 1, 2, 2]  # all answers, and only then whether they survive
    assert "Finished: 2 examined, 1 could not be." in updates[-1][tab.status]
    assert updates[-1][tab.start]["interactive"] is False  # nothing is left to go on with
    batch = updates[-1][tab.batch]
    by_name = {text(row[0]): row for row in tables[-1]}
    assert "failed" in by_name["b.jpg"][1]
    assert "damaged" in by_name["b.jpg"][-1]
    chips = re.findall(r"data-chip='([^']+)'.*?<b>(\d+)</b>", updates[-1][tab.table])
    assert dict(chips)["failed"] == "1"
    assert sum(int(n) for _name, n in chips) == 3
    lines = list(
        csv.reader(
            io.StringIO(Path(tab.write_download("csv", batch)).read_text(encoding="utf-8-sig"))
        )
    )
    assert [line[1] for line in lines] == ["File", "a.png", "b.jpg", "c.png"]
    with zipfile.ZipFile(tab.write_download("zip", batch)) as archive:
        names = archive.namelist()
        assert names == [
            "results.csv",
            "summary.html",
            "001-a.html",
            "001-a.json",
            "003-c.html",
            "003-c.json",
        ]
        plain = json.loads(archive.read("001-a.json"))
        assert "data:image/webp" in archive.read("001-a.html").decode()
    assert plain["answer"].lower() == unescape(text(by_name["a.png"][1])).split(maxsplit=1)[1]
    assert plain["stability"]["answer"] in text(by_name["a.png"][-1])
    assert plain["stability"]["sentence"] in by_name["a.png"][-1]
    assert "data:image" not in json.dumps(plain)


@pytest.mark.parametrize("language", ["de", "ar"])
def test_a_summary_is_in_the_readers_language_and_escaped(tmp_path: Path, language: str) -> None:
    found = Batch(
        tmp_path,
        1,
        (
            BatchRow(
                1, "<b>.png", Origin.LIKELY_GENERATED, 0.9, sha256="ab" * 32, survives="Steady"
            ),
        ),
    )
    with speaking(language):
        page = found.download("html").read_text(encoding="utf-8")
        for words in (
            _("Likely generated"),
            _("Survives re-encoding?"),
            "ab" * 32,
            "&lt;b&gt;.png",
        ):
            assert words in page
        assert f"lang='{language}' dir='{'rtl' if is_rtl() else 'ltr'}'" in page
    assert "<script" not in page
    assert "<b>.png" not in page


def test_a_row_that_cannot_be_read_again_ends_unchecked(
    tab: BatchTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = iter([True])

    def read_once(data: bytes, *, limit: int) -> Iterator[Member]:
        if not next(passes, False):
            raise RuntimeError
        yield from read_zip(data, limit=limit)

    monkeypatch.setattr("causalclip.batch.read_zip", read_once)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1.png", encode(photo(), "PNG"))
    end = run(tab, upload(a_zip=file.getvalue(), b_png=encode(photo(90, 80), "PNG")))[-1]
    checked = {row.name: row.survives for row in end[tab.batch].rows}
    assert checked["1.png"] == UNCHECKED
    assert checked["b.png"] not in (CHECKING, UNCHECKED)
    assert end[tab.start]["interactive"]  # "Go on" tries again


def test_downloads_say_how_many_are_ready_and_the_zip_waits_for_all(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"), b_png=encode(photo(90, 80), "PNG"))
    updates = run(tab, payload)
    said = [text(u[tab.ready]) for u in updates if tab.ready in u and u.get(tab.table)]
    assert said == [*["0 of 2 ready"] * 2, "1 of 2 ready", "", ""]
    zips = [u[tab.all_reports]["interactive"] for u in updates if tab.all_reports in u]
    assert zips == [False, True]
    early = next(u[tab.batch] for u in updates if u.get(tab.ready))
    assert early.download("zip").name == "causalclip-reports-0-of-2.zip"
    assert updates[-1][tab.batch].download("zip").name == "causalclip-reports.zip"


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


def test_a_table_is_escaped_and_says_why_there_is_no_answer() -> None:
    drawn = draw_table(
        [BatchRow(1, "<img src=x onerror=alert(1)>", Origin.INCONCLUSIVE, 0.51234, claims="'>&")]
    )
    assert "<img" not in drawn
    assert "data-value='0.51234'>0.51<" in drawn
    long = draw_table(
        [BatchRow(1, f"{'a' * 60}.png", Origin.INCONCLUSIVE, 0.5)], edges=(0.3, 0.5, 0.7)
    )
    assert re.search(r"title='a{60}\.png'><span>a{52}</span><span>a{8}\.png<", long)
    assert "left:50.0%" in long
    page = BatchRow(
        1,
        "page.png",
        Origin.NO_ANSWER,
        band=NO_ANSWER,
        image_type="page",
        survives=NOTHING_TO_CHECK,
        sha256="ab" * 32,
    )
    refused = BatchRow(2, "broken.png", Origin.NOT_EXAMINED, problem="It is damaged.")
    html = draw_table([page, refused], edges=(0.3, 0.7))
    assert re.findall(r"data-number='(\d+)'", html) == ["1"]
    assert "It is damaged." in html
    rows = [
        BatchRow(n, "a.png", origin, marked=True)
        for n, origin in enumerate((Origin.MARK_OF_GENERATOR, Origin.FILE_EDITED))
    ]
    drawn = draw_table(rows)
    for said, count in (("marked", 2), ("file says edited", 1)):
        assert len(re.findall(f"data-chips='[^']*{said}[^']*'", drawn)) == count
    assert "data-chip='marked'" in drawn
    assert "data-chip='marked'" not in draw_table(rows[1:])  # another chip chooses the same row


def test_a_file_that_came_twice_says_which_row_it_is_the_same_as() -> None:
    same, other = "ab" * 32, "cd" * 32
    rows = [
        BatchRow(1, "first.png", Origin.INCONCLUSIVE, 0.4, sha256=same),
        BatchRow(2, "again.png", Origin.INCONCLUSIVE, 0.4, sha256=same),
        BatchRow(3, "other.png", Origin.INCONCLUSIVE, 0.4, sha256=other),
    ]
    drawn = draw_table(rows)
    assert drawn.count("The same file as first.png") == 1
    assert "The same file as" not in draw_table([rows[0], rows[2]])


def test_a_row_opens_with_its_map_while_copies_are_tested(tab: BatchTab) -> None:
    running = tab.run(new_request("batch"), upload(a_png=encode(photo(), "PNG")))
    batch = next(u[tab.batch] for u in running if u.get(tab.table))
    opened = tab.open(batch, click(1))
    assert "Testing copies: 0 of 8" in opened
    assert "<bdi>a.png</bdi>" in opened
    assert "<img src='data:image" in opened
    running.close()
    assert "<section" in tab.open(batch, click(9))


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.org/a.png", 7])
def test_nothing_but_uploads_is_read(tab: BatchTab, path: object) -> None:
    with pytest.raises(gr.Error):
        next(tab.run(new_request("batch"), [{"path": path}]))
    assert len(run(tab, None)) == len(run(tab, [])) == 1


def test_a_row_whose_pixels_were_refused_opens_what_its_file_says(tab: BatchTab) -> None:
    files = upload(small_png=unjudged_files()["too small"])
    last = list(tab.run(new_request("batch"), files))[-1]
    [[_name, answer]] = rows(last[tab.table])
    assert "file says generated (Ideogram)" in text(answer)
    assert "shorter side" in text(answer)
    opened = last[tab.batch].open(1)
    assert "The file says that it was made with Ideogram" in opened
    assert "Its pixels were not judged." in opened
    assert "Ideogram AI" in opened  # the words that were read
    with zipfile.ZipFile(last[tab.batch].download("zip")) as archive:
        assert archive.namelist() == ["results.csv", "summary.html"]


def test_the_table_shows_the_crop_of_a_visible_mark_and_the_words_of_a_written_one(
    tab: BatchTab,
) -> None:
    exif = Image.Exif()
    exif[305] = "Ideogram AI"
    files = upload(
        a_jpg=encode(photo(), "JPEG", exif=exif),
        b_jpg=encode(starred(), "JPEG"),
        c_jpg=encode(photo(), "JPEG"),
    )
    last = list(tab.run(new_request("batch"), files))[-1]
    answers = {text(name): answer for name, answer, *_rest in rows(last[tab.table])}
    assert ["cc-mark-crop" in answers[f"{name}.jpg"] for name in "abc"] == [False, True, False]
    assert "Ideogram (metadata): “Ideogram AI”" in unescape(answers["a.jpg"])
    assert "Gemini (visible mark)" in answers["b.jpg"]
    summary = last[tab.batch].download("html").read_text(encoding="utf-8")
    assert summary.count("<img class='mark'") == 1
    assert "Ideogram (metadata): “Ideogram AI”" in unescape(summary)


def test_how_long_the_rest_takes_is_said_from_the_third_row_on() -> None:
    """The first ones may have waited for the model."""
    assert progress(2, 30, 300.0) == "2 of 30 have an answer."
    assert progress(3, 30, 20.0) == "3 of 30 have an answer, about 3 minutes left."
    assert progress(30, 30, 20.0) == "30 of 30 have an answer."


def test_a_row_without_an_answer_says_which_kind_of_picture_it_is() -> None:
    page = BatchRow(1, "scan.png", Origin.NO_ANSWER, band=NO_ANSWER, image_type="page")
    assert "no answer (page)" in text(draw_table([page]))
    signed = BatchRow(
        2, "signed.png", Origin.SIGNED_GENERATED, band=NO_ANSWER, image_type="page", whose="Adobe"
    )
    assert "page" not in text(draw_table([signed]))
