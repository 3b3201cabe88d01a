"""Logos that generators stamp in a corner, each at a known place and size: Doubao, Jimeng, Meta AI,
Galaxy AI, Grok, Gemini's pill."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from safetensors.numpy import load_file

from causalclip.images.formats import Box
from causalclip.marks.correlation import NOWHERE, grey_of, look_closely
from causalclip.paths import shipped_folder

# Each is a mark's opacity, from 0 to 255: its brightness on a black picture, or what pictures that
# bear it have in common there. Doubao's and Jimeng's words are each cut out of one public file of
# training/tables/marks.csv; Samsung's are drawn in Google Sans.
TEMPLATES = shipped_folder("assets") / "marks" / "templates.safetensors"
SCALES = tuple(1.04**step for step in range(-5, 6))  # of a mark against its usual size
SLACK = 0.3  # of a mark's height: how far it may be from its place
COARSE = 1 / 2  # of a template, for the glance
GLANCE = 0.35  # correlation of grey values alone, below which a place is not looked at closely
MIN_WIDTH = 40  # px: a narrower mark cannot be told from chance


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo, and where it stands.

    Attributes:
        template: its name in TEMPLATES.
        generator: whose logo it is.
        corner: of the picture.
        width: of the logo, in widths of the picture.
        across, down: its distance from the sides of its corner, in widths of the picture.
        edited: whether it says that a picture was edited, not that it was generated.
        by_area: whether `width`, `across` and `down` are in square roots of the picture's area.
        sure: the least score, of at most 2.
    """

    template: str
    generator: str
    corner: Literal["bottom right", "bottom left", "top left"]
    width: float
    across: float
    down: float
    edited: bool = False
    by_area: bool = False
    sure: float = 0.75


LOGOS = (
    Logo("doubao", "Doubao", "bottom right", 0.1572, 0.0166, 0.0200),
    Logo("jimeng", "Jimeng", "bottom right", 0.1953, 0.0322, 0.0322),
    Logo("jimeng-pill", "Jimeng", "top left", 0.1630, 0.0222, 0.0222),
    Logo("meta", "Meta AI", "bottom left", 0.0859, 0.0391, 0.0383),
    Logo("samsung-it", "Samsung Galaxy AI", "bottom left", 0.3075, 0.0166, 0.0129, edited=True),
    Logo("meta-words", "Meta AI", "bottom right", 0.2012, 0.0506, 0.0506),
    # 63 px in pictures of 720 to 1,024
    Logo("grok", "Grok", "bottom right", 0.0767, 0.0156, 0.0172),
    # July 2025. It is small: of 12,000 pictures without it, chance reached 0.91 in one.
    Logo("gemini-pill", "Gemini", "bottom right", 0.0462, 0.0308, 0.0308, by_area=True, sure=1.1),
)


def find_logos(pixels: np.ndarray) -> list[tuple[Logo, float, Box]]:
    """Return logo, score and box of every logo in uint8 RGB [H, W, 3]."""
    places = ((logo, *_look_for_logo(pixels, logo)) for logo in LOGOS)
    return [(logo, score, box) for logo, score, box in places if score >= logo.sure]


def _look_for_logo(pixels: np.ndarray, logo: Logo) -> tuple[float, Box]:
    """Return the best score of a logo at its place, and its box.

    It is looked for in a copy of the corner in which a logo of the usual size is as wide as its
    template.
    """
    # 1. The corner that holds the logo at any of its sizes
    height, width = template_at(logo.template, 1.0).shape
    unit = float((pixels.shape[0] * pixels.shape[1]) ** 0.5 if logo.by_area else pixels.shape[1])
    usual = logo.width * unit
    zoom, slack = width / usual, SLACK * usual * height / width
    reach = (logo.across * unit + usual) * SCALES[-1] + slack
    depth = (logo.down * unit + usual * height / width) * SCALES[-1] + slack
    if usual < MIN_WIDTH or depth > pixels.shape[0]:  # no strip has one
        return 0.0, NOWHERE
    left = 0 if "left" in logo.corner else max(0, round(pixels.shape[1] - reach))
    top = 0 if "top" in logo.corner else max(0, round(pixels.shape[0] - depth))
    corner = grey_of(pixels[top : top + round(depth), left : left + round(reach)])
    if min(corner.shape) * zoom * COARSE < 1:
        return 0.0, NOWHERE

    # 2. Its copies: one to look at closely, one for a glance
    region = _resize(corner, zoom)
    coarse = cv2.resize(region, None, fx=COARSE, fy=COARSE, interpolation=cv2.INTER_AREA)

    # 3. Size by size, a glance at the whole corner, then a look at the place
    best: tuple[float, Box] = (0.0, NOWHERE)
    for scale in SCALES:
        if not _is_seen(coarse, template_at(logo.template, scale * COARSE)):
            continue
        score, across, below = _look_at_place(region, logo, scale, unit * zoom, slack * zoom)
        if score > best[0]:
            down, right = template_at(logo.template, scale).shape
            x, y = left + across / zoom, top + below / zoom
            best = score, (round(x), round(y), round(x + right / zoom), round(y + down / zoom))
    return best


def _look_at_place(
    region: np.ndarray, logo: Logo, scale: float, unit: float, slack: float
) -> tuple[float, int, int]:
    """Return the score of a logo of one size near its place, and x and y of its corner.

    Args:
        region: the picture's corner, float32 [H, W].
        unit: what the logo's place is given in, in px of the region.
        slack: how far it may be from there, in px of the region.
    """
    template = template_at(logo.template, scale)
    height, width = template.shape
    across, down = logo.across * unit * scale, logo.down * unit * scale
    x = round((across if "left" in logo.corner else region.shape[1] - across - width) - slack)
    y = round((down if "top" in logo.corner else region.shape[0] - down - height) - slack)
    x, y = max(0, x), max(0, y)
    around = round(2 * slack)
    place = region[y : y + height + around, x : x + width + around]
    if place.shape[0] < height or place.shape[1] < width:
        return 0.0, 0, 0
    score, right, below = look_closely(place, template)
    return score, x + right, y + below


def _is_seen(region: np.ndarray, template: np.ndarray) -> bool:
    """Return whether grey values alone correlate enough anywhere to look closely."""
    if region.shape[0] < template.shape[0] or region.shape[1] < template.shape[1]:
        return False
    return bool(cv2.matchTemplate(region, template, cv2.TM_CCOEFF_NORMED).max() >= GLANCE)


@lru_cache(maxsize=128)
def template_at(name: str, scale: float) -> np.ndarray:
    """Return a template at one of SCALES, float32 [H, W] of 0 to 1."""
    return _resize(load_file(TEMPLATES)[name].astype(np.float32) / 255, scale)


def _resize(grey: np.ndarray, zoom: float) -> np.ndarray:
    """Return a plane [H, W] at `zoom` times its size."""
    kernel = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    return cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=kernel)
