"""The overview of a batch as PDF on A4: one page for up to some 36 pictures, more where there are more.

Its letters are shaped by HarfBuzz, and Arabic runs from right to left, as do the columns.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

from causalclip.evidence.headline import tone_of
from causalclip.languages import _, is_rtl
from causalclip.languages.catalogues import END, ISOLATE
from causalclip.paths import shipped_folder
from causalclip.report.card import SIGN
from causalclip.report.overview import METHOD, Overview

if TYPE_CHECKING:
    from fpdf import FPDF

    from causalclip.examine.batch import Row

INK = {"generated": (154, 74, 6), "not-generated": (84, 48, 140), "inconclusive": (68, 64, 60), "signed": (22, 101, 52)}
MARGIN, WIDTH, HEIGHT = 12.0, 210.0, 297.0  # mm
TALL, THUMB = 10.5, 9.0  # mm of a row, and of its picture
COLUMN = (WIDTH - 2 * MARGIN) / 2
QUIET = (87, 83, 78)
DOTS = "\N{HORIZONTAL ELLIPSIS}"
# Neither font draws the signs that keep a value apart in a text from right to left; a mark does nearly the same.
MARKED = str.maketrans({ISOLATE: None, END: "\N{RIGHT-TO-LEFT MARK}"})


def as_pdf(overview: Overview) -> bytes:
    """The file's bytes."""
    from fpdf import FPDF  # some tenths of a second

    pdf = FPDF(format="A4")
    pdf.set_auto_page_break(False)
    pdf.set_margins(MARGIN, MARGIN)
    _add_fonts(pdf)
    pdf.add_page()
    top = _head(pdf, overview)
    for place in _rows(pdf, overview, top):
        _row(pdf, overview, *place)
    return bytes(pdf.output())


def _add_fonts(pdf: FPDF) -> None:
    """One for names in most scripts, which matplotlib brings, and one for Devanagari."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdf.add_font("plain", fname=folder / "DejaVuSans.ttf")
    pdf.add_font("plain", "B", folder / "DejaVuSans-Bold.ttf")
    for style in ("", "B"):
        pdf.add_font("devanagari", style, shipped_folder("assets") / "fonts" / "Lohit-Devanagari.ttf")
    pdf.set_fallback_fonts(["devanagari"])
    pdf.set_text_shaping(True, direction="rtl" if is_rtl() else "ltr")


def _head(pdf: FPDF, overview: Overview) -> float:
    """Title, counts, method and limits; returns where the rows begin, in mm."""
    for text, size, style in (
        (overview.title, 14, "B"),
        (overview.head, 7, ""),
        (overview.counts, 9, "B"),
        (f"{overview.rates} {_(METHOD)} {overview.limits}".strip(), 6.5, ""),
    ):
        pdf.set_font("plain", style, size)
        pdf.multi_cell(0, size * 0.5, text.translate(MARKED), align=_side(), new_x="LMARGIN", new_y="NEXT")
    return float(pdf.get_y()) + 2


def _rows(pdf: FPDF, overview: Overview, top: float) -> list[tuple[Row, int, float, float]]:
    """Every row with its page and its place: two columns a page, filled downwards."""
    places, page, column, y = [], 1, 0, top
    for row in overview.rows:
        if y + TALL > HEIGHT - MARGIN:
            column, y = column + 1, top if page == 1 else MARGIN
        if column == 2:
            page, column, y = page + 1, 0, MARGIN
        places.append((row, page, MARGIN + (1 - column if is_rtl() else column) * COLUMN, y))
        y += TALL
    return places


def _row(pdf: FPDF, overview: Overview, row: Row, page: int, x: float, y: float) -> None:
    while pdf.pages_count < page:
        pdf.add_page()
    source = overview.thumbnails.get(row.sha256, "")
    if source:
        pdf.image(_jpeg(source), x=x + COLUMN - THUMB if is_rtl() else x, y=y, w=THUMB, h=THUMB, keep_aspect_ratio=True)
    answer, score, know = overview.cells(row)
    tone = tone_of(row.answer)
    left, wide = x + (2 if is_rtl() else THUMB + 1), COLUMN - THUMB - 3
    for text, size, style, colour, down in (
        (f"{SIGN[tone]} {answer}  {score}", 6.5, "B", INK[tone], 0.0),
        (f"{row.number}. {row.name}", 6, "", (28, 25, 23), 2.8),
        (know, 4.5, "", QUIET, 5.3),
        (row.sha256, 4.2, "", QUIET, 7.2),
    ):
        pdf.set_xy(left, y + down)
        pdf.set_font("plain", style, size)
        pdf.set_text_color(*colour)
        # Not pdf.cell: fpdf2 2.8.9 draws Arabic's vowel marks beside their letters there.
        pdf.multi_cell(wide, 2.6, _fitted(pdf, text.translate(MARKED), wide), align=_side())
    pdf.set_text_color(28, 25, 23)


def _side() -> str:
    return "R" if is_rtl() else "L"


def _fitted(pdf: FPDF, text: str, wide: float) -> str:
    """As much of a text as fits in one line, to a whole word."""
    if len(_lines(pdf, text, wide)) < 2:
        return text
    return _lines(pdf, text, wide - pdf.get_string_width(DOTS))[0].rstrip() + DOTS


def _lines(pdf: FPDF, text: str, wide: float) -> list[str]:
    return cast("list[str]", pdf.multi_cell(wide, text=text, dry_run=True, output="LINES"))


def _jpeg(address: str) -> io.BytesIO:
    """A thumbnail's data address as a small JPEG."""
    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB").save(file, "JPEG", quality=80)
    file.seek(0)
    return file
