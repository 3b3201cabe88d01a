"""A picture's examination as text for a terminal: a line in columns, or a few sentences."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.cells import cell_len, set_cell_size

from causalclip.examination.answer import Origin
from causalclip.examination.cautions import SHORT
from causalclip.examination.messages import (
    NO_ANSWER,
    TONE,
    WHAT_TO_DO,
    WHY_NO_ANSWER,
    Tone,
    digits_for,
    score_texts,
)
from causalclip.examination.result import HALVED
from causalclip.examination.stability import STEADINESS
from causalclip.languages import N_, _, decimal, ended, in_turn, paragraph
from causalclip.text import ELLIPSIS, spelt

if TYPE_CHECKING:
    from causalclip.examination.result import Examination

MAX_LINE = 100  # cells of a line: a Chinese character takes two
COLUMN_GAP = "  "
SCORE_WIDTH = 6  # a score next to a threshold has more digits
SHORTEST = 12  # cells that are left of a name at least
COLOURS: dict[Tone, str] = {"generated": "yellow", "not-generated": "magenta", "signed": "green"}
NOT_READ, UNTESTED = N_("not read."), N_("copies untested")
BRIEFS = [origin.answer.brief for origin in Origin if origin.answer.brief]
BY_PIXELS, COPIES = N_("{band} pixels"), N_("copies {word}")
SCORE = N_(
    "Score {score}: at or above {high} likely generated, at or below {low} likely not generated."
)
UNCHECKED = N_("Where mild re-encoding changes the answer, it is inconclusive.")


class Lines:
    """Lines of at most MAX_LINE cells, in columns, coloured for a terminal.

    A long name loses its middle.

    Args:
        paths: of all pictures, which are named from the folder that they share.
        tested: whether their copies are.
    """

    def __init__(self, paths: Iterable[Path], *, tested: bool) -> None:
        # 1. The names, as short as they can be told apart
        absolute = [os.path.abspath(path) for path in paths]
        folders = [os.path.dirname(path) for path in absolute]
        self._folder = os.path.commonpath(folders) if folders else ""

        # 2. The widths of the columns: what is left is the name's
        self._answer_width = max(cell_len(_(brief)) for brief in BRIEFS)
        pixels = max(cell_len(_(BY_PIXELS, band=_(band))) for band in TONE)
        words = (_(COPIES, word=_(word)) for word in STEADINESS.values())
        last = max(map(cell_len, words)) if tested else cell_len(_(UNTESTED))
        room = MAX_LINE - self._answer_width - SCORE_WIDTH - last - 4 * len(COLUMN_GAP)
        longest = max((cell_len(self._relative(path)) for path in absolute), default=0)
        self._name_width = min(longest, max(SHORTEST, room - pixels))
        self._pixels_width = min(pixels, room - self._name_width)

    def line(self, path: Path, x: Examination) -> str:
        """Return the answer, the score, the pixels' answer where it is another one, and whether
        copies keep it."""
        has_answer = x.band != NO_ANSWER
        answer = _(x.headline.origin.answer.brief)
        score = _short_score(x) if has_answer else ""
        by_pixels = ""
        if has_answer and x.headline.origin.answer.brief != x.band:
            by_pixels = _(BY_PIXELS, band=_(x.band))
        copies = ""
        if x.stability:
            copies = _(COPIES, word=x.stability.words)
        elif has_answer:
            copies = _(UNTESTED)
        columns = [
            " " * (self._answer_width - cell_len(answer)),
            f"{score:{SCORE_WIDTH}}",
            _fitted(by_pixels, self._pixels_width),
            copies,
        ]
        return self._name(path) + _coloured_answer(x) + COLUMN_GAP.join(columns).rstrip()

    def claims_line(self, path: Path, x: Examination) -> str:
        """Return what the file of a picture claims in brief, where its pixels are not judged."""
        if x.headline.source == "pixels":
            return self.not_read_line(path)
        return self._name(path) + _coloured_answer(x)

    def not_read_line(self, path: Path) -> str:
        """Return the line of a file of which nothing is known."""
        return self._name(path) + typer.style(_(NOT_READ), fg="red")

    def _relative(self, path: Path | str) -> str:
        return spelt(os.path.relpath(path, self._folder))

    def _name(self, path: Path) -> str:
        return _fitted(self._relative(path), self._name_width) + COLUMN_GAP


def _fitted(text: str, width: int) -> str:
    """Return a text that fills so many cells of a terminal; a longer one loses its middle, as its
    end may be all that is its own."""
    if cell_len(text) > width:
        end = set_cell_size(text[::-1], (width - 1) // 2)[::-1]
        text = set_cell_size(text, width - 1 - cell_len(end)) + ELLIPSIS + end
    return set_cell_size(text, width)


def _coloured_answer(x: Examination) -> str:
    brief = _(x.headline.origin.answer.brief)
    return typer.style(brief, fg=COLOURS.get(x.headline.tone), bold=True)


def _short_score(x: Examination) -> str:
    """Return the score as `score_text` has it, in fewer characters."""
    probability = x.detection.probability
    digits = digits_for(probability, x.detection.low, x.detection.high)
    least = 10.0**-digits
    short = round(probability, digits)
    sign = "<" if short == 0 else ">" if short == 1 else ""
    return sign + decimal(min(max(probability, least), 1 - least), digits=digits)


def explanation(x: Examination) -> str:
    """Return the headline first, then the pixels' score against the thresholds, then what else is
    known of the answer."""
    headline = x.headline
    by_pixels = headline.source == "pixels"
    has_answer = x.band != NO_ANSWER

    # 1. The headline and what it rests on
    sentences = [
        ended(headline.answer),
        "" if by_pixels else _ground(x),
        _marks(x),
        ended(x.part.words) if x.part else "",
    ]

    # 2. What the pixels say
    if not by_pixels:
        sentences += [_("By the pixels: {answer}.", answer=_(x.band)), headline.agreement]
    if has_answer:
        score, low, high = score_texts(x.detection.probability, x.detection.low, x.detection.high)
        sentences.append(_(SCORE, score=score, high=high, low=low))
    else:
        sentences.append(_(WHY_NO_ANSWER[x.detection.image_type]))
    sentences += _careful(x)

    # 3. Whether that survives, and how often it is right
    question = _("Survives re-encoding?")
    if x.stability:
        sentences += [question, x.stability.sentence]
    elif has_answer:
        sentences += [question, ended(_("Not checked")), _(UNCHECKED)]
    if by_pixels:
        sentences.append(headline.agreement)
        sentences.append(x.meant.sentence if x.meant else "")

    # 4. Where it stands in the reference set
    if standing := x.detection.standing:
        sentences += [standing.sentence, standing.rule, *x.unlike]
    return paragraph(*sentences)


def claims_explanation(x: Examination) -> str:
    """Return what the file of a picture says that is not judged, and why it is not."""
    headline = x.headline
    if headline.source == "pixels":
        return paragraph(x.problem, x.provenance.summary)
    sentences = ended(headline.answer), _ground(x), _marks(x), headline.pixels
    return paragraph(*sentences)


def _ground(x: Examination) -> str:
    """Return what a headline rests on that is not the pixels'."""
    return x.headline.proved if x.headline.source == "signature" else x.headline.claimed


def _marks(x: Examination) -> str:
    """Return the marks that name who made or edited it, such as "Marks: Gemini (visible mark)."."""
    names = in_turn(x.provenance.mark_names)
    return ended(_("Marks: {names}", names=names)) if names else ""


def _careful(x: Examination) -> list[str]:
    """Return what the answer must not be read without: weak spots, and a picture at half its size;
    what to do where there is no answer."""
    if x.band == NO_ANSWER:
        inside = [_(SHORT[caution.kind]) for caution in x.cautions if caution.kind == "inside"]
        return [_(WHAT_TO_DO[x.detection.image_type]), *inside]
    return [*(caution.sentence for caution in x.cautions), *([_(HALVED)] if x.halved else [])]
