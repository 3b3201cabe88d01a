"""What a session's archive has so far, and which profile its page is held to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from causalclip.languages import N_, _, day, number
from causalclip.reference import BadProfile, Profile, parse_profile
from causalclip.reference_set import (
    LESSONS,
    Learned,
    ReferencePicture,
    UnreadFile,
    learn,
    make_profile,
)
from causalclip.report.reference import ReferenceReport
from ui.detector import ChosenDetector
from ui.errors import explain
from ui.fields import upload_paths
from ui.server import uploads
from ui.server.turns import FILES, Priority

if TYPE_CHECKING:
    from causalclip.detector import Detector

MOST = 1000  # pictures of a page; for more of them there is the command
SHOWN = 100  # small copies that are kept
LARGEST = 2**20  # bytes of a profile's file; one of 10,000 photographs takes half of it
TOO_LARGE = N_(
    "This profile has more than 1 MB. Whoever runs the app can set it for all, as "
    "CAUSALCLIP_PROFILE."
)
USED = N_(
    "The answers on this page are held to a profile, until the page is closed or out of reach for "
    "a minute. Photographs in it: {n}. Made on: {day}. An answer that is held to it says so."
)
BY_THE_HOST = N_(
    "All answers are held to a profile that this app's host has chosen. Photographs in it: {n}. "
    "Made on: {day}."
)
NONE = N_("Standard thresholds are in use.")


@dataclass(frozen=True, slots=True)
class Archive:
    """Pictures that were judged.

    real, generated: as their owner knows them to be. judged: how many files came. portions: and in
    how many portions.
    unanswered: hash and score of those that get no answer, and are in neither.
    """

    real: tuple[ReferencePicture, ...] = ()
    generated: tuple[ReferencePicture, ...] = ()
    unread: tuple[UnreadFile, ...] = ()
    judged: int = 0
    portions: int = 0
    unanswered: frozenset[tuple[int, float]] = frozenset()

    def plus(self, one: ReferencePicture | UnreadFile, *, generated: bool, high: float) -> Archive:
        """With another picture; the same one counts once. high: the threshold from which a copy is
        kept to be shown."""
        counted = replace(self, judged=self.judged + 1)
        if isinstance(one, UnreadFile):
            return replace(counted, unread=(*self.unread, one))
        if not one.answered:
            return replace(counted, unanswered=self.unanswered | {(one.hash, one.score)})
        before = self.generated if generated else self.real
        if any((other.hash, other.score) == (one.hash, one.score) for other in before):
            return counted
        seen = (
            sum(bool(other.thumbnail) for other in self.real) < SHOWN
            and one.score >= high
            and not generated
        )
        rows = (*before, one if seen else replace(one, thumbnail=""))
        return replace(counted, generated=rows) if generated else replace(counted, real=rows)

    def with_portion(self) -> Archive:
        """At a portion's end, so that the next one may come."""
        return replace(self, portions=self.portions + 1)

    def profile(self, detector: Detector, at_most: float) -> Profile:
        """Of at least one photograph."""
        return make_profile(
            self.real,
            detector,
            at_most=at_most,
            generated=self.generated,
            learned=self._learned(detector),
        )

    def _learned(self, detector: Detector) -> Learned | None:
        return learn(self.real, self.generated, detector)

    def calibration(self, detector: Detector, at_most: float) -> ReferenceReport:
        """Of at least one photograph."""
        return ReferenceReport(
            profile=self.profile(detector, at_most),
            photographs=self.real,
            unread=self.unread,
            shipped=detector.config.calibration.high,
            at_most=at_most,
            unanswered=len(self.unanswered),
            generated=self.generated,
            learned=self._learned(detector),
        )

    def lessons_left(self, *, generated: bool) -> int:
        """From how many more pictures of that kind a private head may learn."""
        return LESSONS - sum(
            x.lesson is not None for x in (self.generated if generated else self.real)
        )


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """Holds the page to the archive's own profile, or to a file that somebody has made before."""

    detector: ChosenDetector

    def said(self) -> str:
        """Which one is in use, as HTML."""
        try:
            host = self.detector.own().profile
        except Exception as error:
            return _status(explain(error)[1])
        if profile := self.detector.profile:
            return _status(_about(USED, profile), own=True)
        return _status(_about(BY_THE_HOST, host) if host else _(NONE))

    def use(self, profile: Profile) -> str:
        """Holds the page to it."""
        try:
            self.detector.choose(profile)
        except BadProfile as error:
            return _status(str(error))
        return self.said()

    def load(self, payload: Any) -> tuple[str, None]:
        """Reads an uploaded file, which is deleted then; also empties its field."""
        paths = upload_paths(payload)
        try:
            if not paths:
                return self.said(), None
            with open(paths[-1], "rb") as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                return _status(_(TOO_LARGE)), None
            with FILES.enter(Priority.BATCH):
                return self.use(parse_profile(data)), None
        except BadProfile as error:
            return _status(str(error)), None
        finally:
            uploads.delete(paths)

    def release(self) -> str:
        """Holds the page to none of its own."""
        self.detector.release()
        return self.said()


def _about(message: str, profile: Profile) -> str:
    try:
        made = day(datetime.fromisoformat(profile.made))
    except ValueError:  # of a file that somebody has changed
        made = "?"
    return _(message, n=number(len(profile.scores)), day=made)


def _status(sentence: str, *, own: bool = False) -> str:
    """own: of a profile that the page can be released from (assets/archive.css)."""
    return (
        f"<p{' class=cc-own-profile' if own else ''} role='status' "
        f"aria-live='polite'>{escape(sentence)}</p>"
    )
