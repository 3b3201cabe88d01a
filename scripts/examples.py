"""Keeps what the shipped models say of the pictures on the page: python -m scripts.examples [ORIGINALS | --purify]

Run it after a new detector; tests fail where assets/examples.json or assets/gallery is of another revision. The
examples are asked about in every runtime, which takes minutes: what hangs on the runtime hangs on the machine, and is
left out.
ORIGINALS is a folder with the public pictures' files as ab/<sha256>.<ending>, as `causalclip data collect` writes them;
without it, the gallery stays as it is. --purify makes the examples of the Purify tab anew, from PREPARED in
ui/purify/examples.py; one that does not hold stops it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from causalclip.evidence.words import NO_ANSWER
from causalclip.maps.heatmap import lay
from causalclip.maps.overlay import Drawing, draw_map, prepare
from ui.detect.examples import EXPECTED, GALLERY, PublicPicture, public_pictures, write_examples

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.evidence.examination import Examination

SIDE = 320  # px, the long side of a map
PAPER = 214  # grey level that stands for the picture, which is not kept


def ask(detector: Detector) -> dict[str, str]:
    """The answer about every example, after stability, by the example's name: a signature's word, or the pixels'."""
    from causalclip.evidence.examination import examine

    with tempfile.TemporaryDirectory() as folder:
        answers = {one.name: examine(one.path.read_bytes(), detector) for one in write_examples(folder, {})}
    return {name: x.band if x.headline.source == "pixels" else x.headline.title for name, x in answers.items()}


def agreed(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The answers that are the same in all."""
    return {name: answer for name, answer in found[0].items() if all(answers[name] == answer for answers in found)}


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
    numbers = {name: round(getattr(x.detection, name), 4) for name in ("probability", "low", "high")}
    return found | numbers | {"survives": x.stability.answer, "counted": list(x.stability.counted)}


def draw(x: Examination, path: Path) -> tuple[int, int]:
    """The map on an even ground, where the picture would be; returns its size."""
    drawing = prepare(x.pixels, x.detection)
    drawn = draw_map(Drawing(np.full_like(drawing.grey, PAPER), x.detection), bar=False, frame=False)
    drawn.thumbnail((SIDE, SIDE))
    drawn.save(path, quality=60)
    return drawn.size


def write_gallery(
    originals: Path, detector: Detector, pictures: Sequence[PublicPicture], folder: Path = GALLERY
) -> None:
    """Examines all of them, and writes the maps and examinations.json."""
    from causalclip.evidence.examination import examine

    folder.mkdir(exist_ok=True)
    found = {}
    for public in pictures:
        (path,) = originals.glob(f"{public.sha256[:2]}/{public.sha256}.*")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != public.sha256:
            raise SystemExit(f"{path} is another file than the one that is linked.")
        x = examine(data, detector)
        found[public.sha256] = kept(x) | {"size": list(draw(x, folder / f"{public.sha256[:12]}.webp"))}
        print(f"{public.what}: {x.headline.title}", flush=True)
    said = {"revision": detector.config.revision, "pictures": found}
    (folder / "examinations.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def prepare_purify() -> None:
    """Runs every prepared example, and writes what comes of it to assets/purify."""
    from purifier.models import Models
    from ui.purify.examples import PREPARED, keep, run

    models = Models()
    for example in PREPARED:
        made = run(models, example)
        if not example.holds(made):
            sys.exit(f"{example.file}, {example.question!r}: {[said.spoken for said in made.said.values()]}")
        keep(made, example)


def main() -> None:
    if sys.argv[1:] == ["--purify"]:
        prepare_purify()
        return
    from causalclip.clip.weights import VARIABLE, Runtime
    from causalclip.detector import Detector

    if len(sys.argv) > 1:
        write_gallery(Path(sys.argv[1]), Detector.from_pretrained(), public_pictures())
    found = []
    for runtime in get_args(Runtime):
        os.environ[VARIABLE] = runtime
        detector = Detector.from_pretrained()
        found.append(ask(detector))
        print(f"{runtime}: {json.dumps(found[-1])}", flush=True)
    same = agreed(found)
    said = {"model": detector.name, "revision": detector.config.revision, "answers": same}
    EXPECTED.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    print(f"{EXPECTED.name}: {len(same)} of {len(found[0])} are the same in all runtimes.")


if __name__ == "__main__":
    main()
