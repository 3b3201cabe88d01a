"""Questions and answers made from annotated boxes by templates with many phrasings.

Boxes are exhaustive for the 80 classes where a picture is annotated, so an absent class may be
asked about, and a count is a count. What the boxes do not decide (a place near a border between
thirds, two objects of like size) is not asked.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUESTION_TYPES = (
    "presence",
    "count",
    "place",
    "left of",
    "right of",
    "relation",
    "larger",
    "largest",
    "category",
)
WORDS: dict[str, Any] = json.loads(
    Path(__file__).with_name("questions.json").read_text(encoding="utf-8")
)
MIN_OBJECT_SHARE = 0.004  # of the picture's area; smaller objects are not asked about
MAX_COUNT = 6  # larger counts are not asked for


@dataclass(frozen=True, slots=True)
class Box:
    """An object: its class, and left, top, right, bottom as fractions of the picture's sides."""

    name: str
    left: float
    top: float
    right: float
    bottom: float
    crowd: bool = False

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt and what should be said; `kind` groups the results."""

    prompt: str
    answer: str
    kind: str


def plural(name: str) -> str:
    return str(WORDS["plurals"].get(name, name + "s"))


def view_boxes(
    boxes: Sequence[Box], view: tuple[float, float, float, float], *, flip: bool
) -> list[Box] | None:
    """The boxes as a crop of the picture (fractions) shows them; None if the crop leaves one in
    doubt (cut by half)."""
    left, top, right, bottom = view
    width, height = right - left, bottom - top
    visible = []
    for box in boxes:
        x0, x1 = (min(max((x - left) / width, 0.0), 1.0) for x in (box.left, box.right))
        y0, y1 = (min(max((y - top) / height, 0.0), 1.0) for y in (box.top, box.bottom))
        share = (x1 - x0) * (y1 - y0) * width * height / max(box.area, 1e-9)
        if 0.05 < share < 0.5:
            return None
        if share >= 0.5:
            visible.append(
                Box(box.name, 1 - x1 if flip else x0, y0, 1 - x0 if flip else x1, y1, box.crowd)
            )
    return visible


def box_questions(
    boxes: Sequence[Box],
    frequency: Mapping[str, int],
    rng: random.Random,
    *,
    kinds: Sequence[str] = QUESTION_TYPES,
) -> list[Text]:
    """Ask at most one question of each kind (presence: one on what is there, one on what is not).

    Args:
        boxes: of one picture or view.
        frequency: class -> in how many pictures it is; absent classes are asked for in proportion,
            so that the class alone does not tell the answer.
    """
    makers: dict[str, Callable[[], list[Text]]] = {
        "presence": lambda: _presence(boxes, frequency, rng),
        "count": lambda: _count(boxes, rng),
        "place": lambda: _place(boxes, rng),
        "left of": lambda: _beside(boxes, rng, left=True),
        "right of": lambda: _beside(boxes, rng, left=False),
        "relation": lambda: _relation(boxes, rng),
        "larger": lambda: _larger(boxes, rng),
        "largest": lambda: _largest(boxes, rng),
        "category": lambda: _category(boxes, rng),
    }
    return [text for kind in kinds for text in makers[kind]()]


def _single(boxes: Sequence[Box]) -> list[Box]:
    """Return the objects that are the only one of their class and large enough to be asked
    about."""
    names = [box.name for box in boxes]
    return [
        box
        for box in boxes
        if names.count(box.name) == 1 and box.area >= MIN_OBJECT_SHARE and not box.crowd
    ]


def _presence(boxes: Sequence[Box], frequency: Mapping[str, int], rng: random.Random) -> list[Text]:
    there = sorted({box.name for box in boxes if box.area >= MIN_OBJECT_SHARE})
    absent = sorted(set(frequency) - {box.name for box in boxes})
    picks = [(rng.choice(there), "yes")] if there else []
    if absent:
        picks.append((rng.choices(absent, [frequency[name] for name in absent])[0], "no"))
    return [
        Text(rng.choice(WORDS["presence"]).format(x=x, xs=plural(x)), answer, "presence")
        for x, answer in picks
    ]


def _count(boxes: Sequence[Box], rng: random.Random) -> list[Text]:
    numbers: dict[str, int] = {}
    for box in boxes:
        numbers[box.name] = numbers.get(box.name, 0) + (MAX_COUNT + 1 if box.crowd else 1)
    visible = {box.name for box in boxes if box.area >= MIN_OBJECT_SHARE}
    names = sorted(
        name for name, number in numbers.items() if number <= MAX_COUNT and name in visible
    )
    if not names:
        return []
    several = [name for name in names if numbers[name] > 1]
    name = rng.choice(several if several and rng.random() < 0.7 else names)
    return [Text(rng.choice(WORDS["count"]).format(xs=plural(name)), str(numbers[name]), "count")]


def _place(boxes: Sequence[Box], rng: random.Random) -> list[Text]:
    places = []
    for box in _single(boxes):
        for low, high, place in ((0.0, 0.3, "left"), (0.38, 0.62, "middle"), (0.7, 1.0, "right")):
            if low <= box.middle <= high and box.right - box.left < 0.7:
                places.append((box.name, place))
    if not places:
        return []
    name, place = rng.choice(places)
    return [Text(rng.choice(WORDS["place"]).format(x=name), place, "place")]


def _beside(boxes: Sequence[Box], rng: random.Random, *, left: bool) -> list[Text]:
    pairs = []
    for anchor in _single(boxes):
        beside = [
            b
            for b in boxes
            if b.name != anchor.name
            and b.area >= MIN_OBJECT_SHARE
            and _is_beside(b, anchor, left=left)
        ]
        if len({b.name for b in beside}) == 1:
            pairs.append((anchor.name, beside[0].name))
    if not pairs:
        return []
    anchor_name, answer = rng.choice(pairs)
    text = rng.choice(WORDS["left" if left else "right"]).format(x=anchor_name)
    return [Text(text, answer, "left of" if left else "right of")]


def _is_beside(box: Box, anchor: Box, *, left: bool) -> bool:
    level = box.top < anchor.bottom and anchor.top < box.bottom
    return level and (box.middle < anchor.left if left else box.middle > anchor.right)


def _relation(boxes: Sequence[Box], rng: random.Random) -> list[Text]:
    single = _single(boxes)
    pairs = [(a, b) for a in single for b in single if abs(a.middle - b.middle) > 0.15]
    if not pairs:
        return []
    a, b = rng.choice(pairs)
    side = "left" if a.middle < b.middle else "right"
    return [Text(rng.choice(WORDS["relation"]).format(x=a.name, y=b.name), side, "relation")]


def _larger(boxes: Sequence[Box], rng: random.Random) -> list[Text]:
    single = _single(boxes)
    pairs = [
        (a, b) for a in single for b in single if a.area > 1.6 * b.area or b.area > 1.6 * a.area
    ]
    if not pairs:
        return []
    a, b = rng.choice(pairs)
    answer = a.name if a.area > b.area else b.name
    return [Text(rng.choice(WORDS["larger"]).format(x=a.name, y=b.name), answer, "larger")]


def _largest(boxes: Sequence[Box], rng: random.Random) -> list[Text]:
    by_area = sorted(boxes, key=lambda box: -box.area)
    others = [box for box in by_area if by_area and box.name != by_area[0].name]
    if not by_area or by_area[0].crowd or (others and others[0].area * 1.5 > by_area[0].area):
        return []
    return [Text(rng.choice(WORDS["largest"]), by_area[0].name, "largest")]


def _category(boxes: Sequence[Box], rng: random.Random) -> list[Text]:
    texts = []
    for category, members in WORDS["categories"].items():
        names = {box.name for box in boxes if box.name in members}
        if len(names) == 1 and any(
            box.name in names and box.area >= 2 * MIN_OBJECT_SHARE for box in boxes
        ):
            texts.append(
                Text(rng.choice(WORDS["category"]).format(c=category), names.pop(), "category")
            )
    return [rng.choice(texts)] if texts else []
