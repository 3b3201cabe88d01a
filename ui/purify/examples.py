"""Three photographs with a question each: the embedded model is sure of a right answer, a short attack turns it, and
purification brings it back. What comes of them is kept in assets/purify, so that they are complete at once; a test
holds it to what the models do now. `python scripts/prepared.py` looks for others, and with --keep writes it anew.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from causalclip.languages import N_, _
from causalclip.paths import shipped_folder
from causalclip.pictures.loading import load_image

if TYPE_CHECKING:
    from purifier.exhibit import Exhibit, Said
    from purifier.models import Models

FOLDER = shipped_folder("assets") / "purify"
THUMB = 192  # px, the long side of a thumbnail


@dataclass(frozen=True, slots=True)
class Prepared:
    """file: of scikit-image's package. what: it shows. answer: the right one. eps (in 1/255), steps: of PGD, whose seed
    is 0 as of all attacks in the tab."""

    file: str
    what: str
    question: str
    answer: str
    eps: int = 8
    steps: int = 10


# CC0 (Stefan van der Walt, Lav Varshney) and public domain (NASA), see skimage.data.
PREPARED = (
    Prepared("chelsea.png", N_("a cat"), "What animal is it?", "cat", steps=5),
    Prepared("camera.png", N_("a man with a camera"), "What is the main object?", "person"),
    Prepared("astronaut.png", N_("an astronaut"), "Can you see a person?", "yes"),
)


def write(folder: Path) -> list[Path]:
    """Copies the photographs into `folder`, in the order of PREPARED; returns their paths."""
    paths = [folder / f"prepared-{example.file}" for example in PREPARED]
    for example, path in zip(PREPARED, paths, strict=True):
        with as_file(files("skimage") / "data" / example.file) as source:
            shutil.copy(source, path)
    return paths


@dataclass(frozen=True, slots=True)
class Tried:
    """What the model says of an example before the attack, under it, and after purification."""

    example: Prepared
    clean: Said
    moved: Said
    purified: Said

    @property
    def holds(self) -> bool:
        """Whether it is right and sure, is turned, and comes back right and sure."""
        right = [said.sure and said.answer == self.example.answer for said in (self.clean, self.purified)]
        return all(right) and self.moved.answer != self.example.answer

    @property
    def margin(self) -> float:
        """The least likelihood that the right answer has where it must be given, less the one under the attack."""
        clean, moved, purified = (said.likelihood or 0.0 for said in (self.clean, self.moved, self.purified))
        return min(clean, purified) - moved

    @property
    def words(self) -> str:
        """In a sentence."""
        said = ", ".join(f"{s.spoken!r} ({s.likelihood or 0:.2f})" for s in (self.clean, self.moved, self.purified))
        settings = f"PGD {self.example.eps}/255, {self.example.steps} steps"
        return f"{self.example.file}, {self.example.question!r}, {settings}: clean, attacked, purified are {said}"


def try_out(models: Models, example: Prepared) -> Tried:
    """An example as the tab runs it."""
    said = run(models, example).said
    return Tried(example, said["clean"], said["adversarial"], said["purified"])


def run(models: Models, example: Prepared) -> Exhibit:
    """All that the tab shows of an example, made now."""
    from purifier.exhibit import exhibit  # here, because it brings PyTorch

    *_, shown = exhibit(models, _clean(example), _wish(example))
    return shown


def keep(shown: Exhibit, example: Prepared, folder: Path = FOLDER) -> None:
    """Writes what came of an example: its two pictures, and the rest as JSON. What it took depends on the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(example.file).stem
    for which in ("adversarial", "purified"):
        Image.fromarray(shown.pictures[which]).save(folder / f"{stem}-{which}.png", optimize=True)
    facts = {"steps": shown.steps, "change": round(shown.change, 3)}
    said = {which: asdict(said) for which, said in shown.said.items()}
    (folder / f"{stem}.json").write_text(json.dumps(facts | {"said": said}, indent=1) + "\n", encoding="utf-8")


def stored(example: Prepared, folder: Path = FOLDER) -> Exhibit:
    """The same, read."""
    from purifier.exhibit import Exhibit, Said

    stem = Path(example.file).stem
    facts = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    shown = Exhibit(_wish(example), step=facts["steps"], steps=facts["steps"], change=facts["change"])
    shown.pictures["clean"] = _clean(example)
    for which in ("adversarial", "purified"):
        shown.pictures[which] = np.asarray(Image.open(folder / f"{stem}-{which}.png").convert("RGB"))
    shown.said.update({which: Said(**said) for which, said in facts["said"].items()})
    return shown


def _clean(example: Prepared) -> np.ndarray:
    with as_file(files("skimage") / "data" / example.file) as source:
        return load_image(source).pixels


def _wish(example: Prepared) -> Any:
    from purifier.exhibit import Wish, make_attack

    return Wish(example.question, eye=True, attack=make_attack("pgd", example.eps, example.steps))


def shelf(paths: Sequence[Path]) -> str:
    """The examples as buttons with their questions, as HTML; each carries its index."""
    buttons = "".join(
        f"<button type='button' data-index='{i}'><img alt='{escape(_(example.what))}' src='{_thumbnail(path)}'>"
        f"<span lang='en' dir='ltr'>{escape(example.question)}</span></button>"
        for i, (example, path) in enumerate(zip(PREPARED, paths, strict=True))
    )
    title = _("Three to begin with, attacked and purified beforehand")
    return f"<h2>{title}</h2><div class='cc-shelf'>{buttons}</div>"


def _thumbnail(path: Path) -> str:
    file = BytesIO()
    with Image.open(path) as picture:
        picture.thumbnail((THUMB, THUMB))
        picture.convert("RGB").save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
