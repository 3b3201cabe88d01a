"""The card and the report: words before numbers, the same content in every form, all of it
escaped."""

import base64
import html
import io
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image

from causalclip.calibration import Calibration
from causalclip.examination.cautions import Caution
from causalclip.examination.messages import MEANING, NO_ANSWER, NO_ANSWER_TITLE, bar_place
from causalclip.examination.result import Examination, NotJudged, Stage
from causalclip.examination.schema import SCHEMA, ExaminationSchema
from causalclip.examination.stability import MILD, ReencodedAnswer, Stability, label_of
from causalclip.examination.stages import examine_file, read_claims
from causalclip.images.formats import BrokenImage, ImageTooLarge, UnsupportedImage
from causalclip.report.card import brief, failure, looking, pixels_panel, verdict
from causalclip.report.document import (
    MAX_REPORT,
    Label,
    as_html,
    as_json,
    draw_maps,
    read_label,
    read_quote,
    save_reports,
    write_label,
)
from causalclip.report.inquiries import EarliestCopy, Inquiries, Reply
from tests.makers.detectors import tiny_detector
from tests.makers.metadata_files import exif_block, jpeg_exif, jpeg_with, png_texts
from tests.makers.pictures import encode, photo, segment, starred

EVIL = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>{{ 7*7 }}'


Reports = tuple[Examination, str, dict[str, Any]]


class Page(HTMLParser):
    """Collects tags, their attributes and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def reports(data: bytes, name: str = "") -> Reports:
    detector = tiny_detector()
    x = examine_file(data, detector, name=name)
    maps = draw_maps(x)
    return x, as_html(x, maps=maps), json.loads(as_json(x))


@pytest.fixture(scope="module")
def plain() -> Reports:
    return reports(
        jpeg_exif(exif_block({272: b"EOS R5", 305: b"NovelAI"}, gps=(48.8584, 2.2945))), "photo.jpg"
    )


def test_both_forms_hold_the_same(plain: Reports) -> None:
    x, drawn, said = plain
    text = " ".join(Page(drawn).text.split())
    e, own = said, said["report"]
    assert e["schema"] == SCHEMA
    assert {k: v for k, v in said.items() if k != "report"} == ExaminationSchema.dump(x)
    for value in (
        e["sha256"],
        e["perceptual_hash"],
        e["format"],
        e["revision"],
        e["examined"],
        e["name"],
    ):
        assert value in text
    assert e["band"] == x.band
    assert e["answer"] in text
    for sentence in (
        *e["next_steps"],
        *e["quote"].splitlines(),
        e["stability"]["words"].capitalize(),
        e["stability"]["sentence"],
        e["headline"]["claimed"],
    ):
        assert sentence in text
    assert f"{e['probability']:.6f}" in text
    for row in e["stability"]["rows"]:
        assert label_of(row["name"]) in text
    for field in e["provenance"]["fields"]:
        assert field["value"] in text
    assert [m["generator"] for m in e["provenance"]["marks"]] == ["NovelAI"]
    assert e["provenance"]["summary"] in text
    for sentence in (*own["limits"], *own["not_checked"], *(c["sentence"] for c in e["cautions"])):
        assert sentence in text
    assert "data:image" not in json.dumps(said)  # pictures and arrays are apart


def test_a_visible_mark_is_shown_enlarged_and_written_ones_are_quoted(plain: Reports) -> None:
    x, page, _said = reports(encode(starred(), "JPEG"))
    assert [mark.generator for mark in x.provenance.claimed_marks] == ["Gemini"]
    (shown,) = re.findall(
        r'<figure class="mark"><img [^>]*src="data:image/webp;base64,(.+?)"', page
    )
    crop = Image.open(io.BytesIO(base64.b64decode(shown)))
    left, top, right, bottom = x.mark_boxes[0]
    assert crop.height >= 3 * (bottom - top) * x.drawing.picture.shape[0]
    assert crop.width >= 3 * (right - left) * x.drawing.picture.shape[1]
    assert 'class="mark"' not in plain[1]
    assert "NovelAI" in plain[1]


def test_a_report_is_read_in_two_minutes(plain: Reports) -> None:
    _, drawn, said = plain
    assert len(Page(drawn.partition("</style>")[2]).text.split()) <= 600
    first, last = said["quote"].splitlines()
    assert len(first.split()) <= 45
    assert said["sha256"] in last


def test_a_report_can_be_mailed(plain: Reports) -> None:
    """Also that of a picture that compresses badly."""
    noise = np.random.default_rng(0).integers(-60, 60, (900, 1200, 3))
    x = examine_file(
        encode(np.clip(photo(1200, 900) + noise, 0, 255).astype(np.uint8), "PNG"), tiny_detector()
    )
    drawn = as_html(x, maps=draw_maps(x))
    assert max(len(drawn.encode()), len(plain[1].encode())) <= MAX_REPORT
    for body in re.findall(r"data:image/webp;base64,([^\"]+)", drawn):
        assert max(Image.open(io.BytesIO(base64.b64decode(body))).size) == 640


def test_the_place_is_left_out(plain: Reports) -> None:
    _, drawn, said = plain
    assert "48.85" not in drawn
    assert "48.85" not in json.dumps(said)
    assert said["provenance"]["has_place"]
    assert "names a position" in drawn


HOSTILE = {
    "EXIF": lambda: jpeg_exif(
        exif_block({272: EVIL.encode(), 305: EVIL.encode(), 315: b"NovelAI" + EVIL.encode()})
    ),
    "PNG text": lambda: png_texts(
        ("Software", "NovelAI " + EVIL), (EVIL[:70], "Steps: 20, Sampler: " + EVIL)
    ),
    "comment": lambda: jpeg_with(segment(0xFE, ("Steps: 20, Sampler: x " + EVIL).encode())),
}


@pytest.mark.parametrize("which", HOSTILE)
def test_hostile_names_and_metadata_are_escaped_and_reach_nothing(which: str) -> None:
    _, drawn, said = reports(HOSTILE[which](), name=f"../../{EVIL}\u202egpj.exe")
    page = Page(drawn)
    assert {tag for tag, _ in page.tags} & {
        "script",
        "iframe",
        "object",
        "link",
        "a",
        "form",
        "base",
        "embed",
    } == set()
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/"), (tag, value)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert "url(" not in drawn.partition("</style>")[0]
    assert "@import" not in drawn
    assert "49" not in said["name"]
    assert "\u202e" not in drawn
    assert html.escape("<script>alert(1)</script>") in drawn


def test_claims_are_read_before_anything_is_decoded() -> None:
    whole = png_texts(("Software", "NovelAI"))
    damaged = bytearray(whole)
    damaged[-30] ^= 1  # among the pixels
    assert read_claims(bytes(damaged)).marks == read_claims(whole).marks != ()
    with pytest.raises(NotJudged) as caught:
        examine_file(bytes(damaged), tiny_detector())
    assert isinstance(caught.value.reason, BrokenImage)
    for reader in (read_claims, lambda data: examine_file(data, tiny_detector())):
        with pytest.raises(UnsupportedImage):
            reader(b"no picture")
        with pytest.raises(ImageTooLarge):
            reader(whole + bytes(20 * 2**20))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("report")
    return save_reports(examine_file(encode(photo(), "PNG"), tiny_detector()), folder, "x")


def test_what_is_typed_is_in_both_files(saved: tuple[Path, Path], tmp_path: Path) -> None:
    before = [path.read_text() for path in saved]
    label = Label("Ada <b>", "Sent by \\1 & co.", "Asia/Tokyo")
    html, plain = write_label(*saved, label, tmp_path)
    assert read_label(plain) == label
    drawn = html.read_text()
    assert "<dt>Examined by</dt><dd>Ada &lt;b&gt;</dd>" in drawn
    assert "<dt>Note</dt><dd>Sent by \\1 &amp; co.</dd>" in drawn
    assert "(UTC+09:00)" in drawn
    assert [path.read_text() for path in saved] == before
    (tmp_path / "again").mkdir()
    again, said = write_label(html, plain, Label(), tmp_path / "again")
    assert "Ada &lt;b&gt;" not in again.read_text()  # the bare name may stand in a picture's base64
    assert "Ada" not in said.read_text()
    then, now = json.loads(before[1]), json.loads(said.read_text())
    assert {k: v for k, v in now.items() if k != "report"} == {
        k: v for k, v in then.items() if k != "report"
    }


FOUND_OUT = Inquiries(
    (Reply("openai", "not found", "2026-12-02"), Reply("google")),
    EarliestCopy("https://example.org/<b>", "2021-05-03", "Eve"),
)
SAID = (
    "Found out elsewhere, by the word of whoever wrote this: OpenAI found no mark of its own "
    "(2 December 2026), Google was not asked, earliest copy known: https://example.org/<b>, 3 May "
    "2021, shown by Eve."
)


def test_what_was_found_out_elsewhere_is_the_readers_own_word_everywhere(
    saved: tuple[Path, Path], tmp_path: Path
) -> None:
    html, plain = write_label(*saved, Label(inquiries=FOUND_OUT), tmp_path)
    before, report = (json.loads(path.read_text()) for path in (saved[1], plain))
    assert read_label(plain).inquiries == FOUND_OUT
    assert report["quote"] == read_quote(plain) == f"{before['quote']}\n{SAID}"
    assert report["headline"] == before["headline"]  # nobody's word changes the answer
    assert escape(SAID) in html.read_text()
    assert "OpenAI found no mark" in html.read_text().partition("<!--/label-->")[0]
    (tmp_path / "again").mkdir()
    again, said = write_label(html, plain, Label(), tmp_path / "again")
    assert read_quote(said) == before["quote"]
    assert "OpenAI found no mark" not in again.read_text()


NO_DAYS = ["yesterday", "2026-02-30", "2026-12", "2026-12-01T10", "9999-01-01", "0201-05-03"]


@pytest.mark.parametrize("day", NO_DAYS)
def test_what_can_be_no_day_is_left_out_with_a_sentence(day: str) -> None:
    entered = Inquiries((Reply("google", "found", day),), EarliestCopy(day=day))
    assert entered.cleaned().findings == "OpenAI was not asked, Google found its mark"
    assert [fault.count("left out") for fault in entered.faults] == [1, 1]


def test_today_is_a_day_wherever_on_earth_it_is() -> None:
    there = datetime.now(timezone(timedelta(hours=14))).date().isoformat()
    entered = Inquiries((Reply("google", "found", there),), EarliestCopy(day="1826-01-01"))
    assert entered.faults == ()
    assert entered.cleaned().earliest.day == "1826-01-01"


@pytest.mark.parametrize(
    "address",
    [
        *("https://example.org/a?b=c#d", "http://example.org:8080", "www.example.org"),
        *(
            "t.me/channel/12",
            "https://пример.укр/фото",
            "https://web.archive.org/web/2019/http://a.b/",
        ),
    ],
)
def test_an_address_of_a_page_is_entered(address: str) -> None:
    entered = EarliestCopy(address)
    assert entered.cleaned() == entered
    assert list(entered.faults) == []


@pytest.mark.parametrize(
    "address",
    [
        *(
            "a friend's phone",
            "javascript:alert(1)",
            "data:text/html,x",
            "example",
            "eve@example.org",
        ),
        *("https://", "https://example.org/a b", "file:///etc/passwd", "//example.org/a"),
    ],
)
def test_what_is_no_address_of_a_page_is_left_out_with_a_sentence(address: str) -> None:
    entered = Inquiries(earliest=EarliestCopy(address, shown_by="Eve"))
    assert entered.cleaned().earliest == EarliestCopy(shown_by="Eve")
    assert [fault.count("no address") for fault in entered.faults] == [1]


def test_a_day_without_an_answer_is_left_out_with_a_sentence() -> None:
    entered = Inquiries((Reply("openai", day="2026-12-02"),))
    assert entered.cleaned() == Inquiries()
    assert ["OpenAI" in fault for fault in entered.faults] == [True]


def test_an_answer_that_there_is_none_of_is_not_asked() -> None:
    assert Reply("google", "certainly", "2026-12-02").cleaned() == Reply("google")  # type: ignore[arg-type]
    assert Inquiries((Reply("somebody", "found"),)).cleaned() == Inquiries()


def test_a_mark_that_is_typed_ends_nothing(saved: tuple[Path, Path], tmp_path: Path) -> None:
    html, plain = write_label(*saved, Label(note="<!--/label--> x"), tmp_path)
    (tmp_path / "again").mkdir()
    again, _ = write_label(html, plain, Label(), tmp_path / "again")
    assert "--&gt; x" not in again.read_text()


SILENT = encode(photo(64, 64), "PNG")


@pytest.fixture(scope="module")
def x() -> Examination:
    return replace(examine_file(SILENT, tiny_detector(), until=Stage.VERDICT), cautions=())


def scored(x: Examination, probability: float, low: float = 0.3, high: float = 0.7) -> Examination:
    band = Calibration(low=low, high=high).band(probability)
    detection = replace(x.detection, probability=probability, band=band, low=low, high=high)
    return replace(x, drawn=replace(x.drawing, detection=detection))


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("probability", [0.0, 0.29, 0.5, 0.71, 1.0])
def test_words_come_before_numbers(x: Examination, probability: float) -> None:
    x = scored(x, probability)
    words = text(verdict(x))
    first_number = re.search(r"\d", words)
    before = words[: first_number.start()]
    assert x.band.capitalize() in before
    assert MEANING[x.band] in before
    assert "%" not in words


@pytest.mark.parametrize(
    ("probability", "low", "high"),
    [
        (0.0, 0.3, 0.7),
        (0.6996, 0.3, 0.7),
        (0.7004, 0.3, 0.7004),
        (0.29996, 0.3, 0.7),
        (1.0, 0.3, 0.7),
    ],
)
def test_neither_score_nor_pointer_contradicts_the_band(
    x: Examination, probability: float, low: float, high: float
) -> None:
    x = scored(x, probability, low, high)
    card = verdict(x)
    label = re.search(
        r"aria-label='Score (?:under |over )?([\d.]+): (.+?)\. Thresholds ([\d.]+) and ([\d.]+),",
        card,
    )
    score, band, below, above = label.groups()
    assert band == x.band
    assert Calibration(low=float(below), high=float(above)).band(float(score)) == band
    at = float(re.search(r"cc-point' style='left:([\d.]+)%'", card).group(1))  # type: ignore[union-attr]
    assert at == pytest.approx(bar_place(probability, low, high), abs=0.01)
    third = ("likely not generated", "inconclusive", "likely generated").index(band)
    assert 33.33 * third <= at <= 33.34 * (third + 1)


def test_a_change_by_the_copies_is_explained(x: Examination) -> None:
    rows = tuple(ReencodedAnswer(name, 0.2, -1.0, "likely not generated", True) for name in MILD)
    stability = Stability(
        probability=0.9, band="likely generated", low=0.3, high=0.7, threshold=0.5, rows=rows
    )
    card = verdict(replace(scored(x, 0.9), stage=Stage.DONE, stability=stability))
    assert text(card).index("Inconclusive") < text(card).index("three quarters) changes the answer")
    dots = re.search(r"<ul class='cc-dots'>(.+?)</ul>", card).group(1)
    assert dots.count("likely not generated") == len(MILD)
    assert stability.answer == "turns"


def test_notes_cautions_and_errors_are_escaped_and_announced(x: Examination) -> None:
    cautions = (Caution("small", "Too <small>."), Caution("dark", "Too dark."))
    warned = replace(x, cautions=cautions)
    html, behind = verdict(warned), pixels_panel(warned)
    assert behind.count("<li>") == 2
    assert "Too &lt;small&gt;." in behind
    assert "cc-cautions" in html
    assert "cc-cautions" not in verdict(x)
    assert "<img" not in failure("<img src=x>", "a & b")
    assert "a &amp; b" in failure("title", "a & b")
    for card in (looking(), failure("a", "b"), html):
        (spoken,) = re.findall(r"data-say='(.+?)'", card)
        assert len(spoken) < 250  # one sentence or two, not the whole card
    assert NO_ANSWER_TITLE in brief(NO_ANSWER, "a sentence")
