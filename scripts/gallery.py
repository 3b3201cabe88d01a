"""Examines the public pictures of the page's gallery, and keeps what is said: python -m scripts.gallery ORIGINALS

ORIGINALS is a folder with the pictures' files as ab/<sha256>.<ending>, as `causalclip data collect` writes them. Run it
after a new detector; a test fails where assets/gallery is of another revision. Half a minute a picture on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causalclip.evidence.words import NO_ANSWER
from causalclip.maps.heatmap import lay
from causalclip.maps.overlay import Drawing, draw_map, prepare
from ui.detect.gallery import FOLDER, PICTURES

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.evidence.examination import Examination

SIDE = 320  # px, the long side of a map
PAPER = 214  # grey level that stands for the picture, which is not kept


def kept(x: Examination) -> dict[str, Any]:
    """What the page says of an examination, as plain JSON types; the words are made when it is shown."""
    parts = lay(x.detection, "causal", columns=3, rows=3)
    strongest = int(np.abs(parts).argmax())
    found: dict[str, Any] = {
        "answer": x.headline.title,
        "band": x.band,
        "place": strongest,
        "towards_generated": bool(parts.flat[strongest] > 0),
    }
    if x.band == NO_ANSWER or x.stability is None:
        return found
    numbers = {name: round(value, 4) for name, value in _numbers(x).items()}
    return found | numbers | {"survives": x.stability.answer, "counted": list(x.stability.counted)}


def _numbers(x: Examination) -> dict[str, float]:
    return {"probability": x.detection.probability, "low": x.detection.low, "high": x.detection.high}


def draw(x: Examination, path: Path) -> tuple[int, int]:
    """The map on an even ground, where the picture would be; returns its size."""
    drawing = prepare(x.pixels, x.detection)
    even = np.full_like(drawing.grey, PAPER)
    drawn = draw_map(Drawing(even, x.detection), bar=False, frame=False)
    drawn.thumbnail((SIDE, SIDE))
    drawn.save(path, quality=60)
    return drawn.size


def write(originals: Path, detector: Detector, folder: Path = FOLDER) -> None:
    """Examines all of PICTURES, and writes the maps and examinations.json."""
    from causalclip.evidence.examination import examine

    folder.mkdir(exist_ok=True)
    pictures = {}
    for public in PICTURES:
        (path,) = originals.glob(f"{public.sha256[:2]}/{public.sha256}.*")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != public.sha256:
            raise SystemExit(f"{path} is another file than the one that is linked.")
        x = examine(data, detector)
        size = draw(x, folder / f"{public.sha256[:12]}.webp")
        pictures[public.sha256] = kept(x) | {"size": list(size)}
        print(f"{public.what}: {x.headline.title}", flush=True)
    said = {"revision": detector.config.revision, "pictures": pictures}
    (folder / "examinations.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    from causalclip.detector import Detector

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("originals", type=Path)
    write(parser.parse_args().originals, Detector.from_pretrained())


if __name__ == "__main__":
    main()
