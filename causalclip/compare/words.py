"""A comparison in words: what the answer means, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causalclip.compare.comparison import Change, Comparison

NOT_TOLD = "A difference of size, crop, tone, sharpness or compression alone is not told as a change."
NO_MATCH = (
    "Too few points of the two pictures agree. They show different things, or one was cropped or changed so far that "
    "this comparison cannot lay it over the other."
)
SCENE = (
    "Many points agree, but the pictures do not lie on each other: two photographs of one place or thing, or a copy "
    "made anew from top to bottom. What differs is not drawn, because nearly everything does."
)
MIRRORED = "Left and right are swapped."


def sentence(found: Comparison) -> str:
    """What the answer means, for a person."""
    if found.answer == "no match":
        return NO_MATCH
    if found.answer == "same scene, another moment":
        return SCENE
    said = [_changes(found), MIRRORED if found.mirrored else "", _overlap(found), NOT_TOLD]
    return " ".join(filter(None, said))


def headline(found: Comparison) -> str:
    """The answer with its confidence, in one line."""
    said = found.answer.capitalize()
    if found.answer == "same picture":
        said += f", {_count(found)}"
    return f"{said} (confidence {found.confidence:.0%})"


def row(number: int, change: Change) -> str:
    """A change in one line; its number is the one beside its box."""
    left, top, right, bottom = change.box_a
    return (
        f"{number}: {change.share:.1%} of what both show, from ({left}, {top}) to ({right}, {bottom}) in the first "
        f"picture; {change.strength:.0f} times the spread that compression explains"
    )


def _count(found: Comparison) -> str:
    n = len(found.changes)
    return "nothing differs" if n == 0 else "one part differs" if n == 1 else f"{n} parts differ"


def _changes(found: Comparison) -> str:
    if not found.changes:
        return "No part differs by more than compression explains. Small or faint changes can be missed."
    parts = "One part differs" if len(found.changes) == 1 else f"{len(found.changes)} parts differ"
    return (
        f"{parts}, {found.changed:.1%} of what both show. That says what was changed between the two, not which of "
        "them came first."
    )


def _overlap(found: Comparison) -> str:
    first, second = found.overlap
    if min(first, second) > 0.97:
        return ""
    shown = f"The second shows {first:.0%} of the first, and the first {second:.0%} of the second"
    return f"{shown}; the rest is not compared."
