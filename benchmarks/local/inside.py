"""Pictures found in screenshots of pages: python -m benchmarks.local.inside

Writes benchmarks/local/inside.json. 50 pages are drawn by a headless browser with pictures of the test split of --data,
at device scales 1 to 3, light and dark, saved as PNG or JPEG 70 to 90; ten show no picture. A picture is found where a
box lies on it with an intersection over union of 0.8. Beside them, plain photographs, in which nothing is to be found,
and generated pictures with an even margin.
"""

import argparse
import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.local.pages import Shot, shots
from causalclip.pictures.inside import Box, find_pictures

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
OVERLAP = 0.8
SEED, TRIAL = 27, 8  # of the pages that are reported, and of those that thresholds were chosen on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "forensics")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "local" / "inside.json")
    parser.add_argument("--count", type=int, default=50, help="pages")
    parser.add_argument("--plain", type=int, default=100, help="plain pictures, and pictures with margins")
    parser.add_argument("--trial", type=Path, help="Other pages, of training pictures: what is missed is drawn there.")
    arguments = parser.parse_args()
    split, seed = ("train", TRIAL) if arguments.trial else ("test", SEED)
    pictures = list(opened(arguments.data, split, arguments.plain))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        rows = []
        for i, shot in enumerate(shots(browser, pictures, count=arguments.count, seed=seed)):
            rows.append(judged(shot))
            if arguments.trial and (rows[-1]["false"] or rows[-1]["found"] < rows[-1]["pictures"]):
                draw(shot, arguments.trial / f"{i:02d}-{shot.kind}.png")
        browser.close()
    report = summary(rows, pictures)
    print(json.dumps(report, indent=2))
    if arguments.trial:
        for i, picture in enumerate(pictures):
            if find_pictures(picture):
                draw(Shot(picture, (), (), "plain", False, 1.0, ""), arguments.trial / f"{i:02d}-plain.png")
    else:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


def opened(root: Path, split: str, count: int) -> Iterator[np.ndarray]:
    """Pictures of both classes of a split, by a seed."""
    with (root / "manifest.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == split and r["view"] != "crop" and r["set"] != "edits"]
    random.Random(4).shuffle(rows)
    for row in rows[:count]:
        with Image.open(root / row["path"]) as picture:
            yield np.asarray(picture.convert("RGB"))


def judged(shot: Shot) -> dict[str, Any]:
    boxes = [found.box for found in find_pictures(shot.pixels)]
    found = sum(any(overlap(box, true) >= OVERLAP for box in boxes) for true in shot.boxes)
    false = sum(all(overlap(box, true) < OVERLAP for true in shot.boxes + shot.partly) for box in boxes)
    row = {"kind": shot.kind, "dark": shot.dark, "scale": shot.scale, "saved": shot.saved}
    return row | {"pictures": len(shot.boxes), "found": found, "boxes": len(boxes), "false": false}


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0, width) * max(0, height)
    return inside / (sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - inside)


def summary(rows: list[dict[str, Any]], pictures: list[np.ndarray]) -> dict[str, Any]:
    total, found, boxes, false = (sum(r[name] for r in rows) for name in ("pictures", "found", "boxes", "false"))
    framed = [margined(p, np.random.default_rng(i)) for i, p in enumerate(pictures)]
    cut = [any(overlap(f.box, box) >= 0.9 for f in find_pictures(p)) for p, box in framed]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "pages": len(rows),
        "pictures": total,
        "found": found / max(1, total),
        "boxes": boxes,
        "false": false / max(1, boxes),
        "false_on_pages_without": sum(r["false"] for r in rows if r["kind"] == "none"),
        "by_kind": {k: _part([r for r in rows if r["kind"] == k]) for k in sorted({r["kind"] for r in rows})},
        "plain_pictures": len(pictures),
        "plain_pictures_cut": float(np.mean([bool(find_pictures(p)) for p in pictures])),
        "margins_left_out": float(np.mean(cut)),
    }


def _part(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {name: sum(r[name] for r in rows) for name in ("pictures", "found", "boxes", "false")}


def margined(pixels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Box]:
    """A picture on a sheet of one colour, up to twice its size, and where it lies."""
    height, width = pixels.shape[:2]
    left, right, top, bottom = (int(rng.uniform(0.05, 0.5) * side) for side in (width, width, height, height))
    sheet = np.full((height + top + bottom, width + left + right, 3), rng.choice([255, 0, 245, 24]), np.uint8)
    sheet[top : top + height, left : left + width] = pixels
    return sheet, (left, top, left + width, top + height)


def draw(shot: Shot, path: Path) -> None:
    from causalclip.compare.drawing import draw_boxes

    path.parent.mkdir(parents=True, exist_ok=True)
    draw_boxes(shot.pixels, [found.box for found in find_pictures(shot.pixels)]).save(path)


if __name__ == "__main__":
    main()
