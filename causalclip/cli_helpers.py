"""What the commands share: exit codes, options, the detector, errors as a sentence, a picture in a
line or in words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causalclip.examination.headline import BRIEF
from causalclip.examination.messages import (
    NO_ANSWER,
    TONE,
    WHAT_TO_DO,
    WHY_NO_ANSWER,
    Tone,
    digits_for,
    score_texts,
)
from causalclip.images.formats import shortened, spelt
from causalclip.languages import LANGUAGES, N_, _, decimal, ended
from causalclip.paths import DEFAULT_HEAD, HEADS, WeightsMissing, detector_folder, head_folder
from causalclip.reference import BadProfile, Profile, read_profile

if TYPE_CHECKING:
    import torch

    from causalclip.detector import Detector

PROFILE = "CAUSALCLIP_PROFILE"  # the variable that names a profile's file
DONE = 0
STOPPED = 1
REFUSED = 2
MEANINGS = {
    DONE: "Done, and every picture was read.",
    STOPPED: "It could not be done: weights, a package or data are missing, or an option makes no "
    "sense.",
    REFUSED: "A picture was refused (the others were judged), none was found, or the command was "
    "typed wrongly.",
}
# for --help
TABLE = "\n\n".join(("Exit codes:", *(f"{code}  {meaning}" for code, meaning in MEANINGS.items())))
Model = Annotated[
    str,
    typer.Option(
        help=f"A folder, or a name in assets/models; by itself {HEADS[DEFAULT_HEAD]}.",
        show_default=False,
    ),
]
Head = Annotated[
    str,
    typer.Option(
        help=f"A shipped head in place of --model: {' or '.join(sorted(HEADS))}.",
        show_default=False,
    ),
]
ProfileFile = Annotated[
    Path | None, typer.Option(envvar=PROFILE, help="Of your own archive, which `calibrate` made.")
]


def _check_language(lang: str) -> str:
    if lang not in LANGUAGES:
        raise typer.BadParameter(f"--lang is one of {', '.join(LANGUAGES)}.")
    return lang


Lang = Annotated[
    str, typer.Option(help=f"Of the answers: {', '.join(LANGUAGES)}.", callback=_check_language)
]


@contextmanager
def told(*mendable: type[Exception]) -> Iterator[None]:
    """Errors that the user can mend become their sentence and exit code 1; others keep their
    traceback."""
    try:
        yield
    except mendable as error:
        missing = isinstance(error, ModuleNotFoundError)
        typer.echo(
            f"{error}. Install requirements-dev.txt for this." if missing else str(error), err=True
        )
        raise typer.Exit(STOPPED) from None


def chosen_model(model: str, head: str) -> str:
    """The folder of the detector that --model and --head choose; ends the command where there is
    none."""
    if model and head:
        raise typer.BadParameter("Give either --model or --head.")
    with told(WeightsMissing):
        return str(head_folder(head) if head else detector_folder(model or HEADS[DEFAULT_HEAD]))


def load_detector(
    model: str, *, profile: Path | None = None, device: torch.device | None = None
) -> Detector:
    """The detector, held to a profile's archive if there is one."""
    from causalclip.clip.runtime import UnknownRuntime
    from causalclip.detector import (
        Detector,  # seconds of imports, which a wrong name or path need not wait for
    )
    from causalclip.device import NoDevice

    with told(WeightsMissing, UnknownRuntime, NoDevice, BadProfile):
        detector, archive = Detector.from_pretrained(model, device=device), held_to(profile)
        return detector.with_profile(archive) if archive else detector


def held_to(profile: Path | None) -> Profile | None:
    """The profile in a file, if one is named; raises BadProfile."""
    return read_profile(profile) if profile and str(profile) != "." else None


def walk(paths: list[Path]) -> Iterator[Path]:
    """Files as they are named; folders file by file, in order, hidden ones left out."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")
            )
        else:
            yield path


if TYPE_CHECKING:
    from causalclip.examination.result import Examination

MAX_LINE = 100  # characters of a line
COLUMN_GAP = "  "
SCORE_WIDTH = 6  # a score next to a threshold has more digits
SHORTEST = 12  # characters that are left of a name at least
COLOURS: dict[Tone, str] = {"generated": "yellow", "not-generated": "magenta", "signed": "green"}
NOT_READ, UNTESTED = N_("not read."), N_("copies untested")
BY_PIXELS, COPIES = N_("{band} pixels"), N_("copies {kept}/{all}")
SCORE = N_(
    "Score {score}: at or above {high} likely generated, at or below {low} likely not generated."
)
UNCHECKED = N_("Where mild re-encoding changes the answer, it is inconclusive.")


class Lines:
    """Lines of at most MAX_LINE characters, in columns, coloured for a terminal. A long name loses
    its middle.

    paths: of all pictures, which are named from the folder that they share. tested: whether their
    copies are.
    """

    def __init__(self, paths: Iterable[Path], *, tested: bool) -> None:
        absolute = [os.path.abspath(path) for path in paths]
        self._folder = (
            os.path.commonpath([os.path.dirname(path) for path in absolute]) if absolute else ""
        )
        self._answer = max(len(_(brief)) for brief in BRIEF.values())
        pixels = max(len(_(BY_PIXELS, band=_(band))) for band in TONE)
        last = len(_(COPIES, kept=8, all=8) if tested else _(UNTESTED))
        room = MAX_LINE - self._answer - SCORE_WIDTH - last - 4 * len(COLUMN_GAP)
        names = (len(self._relative(path)) for path in absolute)
        self._name = min(max(names, default=0), max(SHORTEST, room - pixels))
        self._pixels = min(pixels, room - self._name)

    def line(self, path: Path, x: Examination) -> str:
        """Answer, score, the pixels' answer where it is another, and how many copies keep it."""
        judged, s = x.band != NO_ANSWER, x.stability
        other = (
            _(BY_PIXELS, band=_(x.band)) if judged and x.headline.title.lower() != x.band else ""
        )
        copies = (
            _(COPIES, kept=len(s.rows) - s.changed, all=len(s.rows))
            if s
            else _(UNTESTED)
            if judged
            else ""
        )
        answer, score = _(BRIEF[x.headline.title]), _score(x) if judged else ""
        gap = " " * (self._answer - len(answer))
        beside = [
            gap,
            f"{score:{SCORE_WIDTH}}",
            f"{shortened(other, self._pixels):{self._pixels}}",
            copies,
        ]
        coloured = typer.style(answer, fg=COLOURS.get(x.headline.tone), bold=True)
        return self._named(path) + coloured + COLUMN_GAP.join(beside).rstrip()

    def claimed(self, path: Path, x: Examination) -> str:
        """Of a picture that is not judged: what its file claims, in brief."""
        if x.headline.source == "pixels":
            return self.refused(path)
        answer = _(BRIEF[x.headline.title])
        return self._named(path) + typer.style(answer, fg=COLOURS.get(x.headline.tone), bold=True)

    def refused(self, path: Path) -> str:
        """Of a file of which nothing is known."""
        return self._named(path) + typer.style(_(NOT_READ), fg="red")

    def _relative(self, path: Path | str) -> str:
        return spelt(os.path.relpath(path, self._folder))

    def _named(self, path: Path) -> str:
        return f"{shortened(self._relative(path), self._name):{self._name}}{COLUMN_GAP}"


def _score(x: Examination) -> str:
    """As `score_text` has it, in fewer characters."""
    p, thresholds = x.detection.probability, (x.detection.low, x.detection.high)
    digits = digits_for(p, *thresholds)
    least = 10.0**-digits
    sign = "<" if round(p, digits) == 0 else ">" if round(p, digits) == 1 else ""
    return sign + decimal(min(max(p, least), 1 - least), digits=digits)


def explained(x: Examination) -> str:
    """The headline first, then the pixels' score against the thresholds, then what else is known of
    the answer."""
    score, low, high = score_texts(x.detection.probability, x.detection.low, x.detection.high)
    headline, by_pixels = x.headline, x.headline.source == "pixels"
    word = (
        headline.proved if headline.source == "signature" else "" if by_pixels else headline.claimed
    )
    said = [
        ended(headline.answer),
        word,
        _marks(x),
        ended(x.part.words) if x.part else "",
        ""
        if by_pixels
        else f"{_('By the pixels: {answer}.', answer=_(x.band))} {headline.agreement}".strip(),
        _(WHY_NO_ANSWER[x.detection.kind])
        if x.band == NO_ANSWER
        else _(SCORE, score=score, high=high, low=low),
        *_careful(x),
        f"{_('Survives re-encoding?')} {ended(x.stability.words)} {x.stability.sentence}"
        if x.stability
        else ""
        if x.band == NO_ANSWER
        else f"{_('Survives re-encoding?')} {ended(_('Not checked'))} {_(UNCHECKED)}",
        headline.agreement if by_pixels else "",
        x.meant.sentence if x.meant and by_pixels else "",
    ]
    if standing := x.detection.standing:
        said += [standing.sentence, standing.rule, *x.unlike]
    return " ".join(filter(None, said))


def explained_claims(x: Examination) -> str:
    """What the file of a picture says that is not judged, and why it is not."""
    headline = x.headline
    if headline.source == "pixels":
        return f"{x.problem} {x.provenance.summary()}"
    word = headline.proved if headline.source == "signature" else headline.claimed
    return " ".join(filter(None, (ended(headline.answer), word, _marks(x), headline.pixels)))


def _marks(x: Examination) -> str:
    """The marks that name who made or edited it, such as "Marks: Gemini (visible mark)."."""
    names = ", ".join(x.provenance.mark_names)
    return ended(_("Marks: {names}", names=names)) if names else ""


def _careful(x: Examination) -> list[str]:
    """What the answer must not be read without: weak spots, and a picture at half its size; where
    there is none, what to do."""
    from causalclip.examination.cautions import SHORT
    from causalclip.examination.result import HALVED

    if x.band == NO_ANSWER:
        inside = [_(SHORT[caution.kind]) for caution in x.cautions if caution.kind == "inside"]
        return [_(WHAT_TO_DO[x.detection.kind]), *inside]
    return [*(caution.sentence for caution in x.cautions), *([_(HALVED)] if x.halved else [])]
