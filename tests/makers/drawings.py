"""Pictures for the cautions, made by code: charts, pages of text, flat graphics."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "it", "rains", "in", "Spain")


def chart(seed: int) -> Image.Image:
    """Bars or lines, as matplotlib draws them."""
    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(8, 6), dpi=100)
    axes = figure.subplots()
    if seed % 2:
        axes.bar(range(6), rng.random(6))
    else:
        axes.plot(rng.random((20, 3)).cumsum(0))
    axes.set_title("A chart")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def page(seed: int) -> Image.Image:
    """Lines of text, dark on light or light on dark."""
    rng = np.random.default_rng(seed)
    paper, ink = ((255, 255, 255), (20, 20, 20)) if seed % 2 else ((25, 28, 34), (225, 225, 225))
    picture = Image.new("RGB", (1000, 800), paper)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 18)
    for line in range(26):
        draw.text((50, 30 + 29 * line), " ".join(rng.choice(WORDS, 12)), ink, font)
    return picture


def cartoon(seed: int) -> Image.Image:
    """Filled shapes with black outlines."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (1024, 768), _colour(rng))
    draw = ImageDraw.Draw(picture)
    for shape in range(12 + 4 * (seed % 10)):
        x, y, size = int(rng.integers(900)), int(rng.integers(700)), int(rng.integers(20, 200))
        box = (x, y, x + size, y + size)
        (draw.ellipse if shape % 2 else draw.rectangle)(box, fill=_colour(rng), outline=(0, 0, 0), width=3)
    return picture


def drawings(count: int) -> Iterator[tuple[str, Image.Image]]:
    """(kind, picture), `count` of each kind."""
    for seed in range(count):
        yield "chart", chart(seed)
        yield "page of text", page(seed)
        yield "flat graphic", cartoon(seed)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue
