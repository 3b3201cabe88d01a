"""The result of a comparison of two pictures, and its sentences."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, InstanceOf, computed_field

from causalclip.compare.align import Alignment, Sections, Sizes
from causalclip.images.formats import Box
from causalclip.languages import N_, _, in_turn, ngettext, paragraph, percent
from causalclip.maps.attribution import PARTS
from causalclip.maps.captions import PLACES
from causalclip.schema import Schema

Answer = Literal["same picture", "same scene, another moment", "no match"]
ANSWERS: dict[Answer, str] = {
    "same picture": N_("Same picture"),
    "same scene, another moment": N_("Same scene, another moment"),
    "no match": N_("No match"),
}
INSIDE = (
    N_(
        "The picture inside the first one is compared: from ({left}, {top}) to ({right}, {bottom})."
    ),
    N_(
        "The picture inside the second one is compared: from ({left}, {top}) to ({right}, "
        "{bottom})."
    ),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A part that differs.

    Attributes:
        box_a, box_b: left, top, right, bottom in pixels of either picture as it was given.
        place: where it lies in the first picture, in English, one of maps.captions.PLACES.
        share: of what both show, in [0, 1].
        strength: its largest structural dissimilarity (1 minus SSIM), in [0, 2].
    """

    box_a: Box
    box_b: Box
    place: str
    share: float
    strength: float

    @property
    def words(self) -> str:
        """Where it lies, in the reader's language: "top left"."""
        return _(self.place)

    def describe(self, number: int) -> str:
        """Return the change in one line; `number` stands beside its frame."""
        left, top, right, bottom = self.box_a
        return _(
            "{number}: {words}, {percent} of what both show, from ({left}, {top}) to ({right}, "
            "{bottom}) in the first picture",
            number=number,
            words=self.words,
            percent=percent(self.share, digits=1),
            left=left,
            top=top,
            right=right,
            bottom=bottom,
        )


def place_of(box: Box, size: tuple[int, int]) -> str:
    """Return the name, in English, of the ninth of a picture that the middle of a box lies in."""
    left, top, right, bottom = box
    column = min(PARTS - 1, PARTS * (left + right) // (2 * size[0]))
    row = min(PARTS - 1, PARTS * (top + bottom) // (2 * size[1]))
    return PLACES[PARTS * row + column]


class Comparison(Schema):
    """What two pictures, a and b, are to each other, and where they differ."""

    answer: Answer
    confidence: float
    """How sure the answer is, in [0, 1]."""
    sizes: Sizes
    """Width and height of a and of b."""
    changes: tuple[Change, ...] = ()
    """The strongest first; none where they are no copies of one picture."""
    identical: bool = False
    """Whether every pixel is the same."""
    mirrored: bool = False
    """Whether left and right are swapped."""
    scale: float = 1.0
    """A pixel of b in pixels of a."""
    overlap: tuple[float, float] = (0.0, 0.0)
    """The share of each picture that the other shows, too."""
    points: int = 0
    """Image points that agree."""
    similar: float = 0.0
    """The share of what has texture that shows the same."""
    changed: float = 0.0
    """The share of the overlap that differs."""
    inside: Sections = (None, None)
    """The box of the picture in a screenshot or a page, which alone was compared."""
    seconds: float = 0.0
    aligned: InstanceOf[Alignment] | None = Field(default=None, exclude=True)
    """Both on one grid, for drawing; None without a match."""

    @computed_field
    @property
    def sentence(self) -> str:
        """The meaning of the answer."""
        if self.answer == "no match":
            return _(
                "Too few points of the two pictures agree. They show different things, or one was "
                "cropped or changed so far that this comparison cannot lay it over the other."
            )
        if self.answer == "same scene, another moment":
            return _(
                "Many points agree, but the pictures do not lie on each other: two photographs of "
                "one place or thing, or a copy made anew from top to bottom. What differs is not "
                "drawn, because nearly everything does."
            )
        if self.identical:
            return _("Every pixel is the same in both.")
        inner = [
            _(text, left=box[0], top=box[1], right=box[2], bottom=box[3])
            for text, box in zip(INSIDE, self.inside, strict=True)
            if box
        ]
        return paragraph(
            *inner,
            self._changes,
            _("Left and right are swapped.") if self.mirrored else "",
            self._overlap,
            _(
                "A difference of size, crop, tone, sharpness or compression alone does not count "
                "as a change."
            ),
        )

    @property
    def headline(self) -> str:
        """The answer in one line."""
        answer = _(ANSWERS[self.answer])
        if self.identical:
            return _("{answer}, pixel for pixel", answer=answer)
        if self.answer != "same picture":
            return answer
        n = len(self.changes)
        count = ngettext("one change", "{n} changes", n) if n else _("nothing differs")
        return _("{answer}, {count}", answer=answer, count=count)

    @property
    def confidence_sentence(self) -> str:
        """The confidence in words; "" where every pixel is the same."""
        if self.identical:
            return ""
        return _("How sure this answer is: {percent}.", percent=percent(self.confidence))

    @property
    def _changes(self) -> str:
        if not self.changes:
            return _(
                "No part differs by more than compression explains. Small or faint changes can be "
                "missed."
            )
        places = in_turn(dict.fromkeys(change.words for change in self.changes))
        count = len(self.changes)
        return paragraph(
            ngettext("One change: {places}.", "{n} changes: {places}.", count, places=places),
            _("That says what was changed between the two, not which of them came first."),
        )

    @property
    def _overlap(self) -> str:
        first, second = self.overlap
        if min(first, second) > 0.97:
            return ""
        return _(
            "The second shows {first} of the first, and the first {second} of the second; the rest "
            "is not compared.",
            first=percent(first),
            second=percent(second),
        )
