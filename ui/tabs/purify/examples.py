"""The three examples of the Purify tab: photographs with a question each.

The embedded model is sure of a right answer, a short attack turns it, and purification brings it
back. What comes of them is kept in assets/purify, so that they are complete at once; a test holds
it to what the models do now, and `python -m scripts.examples --purify` writes it anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from causalclip.images.loading import load_image
from causalclip.languages import N_, _
from causalclip.paths import shipped_folder
from causalclip.report.pictures import file_thumbnail

if TYPE_CHECKING:
    from purifier.models import Models
    from purifier.request import Request
    from purifier.scenario import Scenario, Which

FOLDER = shipped_folder("assets") / "purify"
THUMB = 192  # px, the long side of a thumbnail


@dataclass(frozen=True, slots=True)
class Prepared:
    """An example: a photograph, a question, and the attack on it, PGD with seed 0.

    Attributes:
        file: its name in scikit-image's package.
        what: the photograph shows.
        answer: the right one.
        eps: the largest change of a value, in 1/255.
        steps: of the attack.
    """

    file: str
    what: str
    question: str
    answer: str
    eps: int = 8
    steps: int = 10

    def holds(self, run: Scenario) -> bool:
        """Return whether the model is right and sure before the attack and after purification, and
        wrong in between."""
        for response in (run.responses["clean"], run.responses["purified"]):
            if not response.sure or response.answer != self.answer:
                return False
        return run.responses["adversarial"].answer != self.answer


# CC0 (Stefan van der Walt, Lav Varshney) and public domain (NASA), see skimage.data.
PREPARED = (
    Prepared("chelsea.png", N_("a cat"), "What animal is it?", "cat", steps=5),
    Prepared("camera.png", N_("a man with a camera"), "What is the main object?", "person"),
    Prepared("astronaut.png", N_("an astronaut"), "Can you see a person?", "yes"),
)


def write(folder: Path) -> list[Path]:
    """Copy the photographs into `folder`, in the order of PREPARED; return their paths."""
    paths = [folder / f"prepared-{example.file}" for example in PREPARED]
    for example, path in zip(PREPARED, paths, strict=True):
        with as_file(files("skimage") / "data" / example.file) as source:
            shutil.copy(source, path)
    return paths


def run(models: Models, example: Prepared) -> Scenario:
    """Attack and purify an example now; return all that the tab shows of it."""
    from purifier import scenario

    *_, last = scenario.run(_request(example), _clean(example), models)
    return last


def load(example: Prepared, folder: Path = FOLDER) -> Scenario:
    """Return what `python -m scripts.examples --purify` has written of an example."""
    from purifier.scenario import Scenario

    stem = Path(example.file).stem
    facts = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    pictures: dict[Which, np.ndarray] = {"clean": _clean(example)}
    kinds: tuple[Which, ...] = ("adversarial", "purified")
    for which in kinds:
        picture = Image.open(folder / f"{stem}-{which}.png").convert("RGB")
        pictures[which] = np.asarray(picture)
    return Scenario(
        request=_request(example),
        pictures=pictures,
        responses=facts["responses"],
        step=facts["steps"],
        steps=facts["steps"],
        change=facts["change"],
    )


def _clean(example: Prepared) -> np.ndarray:
    """Return an example's photograph: uint8 RGB [H, W, 3]."""
    with as_file(files("skimage") / "data" / example.file) as source:
        return load_image(source).pixels


def _request(example: Prepared) -> Request:
    from purifier.request import Request
    from purifier.scenario import make_attack

    attack = make_attack("pgd", example.eps, example.steps)
    return Request(question=example.question, attack=attack)


def shelf(paths: Sequence[Path]) -> str:
    """Return the examples as buttons with their questions, as HTML; each carries its index."""
    buttons = "".join(
        f"<button type='button' data-index='{i}'><img alt='{escape(_(example.what))}' "
        f"src='{file_thumbnail(path, side=THUMB)}'><span lang='en' "
        f"dir='ltr'>{escape(example.question)}</span></button>"
        for i, (example, path) in enumerate(zip(PREPARED, paths, strict=True))
    )
    title = _("Try one of these")
    return f"<h2>{title}</h2><div class='cc-shelf'>{buttons}</div>"
