"""Marks with words and logos, a template each, and DALL-E 2's bar: in a corner, scaled with the picture's width."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from safetensors.numpy import load_file

from causalclip.marks.mark import NOWHERE, Box, grey_of, look_closely
from causalclip.paths import shipped_folder

TEMPLATES = shipped_folder("assets") / "marks" / "templates.safetensors"  # fitted by scripts/mark_templates.py
SCALES = tuple(1.04**step for step in range(-5, 6))  # of a mark against its usual size
SLACK = 0.3  # of a mark's height: how far it may be from its place
COARSE = 1 / 2  # of a template, for the glance
GLANCE = 0.35  # correlation of grey values alone, below which a place is not looked at closely
LEAST = 40  # px: a narrower mark cannot be told from chance


@dataclass(frozen=True, slots=True)
class Logo:
    """width, across, down: of the mark, and its distance from the sides of its corner, in widths of the picture;
    by_area: in square roots of its area instead. sure: the least score, of at most 2."""

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
    Logo("grok", "Grok", "bottom right", 0.0767, 0.0156, 0.0172),  # 63 px in pictures of 720 to 1,024
    # July 2025. It is small: of 12,000 pictures without it, chance reached 0.91 in one.
    Logo("gemini-pill", "Gemini", "bottom right", 0.0462, 0.0308, 0.0308, by_area=True, sure=1.1),
)


@lru_cache(maxsize=128)
def template_at(name: str, scale: float) -> np.ndarray:
    """A template at one of SCALES, float32 [H, W] of 0 to 1."""
    part = load_file(TEMPLATES)[name].astype(np.float32) / 255
    return cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def find_logos(pixels: np.ndarray) -> list[tuple[Logo, float, Box]]:
    """Logo, score and box of every mark in uint8 RGB [H, W, 3]."""
    looked = ((logo, *_look(pixels, logo)) for logo in LOGOS)
    return [(logo, score, box) for logo, score, box in looked if score >= logo.sure]


def _look(pixels: np.ndarray, logo: Logo) -> tuple[float, Box]:
    """Looks for a mark at its place, in a copy of the corner in which a mark of the usual size is as wide as its
    template; returns the best score and its box."""
    height, width = template_at(logo.template, 1.0).shape
    unit = float((pixels.shape[0] * pixels.shape[1]) ** 0.5 if logo.by_area else pixels.shape[1])
    usual = logo.width * unit
    zoom, slack = width / usual, SLACK * usual * height / width
    reach = (logo.across * unit + usual) * SCALES[-1] + slack
    depth = (logo.down * unit + usual * height / width) * SCALES[-1] + slack
    if usual < LEAST or depth > pixels.shape[0]:  # no strip has one
        return 0.0, NOWHERE
    left = 0 if "left" in logo.corner else max(0, round(pixels.shape[1] - reach))
    top = 0 if "top" in logo.corner else max(0, round(pixels.shape[0] - depth))
    corner = grey_of(pixels[top : top + round(depth), left : left + round(reach)])
    if min(corner.shape) * zoom * COARSE < 1:
        return 0.0, NOWHERE
    region = cv2.resize(corner, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    coarse = cv2.resize(region, None, fx=COARSE, fy=COARSE, interpolation=cv2.INTER_AREA)
    best: tuple[float, Box] = (0.0, NOWHERE)
    for scale in SCALES:
        glance = template_at(logo.template, scale * COARSE)
        if coarse.shape[0] < glance.shape[0] or coarse.shape[1] < glance.shape[1]:
            continue
        if cv2.matchTemplate(coarse, glance, cv2.TM_CCOEFF_NORMED).max() < GLANCE:
            continue
        template = template_at(logo.template, scale)
        down, right = template.shape
        x, y = logo.across * unit * scale * zoom, logo.down * unit * scale * zoom
        x0 = round((x if "left" in logo.corner else region.shape[1] - x - right) - slack * zoom)
        y0 = round((y if "top" in logo.corner else region.shape[0] - y - down) - slack * zoom)
        x0, y0 = max(0, x0), max(0, y0)
        place = region[y0 : y0 + down + round(2 * slack * zoom), x0 : x0 + right + round(2 * slack * zoom)]
        if place.shape[0] < down or place.shape[1] < right:
            continue
        score, across, below = look_closely(place, template)
        if score > best[0]:
            at = left + (x0 + across) / zoom, top + (y0 + below) / zoom
            best = score, (round(at[0]), round(at[1]), round(at[0] + right / zoom), round(at[1] + down / zoom))
    return best


# DALL-E 2's bar: five squares in the bottom right corner, 16 px each in a picture of 1,024 px.
BAR = np.array([(255, 255, 102), (66, 255, 255), (81, 218, 76), (255, 110, 60), (60, 70, 255)], dtype=np.float32)
SQUARE = 16 / 1024  # of the picture's width: a square's side
NEAR, FAR = 25.0, 45.0  # of 255: how far the mean of all squares, and each channel of each, may be from its colour
LEAST_SQUARE = 4  # px: a smaller square has no colour of its own


def find_bar(pixels: np.ndarray) -> Box | None:
    """The bar's box in uint8 RGB [H, W, 3]; None without one."""
    height, width = pixels.shape[:2]
    side = round(SQUARE * width)
    if side < LEAST_SQUARE or height < side:
        return None
    edge = max(1, side // 5)  # is blended with its neighbours
    left, top = width - 5 * side, height - side
    squares = pixels[top + edge : height - edge, left:].reshape(side - 2 * edge, 5, side, 3)[:, :, edge : side - edge]
    away = np.abs(squares.astype(np.float32).mean((0, 2)) - BAR)
    return (left, top, width, height) if away.mean() <= NEAR and away.max() <= FAR else None
