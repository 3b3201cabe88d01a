"""Pages as a browser shows them, with where their pictures are: news, social, chat, search, and pages without any."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from playwright.sync_api import Browser

from causalclip.pictures.inside import Box

KINDS = "news", "social", "chat", "grid", "none"
SCALES = 1.0, 1.5, 2.0, 3.0
WIDTHS = 390, 800, 1280  # CSS px
SEEN = 0.6  # of a picture that the screenshot shows, to count as one of it
LEAST = 96  # px of a side in the screenshot
TEXT = (
    "The council voted on Tuesday to reopen the bridge after repairs that took longer than planned. Residents said "
    "the detour had added half an hour to their way to work. Officials expect the works to be finished before winter, "
    "and promise that the market will stay where it is. Nobody was hurt, a spokesman said, and trains run again."
)
COLOURS = "#1d4ed8", "#b91c1c", "#047857", "#7c3aed", "#c2410c"
STYLE = """*{box-sizing:border-box}body{margin:0;font:16px/1.45 DejaVu Sans,Liberation Sans,sans-serif;background:BG;
color:FG}header{background:BAR;color:#fff;padding:14px 20px;font-weight:700}.in{max-width:760px;margin:0 auto;
padding:16px}.card{border:1px solid EDGE;border-radius:10px;margin:14px 0;overflow:hidden;background:CARD}.card p{
padding:0 14px}img{display:block;width:100%;height:auto}.av{width:38px;height:38px;border-radius:50%;background:BAR;
display:inline-block;vertical-align:middle;margin-right:8px}.b{max-width:74%;padding:8px 12px;border-radius:14px;
margin:8px;background:CARD;width:fit-content}.me{margin-left:auto;background:BAR;color:#fff}.g{display:grid;
grid-template-columns:repeat(COLS,1fr);gap:GAPpx;padding:10px}.g small{display:block;padding:4px 2px}.r img{
border-radius:12px}.side{display:flex;gap:14px;align-items:flex-start}.side img{width:38%}"""


@dataclass(frozen=True, slots=True)
class Shot:
    """pixels: uint8 [H, W, 3]. boxes: of the pictures in it, and `partly`: of those that it shows less than SEEN of.
    kind: of the page."""

    pixels: np.ndarray
    boxes: tuple[Box, ...]
    partly: tuple[Box, ...]
    kind: str
    dark: bool
    scale: float
    saved: str


def shots(browser: Browser, pictures: list[np.ndarray], *, count: int, seed: int) -> Iterator[Shot]:
    """`count` screenshots, a fifth of them of pages without a picture; the same for the same seed."""
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        kind, dark = KINDS[i % len(KINDS)], bool(rng.random() < 0.4)
        width, scale = int(rng.choice(WIDTHS)), float(rng.choice(SCALES))
        page = browser.new_page(viewport={"width": width, "height": 900}, device_scale_factor=scale)
        page.set_content(html(kind, dark, width, pictures, rng), wait_until="load")
        page.evaluate("y => window.scrollTo(0, y)", int(rng.uniform(0, 250)) if kind != "none" else 0)
        boxes = page.evaluate(
            "() => [...document.images].map(i => { const r = i.getBoundingClientRect();"
            "return [r.left, r.top, r.right, r.bottom] })"
        )
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        page.close()
        yield _saved(shot, boxes, kind, dark, scale, rng)


def _saved(
    shot: Image.Image, boxes: list[list[float]], kind: str, dark: bool, scale: float, rng: np.random.Generator
) -> Shot:
    saved = "PNG"
    if rng.random() < 0.6:
        quality, buffer = int(rng.integers(70, 91)), io.BytesIO()
        shot.save(buffer, "JPEG", quality=quality)
        shot, saved = Image.open(buffer).convert("RGB"), f"JPEG {quality}"
    seen: list[Box] = []
    partly: list[Box] = []
    for left, top, right, bottom in ([v * scale for v in box] for box in boxes):
        x0, y0, x1, y1 = max(0.0, left), max(0.0, top), min(shot.width, right), min(shot.height, bottom)
        shown = max(0.0, x1 - x0) * max(0.0, y1 - y0) / max(1.0, (right - left) * (bottom - top))
        large = min(x1 - x0, y1 - y0) >= LEAST
        if shown:
            (seen if shown >= SEEN and large else partly).append((round(x0), round(y0), round(x1), round(y1)))
    return Shot(np.asarray(shot), tuple(seen), tuple(partly), kind, dark, scale, saved)


def html(kind: str, dark: bool, width: int, pictures: list[np.ndarray], rng: np.random.Generator) -> str:
    """A page of a kind; its words, pictures and colours are drawn."""
    colours = {"BG": "#fff", "FG": "#111", "CARD": "#f1f3f5", "EDGE": "#d0d4d9"}
    if dark:
        colours = {"BG": "#101418", "FG": "#e6e6e6", "CARD": "#1c2228", "EDGE": "#2d343c"}
    columns = 2 if width < 500 else int(rng.integers(2, 5))
    style = STYLE.replace("COLS", str(columns)).replace("GAP", str(int(rng.integers(4, 14))))
    for name, value in (colours | {"BAR": COLOURS[rng.integers(len(COLOURS))]}).items():
        style = style.replace(name, value)
    body = {"news": _news, "social": _social, "chat": _chat, "grid": _grid, "none": _none}[kind](pictures, rng)
    return f"<!doctype html><meta charset=utf-8><style>{style}</style><header>The Daily Example</header>{body}"


def _news(pictures: list[np.ndarray], rng: np.random.Generator) -> str:
    aside = f"<div class=side>{_image(pictures, rng)}<div>{_text(rng, 40)}</div></div>" if rng.random() < 0.5 else ""
    return (
        f"<div class=in><h1>{_text(rng, 9)}</h1><p>{_text(rng, 30)}</p>{_image(pictures, rng)}"
        f"<small>{_text(rng, 12)}</small><p>{_text(rng, 90)}</p>{aside}</div>"
    )


def _social(pictures: list[np.ndarray], rng: np.random.Generator) -> str:
    cards = "".join(
        f"<div class=card><p><span class=av></span><b>{_text(rng, 2)}</b> · 2 h</p><p>{_text(rng, 22)}</p>"
        f"{_image(pictures, rng)}<p>{_text(rng, 5)}</p></div>"
        for _ in range(2)
    )
    return f"<div class='in' style='max-width:560px'>{cards}</div>"


def _chat(pictures: list[np.ndarray], rng: np.random.Generator) -> str:
    said = [
        f"<div class='b {'me' if rng.random() < 0.5 else ''}'>{_text(rng, int(rng.integers(3, 20)))}</div>"
        for _ in range(6)
    ]
    said.insert(int(rng.integers(1, 4)), f"<div class='b r' style='padding:4px'>{_image(pictures, rng)}</div>")
    return "".join(said)


def _grid(pictures: list[np.ndarray], rng: np.random.Generator) -> str:
    cells = "".join(f"<div>{_image(pictures, rng)}<small>{_text(rng, 5)}</small></div>" for _ in range(8))
    return f"<div class=g>{cells}</div>"


def _none(pictures: list[np.ndarray], rng: np.random.Generator) -> str:
    rows = "".join(f"<tr><td>{_text(rng, 3)}<td>{int(rng.integers(1, 999))}" for _ in range(8))
    bars = "".join(
        f"<div style='height:22px;margin:6px 0;width:{int(rng.integers(10, 90))}%;background:{COLOURS[i]}'></div>"
        for i in range(5)
    )
    gradient = "<div style='height:140px;background:linear-gradient(90deg,#1d4ed8,#f59e0b)'></div>"
    return f"<div class=in><h1>{_text(rng, 8)}</h1>{gradient}<p>{_text(rng, 80)}</p><table>{rows}</table>{bars}</div>"


def _text(rng: np.random.Generator, count: int) -> str:
    words = TEXT.split()
    return " ".join(words[i] for i in rng.integers(0, len(words), count))


def _image(pictures: list[np.ndarray], rng: np.random.Generator) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pictures[int(rng.integers(len(pictures)))]).save(buffer, "JPEG", quality=88)
    return f"<img src='data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
