"""The tab "How good is it?": drawn when it is first opened, from the JSON files of the benchmarks."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gradio as gr

from causalclip.languages import ENGLISH, _, current
from ui.measured.sections import BENCHMARKS, sections
from ui.measured.tables import Section, html, marked
from ui.settings import PRIVATE

UNKNOWN = (
    "Generators that are newer than the test pictures. Detectors of this kind get worse on what they have not seen.",
    "Pictures by people who set out to fool this detector: no table here has the detector attacked.",
    "Photographs of a screen or of a print.",
    "How often generated pictures reach a newsroom. Scores and shares of wrong answers hold for the mix in the test.",
    "Whether a picture is true. None of these numbers is about what it shows, who made it, or when.",
    "Differences between the sources of real pictures and the world: a camera, a country or a style may be missing.",
)


def build_measured_tab(tab: gr.Tab) -> gr.HTML:
    """Builds the content of `tab` inside the current Blocks."""
    content = gr.HTML(f"<p>{_('The measurements are being read.')}</p>", elem_id="measured")
    tab.select(_shown, None, content, queue=False, **PRIVATE)
    return content


def _shown() -> str:
    """The page, which is in English whatever the app's language is."""
    if current() == ENGLISH:
        return page()
    return f"<p>{_('These tables are in English.')}</p><div lang='en' dir='ltr'>{page()}</div>"


def page(folder: Path | None = None) -> str:
    """Every section: words and a chart, its tables folded; `folder` holds the benchmarks' files (None: the app's)."""
    return _page(folder or BENCHMARKS)


@cache
def _page(folder: Path) -> str:
    found = "".join(map(_section, sections(folder)))
    unknown = "".join(f"<li>{sentence}</li>" for sentence in UNKNOWN)
    unknown = (
        f"<section id='measured-unknown'><h2>What is not known</h2><ul class='cc-unknown'>{unknown}</ul></section>"
    )
    return f"<div class='cc-measured'><div class='cc-questions'>{found}</div>{unknown}</div>"


def _section(section: Section) -> str:
    from ui.measured.drawing import draw  # matplotlib is slow to import

    told, wide = section.told, f"<div class='cc-wide' role='group' tabindex='0' aria-label='{section.title}'>"
    tables = "".join(f"{wide}{html(table)}</div>" for table in told.tables)
    if told.chart:
        chart = f"<figure class='cc-plot'>{draw(told.chart, section.title)}</figure>"
        tables = f"{chart}<details><summary>All numbers</summary>{tables}</details>"
    about = f"<p class='cc-small cc-about'>{marked(section.about)}</p>" if section.about else ""
    words = f"<h2>{section.title}</h2><p>{marked(told.words)}</p>"
    return f"<section class='cc-question'>{words}{tables}{about}</section>"
