"""State of a session of the tab: its reference set, picture by picture, and the profile that its
page is held to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from causalclip.languages import N_, _, day, number
from causalclip.reference import BadProfile, Profile, parse_profile
from causalclip.reference_set import (
    LESSONS,
    ReferencePicture,
    UnreadFile,
    learn,
    make_profile,
)
from causalclip.report.reference import ReferenceReport
from ui.detector import ChosenDetector
from ui.errors import explain
from ui.fields import upload_paths
from ui.jobs import run_in
from ui.places import FILES, Priority
from ui.server import uploads

if TYPE_CHECKING:
    from causalclip.detector import Detector

MAX_PICTURES = 1000  # pictures of a page; for more of them there is the command
MAX_THUMBNAILS = 100  # small copies that are kept
MAX_PROFILE_BYTES = 2**20  # bytes of a profile's file; one of 10,000 photographs takes half of it
TOO_LARGE = N_(
    "This profile has more than 1 MB. Whoever runs the app can set it for all, as "
    "CAUSALCLIP_PROFILE."
)
USED = N_(
    "The answers on this page are held to a profile, until the page is closed or loses its "
    "connection. Photographs in it: {n}. Made on: {day}. An answer that is held to it says so."
)
BY_THE_HOST = N_(
    "All answers are held to a profile that this app's host has chosen. Photographs in it: {n}. "
    "Made on: {day}."
)
STANDARD_THRESHOLDS = N_("Standard thresholds are in use.")


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """The reader's own pictures, as far as they have been judged.

    Attributes:
        real: photographs, as their owner knows them to be.
        generated: generated pictures, as their owner knows them to be.
        unread: files that could not be read.
        judged: how many files have been looked at, the unread ones and repetitions too.
        portions: in how many portions they came.
        first_upload: the path of the first file, whose hour is that of what is made of the set.
        unanswered: hash and score of the pictures that get no answer; they are neither in `real`
            nor in `generated`.
    """

    real: tuple[ReferencePicture, ...] = ()
    generated: tuple[ReferencePicture, ...] = ()
    unread: tuple[UnreadFile, ...] = ()
    judged: int = 0
    portions: int = 0
    unanswered: frozenset[tuple[int, float]] = frozenset()
    first_upload: str = ""

    def with_picture(
        self, picture: ReferencePicture | UnreadFile, *, generated: bool, high: float
    ) -> ReferenceSet:
        """Return the set with another picture; one that is in it already counts once.

        Args:
            generated: whether its owner knows it to be generated.
            high: the threshold from which a photograph's small copy is kept to be shown.
        """
        larger = replace(self, judged=self.judged + 1)
        if isinstance(picture, UnreadFile):
            return replace(larger, unread=(*self.unread, picture))
        key = (picture.hash, picture.score)
        if not picture.answered:
            return replace(larger, unanswered=self.unanswered | {key})
        pictures = self.generated if generated else self.real
        if any((other.hash, other.score) == key for other in pictures):
            return larger
        if generated:
            return replace(larger, generated=(*pictures, replace(picture, thumbnail="")))
        thumbnails = sum(bool(other.thumbnail) for other in pictures)
        if picture.score < high or thumbnails >= MAX_THUMBNAILS:
            picture = replace(picture, thumbnail="")
        return replace(larger, real=(*pictures, picture))

    def with_portion(self) -> ReferenceSet:
        """Return the set at a portion's end, so that the next portion may come."""
        return replace(self, portions=self.portions + 1)

    def report(
        self, detector: Detector, at_most: float, *, corrects: bool = False
    ) -> ReferenceReport:
        """Return what the set says, with its profile; it needs at least one photograph.

        Args:
            at_most: the share of photographs like these that may be called likely generated.
            corrects: whether a correction is learned from both kinds.
        """
        learned = learn(self.real, self.generated, detector) if corrects else None
        return ReferenceReport(
            profile=make_profile(
                self.real, detector, at_most=at_most, generated=self.generated, learned=learned
            ),
            photographs=self.real,
            unread=self.unread,
            shipped=detector.config.calibration.high,
            at_most=at_most,
            unanswered=len(self.unanswered),
            generated=self.generated,
            learned=learned,
            corrects=corrects,
        )

    def lessons_left(self, *, generated: bool) -> int:
        """Return from how many more pictures of one kind a private head may learn."""
        pictures = self.generated if generated else self.real
        return LESSONS - sum(picture.lesson is not None for picture in pictures)


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """Holds the page to the profile of its reference set, or to one from a file."""

    detector: ChosenDetector

    def status(self) -> str:
        """Return which profile is in use, as HTML."""
        try:
            host = self.detector.own().correction
        except Exception as error:
            return _status(explain(error)[1])
        if profile := self.detector.profile:
            return _status(_about(USED, profile), own=True)
        return _status(
            _about(BY_THE_HOST, host) if isinstance(host, Profile) else _(STANDARD_THRESHOLDS)
        )

    def use(self, profile: Profile) -> str:
        """Hold the page to a profile; return which one is in use then, as HTML."""
        try:
            self.detector.choose(profile)
        except BadProfile as error:
            return _status(str(error))
        return self.status()

    def load(self, payload: Any) -> tuple[str, None]:
        """Hold the page to an uploaded profile, and delete the upload.

        Returns:
            Which profile is in use then or why the file cannot be used, as HTML; and None, which
            empties the file's field.
        """
        paths = upload_paths(payload)
        try:
            if not paths:
                return self.status(), None
            with open(paths[-1], "rb") as file:
                data = file.read(MAX_PROFILE_BYTES + 1)
            if len(data) > MAX_PROFILE_BYTES:
                return _status(_(TOO_LARGE)), None
            return self.use(run_in(FILES, Priority.BATCH, partial(parse_profile, data))), None
        except BadProfile as error:
            return _status(str(error)), None
        finally:
            uploads.delete(paths)

    def release(self) -> str:
        """Hold the page to no profile of its own; return which one is in use then, as HTML."""
        self.detector.release()
        return self.status()


def _about(message: str, profile: Profile) -> str:
    """Return a sentence about a profile: how many photographs are in it, and its date."""
    try:
        date = day(datetime.fromisoformat(profile.made))
    except ValueError:  # in a file that somebody has changed
        date = "?"
    return _(message, n=number(len(profile.scores)), day=date)


def _status(sentence: str, *, own: bool = False) -> str:
    """Return a sentence on the profile in use as HTML.

    own: whether the page has chosen that profile, and can let go of it (assets/reference.css).
    """
    return (
        f"<p{' class=cc-own-profile' if own else ''} role='status' "
        f"aria-live='polite'>{escape(sentence)}</p>"
    )
