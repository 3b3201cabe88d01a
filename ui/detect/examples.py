"""Pictures to try the app with: examples, and stored answers to public pictures.

The examples work offline: photographs from scikit-image's wheel, two that image generators made, and pictures made by
the code here. They show how the app answers, not how good it is. What the shipped detector says of each is in
assets/examples.json. Of public pictures, which are not shipped, assets/gallery has the answers, the maps, and where
each can be seen. scripts/examples.py writes both.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from causalclip.evidence.headline import tone_of
from causalclip.evidence.stability import survives
from causalclip.evidence.words import NO_ANSWER, score_texts
from causalclip.languages import N_, _, ended
from causalclip.paths import shipped_folder
from causalclip.report.templates import render
from ui.detect.words import map_sentence

SIZE = 512
EXPECTED = shipped_folder("assets") / "examples.json"
PICTURES = shipped_folder("assets") / "pictures"
# By image generators, see README.md beside them.
GENERATED = {"studio-cat.png": N_("cat in a studio"), "prawns-on-ice.jpg": N_("prawns on ice")}
# The order of those with the same answer.
NAMES = "cat", "prawns on ice", "cat in a studio", "coffee", "rendering", "rocket", "landscape", "fractal"
LAST = "astronaut"  # a portrait of a person is nobody's first impression of an answer
THUMB = 192  # px, the long side of a thumbnail
MAKERS = "Stable Diffusion", "DALL-E", "Midjourney"
COMMONS = "https://commons.wikimedia.org/wiki/Special:MediaSearch?type=image&search="
GALLERY = shipped_folder("assets") / "gallery"
TRUTHS = {
    "generated": N_("generated, {how}"),
    "photograph": N_("a photograph"),
    "edited": N_("a photograph, edited with {how}"),
    "page": N_("a screenshot"),
}
SHOWS = (  # what the public pictures show, of assets/gallery/pictures.json
    N_("A restaurant with a wooden table"),
    N_("A market street on a rainy night"),
    N_("Folded towels with leaves on them"),
    N_("The lobby of a hotel"),
    N_("Shoes on a pebble beach"),
    N_("Bowls with fruit on a table"),
    N_("A lane whose houses were made wooden"),
    N_("A dialog of a desktop program"),
)


@dataclass(frozen=True, slots=True)
class Example:
    """A picture's file, a small JPEG of it, an honest caption, and what the shipped detector says of it."""

    path: Path
    thumbnail: Path
    caption: str
    expect: str = ""

    @property
    def name(self) -> str:
        """What it shows."""
        return self.caption.partition(": ")[2]

    @property
    def title(self) -> str:
        """The caption in the reader's language."""
        kind = self.caption.partition(": ")[0]
        return f"{_(kind)}: {_(self.name)}"


def expected() -> dict[str, str]:
    """What the shipped detector says of each example, by name."""
    answers: dict[str, str] = json.loads(EXPECTED.read_text(encoding="utf-8"))["answers"]
    return answers


def write_examples(folder: str | os.PathLike[str], answers: Mapping[str, str] | None = None) -> list[Example]:
    """Writes all examples into `folder` and returns them, one of each answer first as far as there are.

    answers: what is to be expected, by name; `expected()` by default.
    """
    answers = expected() if answers is None else answers
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    photograph, generated, code = N_("photograph"), N_("generated"), N_("made by code")
    made = {what: _example(_carried(name, folder), f"{photograph}: {what}") for name, what in _PHOTOGRAPHS.items()}
    for name, what in GENERATED.items():
        made[what] = _example(Path(shutil.copy(PICTURES / name, folder)), f"{generated}: {what}")
    made |= {name: _example(_made(name, make, folder), f"{code}: {name}") for name, make in _MADE.items()}
    return [replace(made[name], expect=answers.get(name, "")) for name in _ordered(answers)]


def _ordered(answers: Mapping[str, str]) -> list[str]:
    first: dict[str, str] = {}
    for name in NAMES:
        first.setdefault(answers.get(name, ""), name)
    shown = list(first.values())
    return [*shown, *(name for name in NAMES if name not in shown), LAST]


def landscape(*, size: int = SIZE, seed: int = 7) -> np.ndarray:
    """Ridges of fractal noise under a gradient sky: uint8 [size, size, 3]."""
    rng = np.random.default_rng(seed)
    height = np.linspace(0, 1, size)[:, None]
    sky = np.stack([0.98 - 0.55 * (1 - height), 0.72 - 0.2 * (1 - height), 0.55 + 0.25 * (1 - height)], -1)
    picture = np.broadcast_to(sky, (size, size, 3)).copy()
    for depth in np.linspace(0, 1, 5):
        ridge = 0.42 + 0.42 * depth + (0.06 + 0.1 * (1 - depth)) * _fractal(rng, size, 0.62)
        shade = np.array([0.62, 0.6, 0.7]) * (1 - depth) + np.array([0.09, 0.13, 0.12]) * depth
        grain = 1 + 0.12 * depth * rng.standard_normal((size, size, 1))
        picture = np.where((height > ridge)[..., None], shade * grain, picture)
    return _to_pixels(gaussian_filter(picture, (0.7, 0.7, 0)))


def julia(*, size: int = SIZE, c: complex = -0.79 + 0.155j, steps: int = 120) -> np.ndarray:
    """A Julia set of z^2 + c, coloured by how fast each point escapes: uint8 [size, size, 3]."""
    y, x = np.mgrid[-1.0 : 1.0 : size * 1j, -1.45 : 1.45 : size * 1j]
    z = x + 1j * y
    escape = np.zeros(z.shape)
    for _step in range(steps):
        inside = np.abs(z) < 4
        z = np.where(inside, z**2 + c, z)
        escape += inside
    tone = (escape / steps) ** 0.6
    turns, phases = np.array([0.9, 0.8, 0.7]), np.array([0.55, 0.4, 0.2])  # of red, green, blue
    return _to_pixels(0.5 + 0.5 * np.cos(2 * np.pi * (tone[..., None] * turns + phases)))


def spheres(*, size: int = SIZE) -> np.ndarray:
    """Three shaded balls on a table: uint8 [size, size, 3]."""
    y, x = np.mgrid[1.0 : -1.0 : size * 1j, -1.0 : 1.0 : size * 1j]
    wood = 0.5 + 0.06 * np.sin(40 * (y + 0.05 * np.sin(9 * x)))
    table = wood[..., None] * np.array([1.05, 0.75, 0.5])
    picture = np.where((y < -0.1)[..., None], table, np.array([0.72, 0.77, 0.8]))
    for ball in _BALLS:
        picture = _shade(picture, x, y, *ball)
    return _to_pixels(picture)


# x, y, radius, colour: from back to front
_BALLS = (
    (-0.5, -0.1, 0.33, (0.75, 0.2, 0.2)),
    (0.5, 0.0, 0.4, (0.2, 0.45, 0.7)),
    (0.02, -0.42, 0.28, (0.9, 0.75, 0.25)),
)
_LIGHT = np.array([-0.52, 0.73, -0.45])


def _shade(
    picture: np.ndarray, x: np.ndarray, y: np.ndarray, cx: float, cy: float, radius: float, colour: tuple[float, ...]
) -> np.ndarray:
    """The picture with one ball and its shadow on the table."""
    away = ((x - cx - 0.2) / (1.2 * radius)) ** 2 + ((y - cy + 0.95 * radius) / (0.3 * radius)) ** 2
    picture = picture * (1 - 0.6 * np.exp(-1.5 * away) * (y < 0))[..., None]
    dx, dy = (x - cx) / radius, (y - cy) / radius
    normal = np.stack([dx, dy, -np.sqrt(np.clip(1 - dx**2 - dy**2, 0, None))], -1)
    facing = np.clip(normal @ _LIGHT, 0, None)[..., None]
    ball = np.array(colour) * (0.25 + 0.8 * facing) + 0.7 * facing**40
    return np.where((dx**2 + dy**2 < 1)[..., None], ball, picture)


def _fractal(rng: np.random.Generator, size: int, roughness: float) -> np.ndarray:
    """A line of `size` heights about 0: octaves of smoothed noise."""
    line = np.zeros(size)
    for octave in range(7):
        knots = rng.standard_normal(2 ** (octave + 1) + 2)
        line += roughness**octave * np.interp(np.linspace(0, len(knots) - 1, size), np.arange(len(knots)), knots)
    return line / 2.5


def _to_pixels(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _carried(name: str, folder: Path) -> Path:
    """A copy of one of the wheel's own files; read as a file, because scikit-image's loaders may ask the network."""
    with as_file(files("skimage") / "data" / name) as source:
        return Path(shutil.copy(source, folder / name))


def _made(name: str, make: Callable[[], np.ndarray], folder: Path) -> Path:
    path = folder / f"{name}.png"
    Image.fromarray(make()).save(path)
    return path


def _example(path: Path, caption: str) -> Example:
    thumbnail = path.with_name(f"{path.stem}-small.jpg")
    with Image.open(path) as picture:
        picture.thumbnail((THUMB, THUMB))
        picture.convert("RGB").save(thumbnail, quality=85)
    return Example(path, thumbnail, caption)


# Public domain (NASA, SpaceX) or CC0 (Stefan van der Walt, Rachel Michetti), see skimage.data.
_PHOTOGRAPHS = {
    "astronaut.png": N_("astronaut"),
    "chelsea.png": N_("cat"),
    "coffee.png": N_("coffee"),
    "rocket.jpg": N_("rocket"),
}
_MADE: dict[str, Callable[[], np.ndarray]] = {
    N_("landscape"): landscape,
    N_("fractal"): julia,
    N_("rendering"): spheres,
}


def shelf(examples: Sequence[Example]) -> str:
    """The examples as buttons with their captions, each with its index, and links to more generated pictures."""
    shown = [
        {"address": _data_address(one.thumbnail, "jpeg"), "title": one.title, "expect": one.expect} for one in examples
    ]
    sites = {_("by {generator}", generator=name): COMMONS + quote_plus(f'"generated by {name}"') for name in MAKERS}
    return render("shelf", template="detect.html", examples=shown, sites=sites)


def _data_address(file: Path, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


@dataclass(frozen=True, slots=True)
class PublicPicture:
    """A public picture that is not shipped. truth: a key of TRUTHS; how: with what. commit: of `repo` on GitHub.

    A test picture: the detector learned nothing from it, and it was chosen before the detector was asked about it.
    """

    sha256: str
    what: str
    truth: str
    how: str
    repo: str
    commit: str
    path: str

    @property
    def address(self) -> str:
        """Where it can be seen."""
        return f"https://github.com/{self.repo}/blob/{self.commit}/{quote(self.path)}"


def public_pictures() -> list[PublicPicture]:
    """Of assets/gallery/pictures.json."""
    return [PublicPicture(**entry) for entry in json.loads((GALLERY / "pictures.json").read_text(encoding="utf-8"))]


def gallery() -> str:
    """All of them as HTML, folded; each with its map, its answer and the link."""
    kept = json.loads((GALLERY / "examinations.json").read_text(encoding="utf-8"))
    rows = [_public(public, kept["pictures"][public.sha256]) for public in public_pictures()]
    return render("gallery", template="detect.html", revision=kept["revision"], rows=rows)


def way_there() -> str:
    """A link into it as HTML, which assets/upload.js unfolds, for who has no picture yet; empty where it has none such.

    By its pixels no example may be likely generated.
    """
    kept = json.loads((GALLERY / "examinations.json").read_text(encoding="utf-8"))["pictures"]
    if not any(kept[public.sha256]["band"] == "likely generated" for public in public_pictures()):
        return ""
    words = _("See public pictures that it called likely generated")
    return f"<p class='cc-jump-there'><a href='#public-pictures'>{words}</a></p>"


def _public(public: PublicPicture, kept: dict[str, Any]) -> dict[str, Any]:
    """A picture as the template draws it. score: what the pixels alone say, empty where they got no answer."""
    row = {
        "what": _(public.what),
        "truth": _(TRUTHS[public.truth], how=public.how) if public.how else _(TRUTHS[public.truth]),
        "address": public.address,
        "map": _data_address(GALLERY / f"{public.sha256[:12]}.webp", "webp"),
        "alt": map_sentence(kept["place"], towards_generated=kept["towards_generated"]),
        "size": kept["size"],
        "answer": kept["answer"],
        "tone": tone_of(kept["answer"]),
        "score": "",
    }
    if kept["band"] == NO_ANSWER:
        return row
    score, low, high = score_texts(kept["probability"], kept["low"], kept["high"])
    said = N_("By the pixels: {band}. Score {score}, thresholds {low} and {high}.")
    row["score"] = _(said, band=_(kept["band"]), score=score, low=low, high=high)
    return row | {"survives": ended(survives(kept["survives"], tuple(kept["counted"])))}
