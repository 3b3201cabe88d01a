"""Ten pictures for docs: where the best local idea finds an edited part, and where it does not.

    python -m benchmarks.local.regions.pictures KEPT

KEPT is the folder of extract and ideas. Every picture is made here from photographs that scikit-image carries; the five
with the highest AUC of the map inside the picture, and the five with the lowest, go into two sheets in docs.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import uniform_filter
from skimage import data

from benchmarks.local.regions.cells import working
from benchmarks.local.regions.ideas import CONTRAST, middle, within
from benchmarks.local.regions.measure import local_maps, truth
from causalclip.detector import Detector

DOCS = Path(__file__).resolve().parents[3] / "docs"
QUALITY = 92  # of the JPEG that each picture is saved as, once
LOW, HIGH = 0.0, 0.5  # of the map's numbers, at the ends of its colours; the same for every picture
WIDE, LINE = 300, 44  # px of a drawn picture, and of the words above it
EACH = 5


@dataclass(frozen=True, slots=True)
class Case:
    """What was done, the picture (uint8 RGB [H, W, 3]), and the part it was done to (bool [H, W])."""

    name: str
    pixels: np.ndarray
    mask: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kept", type=Path)
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    detector = Detector.from_pretrained()
    models = torch.load(options.kept / "best.pt", weights_only=False)
    looked = sorted((look(case, detector, models) for case in cases()), key=lambda found: -found[0])
    for auc, blob, drawn in looked:
        print(f"{auc:.2f} (a blob in the middle {blob:.2f}): {drawn.info['name']}")
    for name, some in (("local-found", looked[:EACH]), ("local-missed", looked[-EACH:])):
        sheet([drawn for _, _, drawn in some]).quantize(96, dither=Image.Dither.NONE).save(
            options.docs / f"{name}.png", optimize=True
        )


def cases() -> Iterator[Case]:
    """Pictures with one edited part each; nothing in them is by an image generator."""
    astronaut, coffee, cat, rocket = (getattr(data, n)() for n in ("astronaut", "coffee", "chelsea", "rocket"))
    brick, grass = (np.stack([getattr(data, n)()] * 3, -1) for n in ("brick", "grass"))
    yield _pasted("a cat's eye pasted on coffee", coffee, cat[60:200, 90:250], (60, 380))
    yield _pasted("a face pasted on a launch", rocket, astronaut[40:200, 150:300], (120, 60))
    yield _pasted("coffee pasted on an astronaut", astronaut, coffee[60:240, 200:420], (300, 20))
    yield _pasted("grass pasted on bricks", brick, grass[:160, :200], (280, 60))
    yield _pasted("a part moved inside coffee", coffee, coffee[180:320, 60:220], (30, 20))
    yield _pasted("fur moved inside a cat", cat, cat[180:290, 20:160], (170, 290))
    yield _removed("a badge filled in (Telea)", astronaut, (260, 60, 110, 90), cv2.INPAINT_TELEA)
    yield _removed("a spoon filled in (Navier-Stokes)", coffee, (180, 400, 120, 130), cv2.INPAINT_NS)
    yield _removed("a mast filled in (Telea)", rocket, (60, 60, 240, 70), cv2.INPAINT_TELEA)
    yield _changed("a face smoothed", astronaut, (40, 150, 170, 140), lambda p: cv2.bilateralFilter(p, 9, 45, 9))
    yield _changed("a cup recoloured", coffee, (60, 190, 230, 240), _recoloured)
    yield _changed("a part made brighter", cat, (40, 240, 180, 170), lambda p: cv2.convertScaleAbs(p, alpha=1.3))
    yield _changed("a part saved as JPEG 30", grass, (60, 240, 220, 200), lambda p: _saved(p, 30))
    yield _changed("a face made slimmer", astronaut, (40, 150, 170, 140), lambda p: _squeezed(p, (125, 220), 90))
    yield _changed("a cooler tone", rocket, (220, 380, 160, 200), lambda p: _tinted(p, (0.9, 1.0, 1.12)))
    yield _written("a caption", coffee)


def _pasted(name: str, into: np.ndarray, part: np.ndarray, at: tuple[int, int]) -> Case:
    mask = np.zeros(into.shape[:2], bool)
    mask[at[0] : at[0] + part.shape[0], at[1] : at[1] + part.shape[1]] = True
    new = into.copy()
    new[mask] = part.reshape(-1, 3)
    return _blended(name, into, new, mask)


def _removed(name: str, pixels: np.ndarray, box: tuple[int, int, int, int], how: int) -> Case:
    mask = _box(pixels, box)
    return Case(name, _saved(cv2.inpaint(pixels, mask.astype(np.uint8), 5, how), QUALITY), mask)


def _changed(name: str, pixels: np.ndarray, box: tuple[int, int, int, int], how: Any) -> Case:
    return _blended(name, pixels, how(pixels), _box(pixels, box))


def _written(name: str, pixels: np.ndarray) -> Case:
    picture = Image.fromarray(pixels)
    draw, words = ImageDraw.Draw(picture), "Prices rise again this week"
    font = ImageFont.load_default(size=38)
    left, top, right, bottom = draw.textbbox((40, 320), words, font=font)
    draw.text((40, 320), words, fill="white", font=font, stroke_width=2, stroke_fill="black")
    mask = _box(pixels, (int(top), int(left), int(bottom - top), int(right - left)))
    return Case(name, _saved(np.asarray(picture), QUALITY), mask)


def _blended(name: str, before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> Case:
    """With a border as soft as an editor's brush."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)[..., None]
    mixed = (soft * after + (1 - soft) * before).round().astype(np.uint8)
    return Case(name, _saved(mixed, QUALITY), mask)


def _box(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """top, left, height, width -> bool [H, W]."""
    top, left, height, width = box
    mask = np.zeros(pixels.shape[:2], bool)
    mask[top : top + height, left : left + width] = True
    return mask


def _recoloured(pixels: np.ndarray) -> np.ndarray:
    hue = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    hue[..., 0] = (hue[..., 0].astype(int) + 60) % 180
    return np.asarray(cv2.cvtColor(hue, cv2.COLOR_HSV2RGB))


def _tinted(pixels: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    return np.clip(pixels * np.array(gains), 0, 255).astype(np.uint8)


def _squeezed(pixels: np.ndarray, at: tuple[int, int], reach: float) -> np.ndarray:
    """Narrower around a place (row, column), as by a retoucher's brush."""
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]].astype(np.float32)
    near = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * (reach / 2) ** 2)).astype(np.float32)
    return np.asarray(cv2.remap(pixels, x + 0.18 * (x - at[1]) * near, y, cv2.INTER_CUBIC))


def _saved(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


@torch.inference_mode()
def look(case: Case, detector: Detector, models: dict[str, Any]) -> tuple[float, float, Image.Image]:
    """The AUC of the map's cells inside the picture, that of a blob in the middle, and both pictures side by side."""
    picture = working(case.pixels)
    levels = uniform_filter(local_maps(picture, detector, models)[CONTRAST], 3, mode="nearest")
    known = truth(case.mask, picture.shape[:2])
    auc, blob = within(levels, known), within(middle(levels.shape), known)
    drawn = _row(case, levels, f"{case.name}\nAUC {auc:.2f}; a blob in the middle {blob:.2f}")
    drawn.info["name"] = case.name
    return auc, blob, drawn


def _row(case: Case, levels: np.ndarray, words: str) -> Image.Image:
    outlines, _ = cv2.findContours(case.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    marked = cv2.drawContours(case.pixels.copy(), outlines, -1, (255, 255, 255), 4)
    marked = cv2.drawContours(marked, outlines, -1, (0, 0, 0), 2)
    colours = matplotlib.colormaps["viridis"](np.clip((levels - LOW) / (HIGH - LOW), 0, 1))[..., :3]
    high = round(WIDE * case.pixels.shape[0] / case.pixels.shape[1])
    row = Image.new("RGB", (2 * WIDE + 6, high + LINE), (250, 250, 249))
    row.paste(Image.fromarray(marked).resize((WIDE, high)), (0, LINE))
    map_ = Image.fromarray((colours * 255).astype(np.uint8))
    row.paste(map_.resize((WIDE, high), Image.Resampling.NEAREST), (WIDE + 6, LINE))
    ImageDraw.Draw(row).multiline_text((4, 4), words, (28, 25, 23), ImageFont.load_default(size=15))
    return row


def sheet(rows: list[Image.Image]) -> Image.Image:
    page = Image.new("RGB", (rows[0].width, sum(row.height + 8 for row in rows)), (250, 250, 249))
    top = 0
    for row in rows:
        page.paste(row, (0, top))
        top += row.height + 8
    return page


if __name__ == "__main__":
    main()
