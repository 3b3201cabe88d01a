"""A comparison in words: what the answer means, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalclip.languages import N_, _, decimal, ngettext, number

if TYPE_CHECKING:
    from causalclip.compare.comparison import Change, Comparison
    from causalclip.compare.judging import Answer

ANSWERS: dict[Answer, str] = {
    "same picture": N_("Same picture"),
    "same scene, another moment": N_("Same scene, another moment"),
    "no match": N_("No match"),
}
NOT_TOLD = N_("A difference of size, crop, tone, sharpness or compression alone does not count as a change.")
NO_MATCH = N_(
    "Too few points of the two pictures agree. They show different things, or one was cropped or changed so far that "
    "this comparison cannot lay it over the other."
)
SCENE = N_(
    "Many points agree, but the pictures do not lie on each other: two photographs of one place or thing, or a copy "
    "made anew from top to bottom. What differs is not drawn, because nearly everything does."
)
MIRRORED = N_("Left and right are swapped.")
NOTHING = N_("No part differs by more than compression explains. Small or faint changes can be missed.")
IDENTICAL = N_("Every pixel is the same in both.")
INSIDE = (
    N_("The picture inside the first one is compared: from ({left}, {top}) to ({right}, {bottom})."),
    N_("The picture inside the second one is compared: from ({left}, {top}) to ({right}, {bottom})."),
)


def sentence(found: Comparison) -> str:
    """What the answer means, for a person."""
    if found.answer == "no match":
        return _(NO_MATCH)
    if found.answer == "same scene, another moment":
        return _(SCENE)
    if found.identical:
        return _(IDENTICAL)
    said = [*_inside(found), _changes(found), _(MIRRORED) if found.mirrored else "", _overlap(found), _(NOT_TOLD)]
    return " ".join(filter(None, said))


def headline(found: Comparison) -> str:
    """The answer with its confidence, in one line."""
    answer = _(ANSWERS[found.answer])
    if found.identical:
        return _("{answer}, pixel for pixel", answer=answer)
    if found.answer == "same picture":
        answer = _("{answer}, {count}", answer=answer, count=_count(found))
    return _("{answer} (confidence {percent}%)", answer=answer, percent=_percent(found.confidence))


def row(place: int, change: Change) -> str:
    """A change in one line; `place` is the number beside its box."""
    left, top, right, bottom = change.box_a
    return _(
        "{place}: {percent}% of what both show, from ({left}, {top}) to ({right}, {bottom}) in the first picture; "
        "{times} times the spread that compression explains",
        place=place,
        percent=decimal(100 * change.share, digits=1),
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        times=number(round(change.strength)),
    )


def _inside(found: Comparison) -> list[str]:
    names = "left", "top", "right", "bottom"
    pairs = zip(INSIDE, found.inside, strict=True)
    return [_(said, **dict(zip(names, box, strict=True))) for said, box in pairs if box]


def _count(found: Comparison) -> str:
    n = len(found.changes)
    return _("nothing differs") if n == 0 else ngettext("one part differs", "{n} parts differ", n)


def _changes(found: Comparison) -> str:
    if not found.changes:
        return _(NOTHING)
    return ngettext(
        "One part differs, {percent}% of what both show. That says what was changed between the two, not which of them "
        "came first.",
        "{n} parts differ, {percent}% of what both show. That says what was changed between the two, not which of them "
        "came first.",
        len(found.changes),
        percent=decimal(100 * found.changed, digits=1),
    )


def _overlap(found: Comparison) -> str:
    first, second = found.overlap
    if min(first, second) > 0.97:
        return ""
    return _(
        "The second shows {first}% of the first, and the first {second}% of the second; the rest is not compared.",
        first=_percent(first),
        second=_percent(second),
    )


def _percent(share: float) -> str:
    return number(round(100 * share))
