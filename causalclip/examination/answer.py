"""The answers that there can be about a picture, a row each, and which one the evidence gives.

A file that says of itself that it was generated, or that carries a signature of a known signer,
gives the answer before the pixels do. That a file was captured by a camera is no answer unless it
is signed: anybody can write it, and who wants to deceive has a reason to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from causalclip.examination.messages import (
    EMPTY,
    NO_ANSWER,
    NO_ANSWER_TITLE,
    NOT_EXAMINED,
    SIGN,
    Tone,
)
from causalclip.examination.owners import ASK
from causalclip.languages import N_, _

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.provenance.result import Provenance

Source = Literal["signature", "file", "mark", "pixels"]
StepKind = Literal["signer", "sender", "original", "larger", "crop", "owner", "copies", "magnify"]

SAYS_GENERATED = N_("says generated")
SAYS_PERHAPS = N_("says perhaps generated")


@dataclass(frozen=True, slots=True)
class Step:
    """A step that a person can take.

    Attributes:
        kind: what the page adds a link or a button for.
        sentence: what to do.
    """

    kind: StepKind
    sentence: str


LOOK_FOR_COPIES = Step(
    "copies", N_("Look for earlier copies: who showed it first, and what did they say of it?")
)
ASK_FOR_ORIGINAL = Step(
    "original",
    N_("Ask for the original file: a forwarded copy has lost traces, and what the file said."),
)
ASK_OWNERS = Step("owner", ASK)
MAGNIFY = Step(
    "magnify",
    N_("Magnify the picture and look for visible marks of generators, and at hands and text."),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The form of one answer; its texts are in English, for `_`.

    Attributes:
        title: in large print.
        brief: for a row of a table or a line of a terminal.
        tone: which colour it has.
        source: whose word it is; a mark is on the picture, what the file says is beside it.
        named: the title where it is known who signed, or whose mark it is; "" for no other one.
        file_word: what the file says, in a word.
        steps: what a person can do about the picture itself, the most telling first, as the last
            may find no room.
    """

    title: str
    brief: str
    tone: Tone
    source: Source
    named: str = ""
    file_word: str = SAYS_GENERATED
    steps: tuple[Step, ...] = (LOOK_FOR_COPIES,)


class Origin(Enum):
    """Every answer, by its id: the strongest evidence first."""

    answer: Answer

    def __new__(cls, key: str, answer: Answer) -> Origin:
        """Make a member whose value is its id alone."""
        member = object.__new__(cls)
        member._value_ = key
        member.answer = answer
        return member

    SIGNED_GENERATED = (
        "signed-generated",
        Answer(
            N_("Signed as generated"),
            N_("signed as generated"),
            "generated",
            "signature",
            named=N_("{name} signed that it was generated"),
        ),
    )
    SIGNED_PART_GENERATED = (
        "signed-part-generated",
        Answer(
            N_("Signed as partly generated"),
            N_("signed as part generated"),
            "generated",
            "signature",
            named=N_("{name} signed that a part of it was generated"),
        ),
    )
    SIGNED_CAPTURED = (
        "signed-captured",
        Answer(
            N_("Signed as captured"),
            N_("signed as captured"),
            "signed",
            "signature",
            named=N_("{name} signed that it was captured"),
        ),
    )
    FILE_GENERATED = (
        "file-generated",
        Answer(
            N_("The file says it was generated"),
            N_("file says generated"),
            "generated",
            "file",
            named=N_("The file says that it was made with {name}"),
        ),
    )
    FILE_NOT_VALIDATED = (
        "file-not-validated",
        Answer(
            N_("Says it was generated; signature not confirmed"),
            N_("generated, not validated"),
            "generated",
            "file",
            named=N_("Says {name} made it; signature not confirmed"),
        ),
    )
    FILE_PART_GENERATED = (
        "file-part-generated",
        Answer(
            N_("The file says it was partly generated"),
            N_("file says part generated"),
            "generated",
            "file",
        ),
    )
    MARK_OF_GENERATOR = (
        "mark-of-generator",
        Answer(
            N_("It bears the mark of a generator"),
            N_("bears a generator's mark"),
            "generated",
            "mark",
            named=N_("{name}'s mark is on it"),
        ),
    )
    MARK_OF_EDITOR = (
        "mark-of-editor",
        Answer(
            N_("It bears the mark of an editor with generative AI"),
            N_("bears an AI editor's mark"),
            "generated",
            "mark",
            named=N_("{name}'s mark is on it"),
        ),
    )
    FILE_EDITED = (
        "file-edited",
        Answer(
            N_("Says that it was edited with generative AI"),
            N_("file says edited with AI"),
            "generated",
            "file",
            named=N_("The file says that it was edited with {name}"),
            file_word=N_("says edited with AI"),
        ),
    )
    FILE_MAY_BE = (
        "file-may-be",
        Answer(
            N_("The file says it may be generated"),
            SAYS_PERHAPS,
            "inconclusive",
            "file",
            file_word=SAYS_PERHAPS,
        ),
    )
    FILE_SUSPECTED = (
        "file-suspected",
        Answer(
            N_("A platform suspects that it was generated"),
            SAYS_PERHAPS,
            "inconclusive",
            "file",
            file_word=SAYS_PERHAPS,
        ),
    )
    LIKELY_GENERATED = (
        "likely-generated",
        Answer(
            N_("Likely generated"),
            N_("likely generated"),
            "generated",
            "pixels",
            steps=(
                Step(
                    "copies",
                    N_(
                        "Look for earlier copies: a site or a person that names the generator "
                        "tells more than a score."
                    ),
                ),
                ASK_OWNERS,
                Step(
                    "original",
                    N_(
                        "Ask who sent it how the picture was made, and for the file as it was made."
                    ),
                ),
                MAGNIFY,
            ),
        ),
    )
    INCONCLUSIVE = (
        "inconclusive",
        Answer(
            N_("Inconclusive"),
            N_("inconclusive"),
            "inconclusive",
            "pixels",
            steps=(LOOK_FOR_COPIES, ASK_OWNERS, ASK_FOR_ORIGINAL, MAGNIFY),
        ),
    )
    LIKELY_NOT_GENERATED = (
        "likely-not-generated",
        Answer(
            N_("Likely not generated"),
            N_("likely not generated"),
            "not-generated",
            "pixels",
            steps=(
                Step(
                    "copies",
                    N_(
                        "Look for earlier copies: an old or a staged photograph, or one of "
                        "another place, gets this answer, too."
                    ),
                ),
                Step(
                    "original",
                    N_(
                        "Ask for the original file, and for others that were taken before and "
                        "after it."
                    ),
                ),
            ),
        ),
    )
    NO_ANSWER = (
        "no-answer",
        Answer(
            NO_ANSWER_TITLE,
            NO_ANSWER,
            "inconclusive",
            "pixels",
            steps=(LOOK_FOR_COPIES, ASK_OWNERS, ASK_FOR_ORIGINAL, MAGNIFY),
        ),
    )
    NOT_EXAMINED = (
        "not-examined",
        Answer(NOT_EXAMINED, N_("failed"), "inconclusive", "pixels"),
    )
    PENDING = ("pending", Answer("", "", "inconclusive", "pixels"))

    @property
    def sign(self) -> str:
        """The sign that stands before the answer."""
        return EMPTY if self is Origin.NO_ANSWER else SIGN[self.answer.tone]

    def named(self, name: str) -> str:
        """Return the title in the reader's language, with a name where there is one."""
        if name and self.answer.named:
            return _(self.answer.named, name=short_name(name))
        return _(self.answer.title) if self.answer.title else ""


BY_BAND: dict[Band, Origin] = {
    "likely generated": Origin.LIKELY_GENERATED,
    "inconclusive": Origin.INCONCLUSIVE,
    "likely not generated": Origin.LIKELY_NOT_GENERATED,
    "no answer": Origin.NO_ANSWER,
}


def short_name(name: str) -> str:
    """Return a name in the reader's language, without what stands behind it in brackets."""
    return re.split(r" ?\u200f?[(（]", _(name), maxsplit=1)[0]


def decide(provenance: Provenance, band: Band | None, *, problem: str = "") -> Origin:
    """Return the answer that all evidence gives.

    Args:
        provenance: what the file says, and its marks.
        band: what the pixels say; None before they are judged, and where they cannot be.
        problem: why the pixels cannot be judged.
    """
    if origin := by_signature(provenance) or by_claim(provenance):
        return origin
    if problem:
        return Origin.NOT_EXAMINED
    return BY_BAND[band] if band else Origin.PENDING


def by_signature(p: Provenance) -> Origin | None:
    """Return what a generator or a signer on the trust list vouches for.

    That something was generated outweighs that it was captured; of earlier versions and parts, only
    the first counts.
    """
    if p.proof:
        return Origin.SIGNED_GENERATED
    if p.credentials.state != "trusted":
        return None
    claims = p.credentials.source_types
    if any(claim.kind == "generated" and not claim.of_part for claim in claims):
        return Origin.SIGNED_GENERATED
    if any(claim.kind in ("generated", "part generated") for claim in claims):
        return Origin.SIGNED_PART_GENERATED
    if any(claim.kind == "captured" and not claim.of_part for claim in claims):
        return Origin.SIGNED_CAPTURED
    return None


def by_claim(p: Provenance) -> Origin | None:
    """Return what the file says, or a mark on it, without a signature that counts."""
    mark = next(iter(p.claimed_marks), None)
    if mark is None:
        return None
    if mark.says == "in part":
        return Origin.FILE_PART_GENERATED
    if mark.says == "may be":
        return Origin.FILE_MAY_BE
    if mark.says == "is suspected":
        return Origin.FILE_SUSPECTED
    if mark.certainty == "not validated":
        return Origin.FILE_NOT_VALIDATED
    if mark.edited:
        return Origin.MARK_OF_EDITOR if mark.on_pixels else Origin.FILE_EDITED
    return Origin.MARK_OF_GENERATOR if mark.on_pixels else Origin.FILE_GENERATED


def claims_capture(p: Provenance) -> bool:
    """Return whether the file says, unsigned and without a generator's mark, that a camera took
    it."""
    if p.claimed_marks:
        return False
    claims = p.source_types
    if p.credentials.state in ("interim", "unknown signer", "unvalidated"):
        claims = p.credentials.source_types + claims
    return any(claim.kind == "captured" for claim in claims)
