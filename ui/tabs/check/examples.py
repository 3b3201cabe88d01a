"""Pictures to try the app with: one of each answer.

They work offline: photographs from scikit-image's wheel, two that image generators made, and one
drawn by the code here. They show how the app answers, not how good it is. What the shipped detector
says of each is in assets/examples.json, which scripts/examples.py writes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from causalclip.examination.answer import Origin
from causalclip.languages import N_, _
from causalclip.paths import shipped_folder
from causalclip.report.pictures import file_thumbnail
from causalclip.report.templates import render

SIZE = 512
QUALITY = 85  # of the JPEG of a generated picture, as sites store it
EXPECTED = shipped_folder("assets") / "examples.json"
PICTURES = shipped_folder("assets") / "pictures"  # by image generators, see README.md there
SHOWCASE = "studio-cat.jpg"  # of the examples' files, the one that the page opens with
THUMB = 192  # px, the long side of a thumbnail
PHOTOGRAPH, GENERATED, DRAWN = N_("photograph"), N_("generated"), N_("made by code")
ROCKET, COFFEE, STUDIO = N_("rocket"), N_("coffee"), N_("cat in a studio")
PRAWNS, RENDERING = N_("prawns on ice"), N_("rendering")
# x, y, radius, colour: from back to front
_BALLS = (
    (-0.5, -0.1, 0.33, (0.75, 0.2, 0.2)),
    (0.5, 0.0, 0.4, (0.2, 0.45, 0.7)),
    (0.02, -0.42, 0.28, (0.9, 0.75, 0.25)),
)
_LIGHT = np.array([-0.52, 0.73, -0.45])


@dataclass(frozen=True, slots=True)
class Example:
    """An example's files, caption, and the shipped detector's answer.

    Attributes:
        path: of the picture.
        thumbnail: of it, a data URL.
        caption: its kind and what it shows, in English: "photograph: rocket".
        expect: the id of the answer; "" where it depends on the machine.
    """

    path: Path
    thumbnail: str
    caption: str
    expect: str = ""

    @property
    def name(self) -> str:
        """The picture's subject, in English."""
        return self.caption.partition(": ")[2]

    @property
    def title(self) -> str:
        """The caption in the reader's language."""
        kind = self.caption.partition(": ")[0]
        return f"{_(kind)}: {_(self.name)}"


def expected() -> dict[str, str]:
    """Return what the shipped detector says of each example, by name."""
    answers: dict[str, str] = json.loads(EXPECTED.read_text(encoding="utf-8"))["answers"]
    return answers


def write_examples(
    folder: str | os.PathLike[str], answers: Mapping[str, str] | None = None
) -> list[Example]:
    """Write all examples into `folder` and return them.

    answers: what the detector says of each, by name; `expected()` by default.
    """
    answers = expected() if answers is None else answers
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    studio = folder / SHOWCASE
    with Image.open(PICTURES / "studio-cat.png") as picture:
        picture.convert("RGB").save(studio, quality=QUALITY)
    rendering = folder / "rendering.png"
    Image.fromarray(_spheres()).save(rendering)
    examples = [
        _example(_copy_from_wheel("rocket.jpg", folder), PHOTOGRAPH, ROCKET),
        _example(studio, GENERATED, STUDIO),
        _example(_copy_from_wheel("coffee.png", folder), PHOTOGRAPH, COFFEE),
        _example(Path(shutil.copy(PICTURES / "prawns-on-ice.jpg", folder)), GENERATED, PRAWNS),
        _example(rendering, DRAWN, RENDERING),
    ]
    return [replace(example, expect=answers.get(example.name, "")) for example in examples]


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Write a signed picture and an edited copy of it into `folder`; return both paths.

    In the copy, which is smaller, cropped and without the signature, ice covers a banana at the
    right, and another at the left is blurred.
    """
    original = Path(shutil.copy(PICTURES / "prawns-on-ice.jpg", folder))
    edited = folder / "prawns-on-ice-edited.jpg"
    with Image.open(original) as picture:
        copy = picture.convert("RGB")
    ice = copy.crop((620, 830, 820, 1010))
    soft_edge = Image.new("L", ice.size)
    soft_edge.paste(255, (20, 20, ice.width - 20, ice.height - 20))
    copy.paste(ice, (812, 595), soft_edge.filter(ImageFilter.GaussianBlur(10)))
    banana = 20, 615, 175, 805
    copy.paste(copy.crop(banana).filter(ImageFilter.GaussianBlur(9)), banana)
    copy.crop((14, 40, 1004, 1000)).resize((742, 720)).save(edited, quality=QUALITY)
    return original, edited


def _spheres() -> np.ndarray:
    """Return a drawing of three shaded balls on a table: uint8 [SIZE, SIZE, 3]."""
    y, x = np.mgrid[1.0 : -1.0 : SIZE * 1j, -1.0 : 1.0 : SIZE * 1j]
    wood = 0.5 + 0.06 * np.sin(40 * (y + 0.05 * np.sin(9 * x)))
    table = wood[..., None] * np.array([1.05, 0.75, 0.5])
    picture = np.where((y < -0.1)[..., None], table, np.array([0.72, 0.77, 0.8]))
    for ball in _BALLS:
        picture = _shade(picture, x, y, *ball)
    return _to_pixels(picture)


def _shade(
    picture: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    cx: float,
    cy: float,
    radius: float,
    colour: tuple[float, ...],
) -> np.ndarray:
    """Return the picture with one ball and its shadow on the table."""
    away = ((x - cx - 0.2) / (1.2 * radius)) ** 2 + ((y - cy + 0.95 * radius) / (0.3 * radius)) ** 2
    picture = picture * (1 - 0.6 * np.exp(-1.5 * away) * (y < 0))[..., None]
    dx, dy = (x - cx) / radius, (y - cy) / radius
    normal = np.stack([dx, dy, -np.sqrt(np.clip(1 - dx**2 - dy**2, 0, None))], -1)
    facing = np.clip(normal @ _LIGHT, 0, None)[..., None]
    ball = np.array(colour) * (0.25 + 0.8 * facing) + 0.7 * facing**40
    return np.where((dx**2 + dy**2 < 1)[..., None], ball, picture)


def _to_pixels(picture: np.ndarray) -> np.ndarray:
    """Return a picture of values in [0, 1] as uint8."""
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _copy_from_wheel(name: str, folder: Path) -> Path:
    """Copy one of scikit-image's own pictures into a folder; return the copy's path.

    It is read as a file, because scikit-image's loaders may ask the network. Public domain or CC0
    (SpaceX, Rachel Michetti), see skimage.data.
    """
    with as_file(files("skimage") / "data" / name) as source:
        return Path(shutil.copy(source, folder / name))


def _example(path: Path, kind: str, what: str) -> Example:
    return Example(path, file_thumbnail(path, side=THUMB), f"{kind}: {what}")


def _capitalise(words: str) -> str:
    return words[:1].upper() + words[1:]


def shelf(examples: Sequence[Example]) -> str:
    """Return the examples as buttons, each with its answer and its index, as HTML."""
    buttons = []
    for example in examples:
        origin = Origin(example.expect or "pending")  # type: ignore[call-arg]
        answer = origin.answer
        buttons.append(
            {
                "address": example.thumbnail,
                "title": example.title,
                "tone": answer.tone,
                "sign": origin.sign,
                "expect": _capitalise(_(answer.brief)) if example.expect else "",
            }
        )
    return render("shelf", template="check.html", examples=buttons)
