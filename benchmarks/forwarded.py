"""What the detector says of photographs as messengers and Facebook saved them before 2022, and of
generated pictures that were saved in the same ways.

training/tables/forwarded.csv names the photographs by reference: repository, commit, path. App and
day are those of the file's own name, from years before generators drew photographs. A row says why
its picture was dropped at sight: "screenshot", "drawn" (logos, diagrams, renderings, cartoons) or
"composed" (collages, lettering, frames, cut-outs). --files is a folder of git directories, each
named OWNER+NAME.

The generated pictures are test pictures in --originals. Each goes through each app: it gets the
long side, the JPEG tables, the subsampling and the order of scans of one of the app's photographs,
drawn by lot, and is never enlarged. A control that knows these traits alone is to tell the two
sides apart. What was said of single pictures is kept in --cache, so that a killed run goes on.
"""

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from tqdm import tqdm

from benchmarks.common import ROOT, Options
from benchmarks.common import TABLE as PICTURES
from benchmarks.owners import over_owners, percentiles, rank_auc
from causalclip.calibration import BANDS
from causalclip.detector import Detector
from causalclip.images.loading import load_image
from causalclip.intervals import wilson
from training.dataset.repositories import find_mirror
from training.dataset.rules import read_originals
from training.detector.data import Record
from training.detector.evaluation import LIKE_CONTENT, true_positive_rate

TABLE = ROOT / "training" / "tables" / "forwarded.csv"
APPS = {  # by what it calls a file that it saved before 2022
    "WhatsApp": r"IMG-20([01]\d|2[01])\d{4}-WA\d+",
    "Telegram": r"photo_20(1\d|2[01])-\d\d-\d\d",
    "Facebook": r"FB_IMG_1([3-5]\d|6[0-3])\d+",
}
GENERATED, OWNER_LIMIT = 300, 10  # generated pictures, and of one owner
FOLDS = 5  # of the control


@dataclass(frozen=True, slots=True)
class Reference:
    """A row of the table. dropped: why its picture is not counted; "" where it is."""

    repo: str
    commit: str
    path: str
    dropped: str = ""

    @property
    def id(self) -> str:
        return f"{self.repo}@{self.commit}:{self.path}"

    @property
    def owner(self) -> str:
        return self.repo.partition("/")[0].lower()

    @property
    def app(self) -> str:
        """The app that saved it, by the file's own name."""
        name = self.path.rsplit("/", 1)[-1]
        return next(app for app, pattern in APPS.items() if re.match(pattern, name, re.IGNORECASE))


@dataclass(frozen=True, slots=True)
class Saved:
    """How a JPEG was saved, as the file itself tells: pixels, quantisation tables (64 numbers
    each), chroma subsampling as Pillow counts it, and whether its scans are progressive."""

    width: int
    height: int
    tables: list[list[int]]
    subsampling: int
    progressive: bool

    @classmethod
    def read(cls, file: bytes) -> "Saved":
        """Read it from a JPEG's bytes. Raises TypeError where they are no JPEG."""
        with Image.open(BytesIO(file)) as image:
            if not isinstance(image, JpegImagePlugin.JpegImageFile):
                raise TypeError(f"The file is {image.format}, not JPEG.")
            tables = [list(table) for table in image.quantization.values()]
            subsampling = JpegImagePlugin.get_sampling(image)
            return cls(*image.size, tables, subsampling, bool(image.info.get("progressive")))

    @property
    def long_side(self) -> int:
        return max(self.width, self.height)

    @property
    def coding(self) -> list[float]:
        """The mean of the first and of the last quantisation table, subsampling and scans."""
        luma, chroma = np.mean(self.tables[0]), np.mean(self.tables[-1])
        return [float(luma), float(chroma), self.subsampling, self.progressive]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of one file. id: of the picture, and of the app that it was sent through."""

    id: str
    owner: str
    label: int
    answer: str
    probability: float
    saved: Saved


CONTROLS: dict[str, Callable[[Saved], list[float]]] = {  # what each judge is told of a file
    "coding": lambda saved: saved.coding,
    "size": lambda saved: [saved.long_side],
    "coding and size": lambda saved: [*saved.coding, saved.long_side],
    "shape": lambda saved: [saved.width / saved.height],
}


def measure(options: Options) -> dict[str, Any]:
    """Return the answers by app, how the two sides rank, and how many pictures were dropped."""
    # 1. The photographs
    detector, table = Detector.from_pretrained(options.model), read_table()
    references = [reference for reference in table if not reference.dropped]
    judge = _Judge(detector, options.cache / f"forwarded-{detector.config.revision}.jsonl")
    real: dict[str, list[Judged]] = {app: [] for app in APPS}
    for reference in tqdm(references, unit="photograph"):
        read = partial(_read, options.files, reference)
        real[reference.app].append(judge(reference.id, reference.owner, 0, read))

    # 2. Generated pictures, saved in the same ways
    records = choose(read_originals(PICTURES, options.originals, split="test"))
    generated: dict[str, list[Judged]] = {app: [] for app in APPS}
    for record in tqdm(records, unit="generated picture"):
        for app, photographs in real.items():
            id = f"{record.picture} as {app}"
            save = partial(save_as, options.originals / record.path, draw(photographs, id))
            generated[app].append(judge(id, record.owner, 1, save))

    # 3. Counts
    return {
        "model": detector.name,
        "revision": detector.config.revision,
        "seen": {"pictures": len(table), "owners": len({r.owner for r in table})},
        "dropped": dict(Counter(r.dropped for r in table if r.dropped)),
        "apps": {app: _summarize(rows) for app, rows in real.items()},
        "all": _summarize([judged for rows in real.values() for judged in rows]),
        "generated": {app: _summarize(rows) for app, rows in generated.items()},
        "ranking": {app: rank(real[app] + generated[app]) for app in APPS},
    }


def read_table() -> list[Reference]:
    """Return the rows of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [Reference(**row) for row in csv.DictReader(file)]


def choose(records: Sequence[Record]) -> list[Record]:
    """Return GENERATED whole generated photographs of like content, at most OWNER_LIMIT of one
    owner; which ones is settled by their hashes."""
    of_owner: Counter[str] = Counter()
    chosen = []
    for record in sorted(records, key=lambda record: record.picture):
        if not record.label or record.kind != "photo" or record.set not in LIKE_CONTENT:
            continue
        if record.crop or record.grid or of_owner[record.owner] == OWNER_LIMIT:
            continue
        of_owner[record.owner] += 1
        chosen.append(record)
    return chosen[:GENERATED]


def draw(photographs: Sequence[Judged], id: str) -> Saved:
    """Return how one of the photographs was saved, drawn by a hash of the id."""
    lot = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8])
    return photographs[lot % len(photographs)].saved


def save_as(path: Path, like: Saved) -> bytes:
    """Return the picture as a JPEG that is saved as another was: its long side, where the picture
    is not smaller, its tables, subsampling and scans."""
    picture = Image.fromarray(load_image(path).pixels)
    picture.thumbnail((like.long_side, like.long_side), Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(
        file,
        "JPEG",
        qtables=like.tables,
        subsampling=like.subsampling,
        progressive=like.progressive,
    )
    return file.getvalue()


def _summarize(rows: Sequence[Judged]) -> dict[str, Any]:
    """Return how many pictures of how many owners got each answer, and Wilson's interval of the
    share that is called generated."""
    counts = Counter(row.answer for row in rows)
    return {
        "pictures": len(rows),
        "owners": len({row.owner for row in rows}),
        "answers": {answer: counts[answer] for answer in BANDS},
        "owners accused": len({row.owner for row in rows if row.answer == "likely generated"}),
        "interval": wilson(counts["likely generated"], len(rows)) if rows else None,
    }


def rank(rows: Sequence[Judged]) -> dict[str, Any] | None:
    """Return how well the detector, and judges that know the file alone, tell the generated
    pictures from the photographs; None where either side has fewer than FOLDS owners.

    Intervals are over owners. A judge of files may learn from other files of the same owner, so
    that what it reaches is the most that a file tells.
    """
    labels, owners = np.array([r.label for r in rows]), np.array([r.owner for r in rows])
    if any(len(set(owners[labels == label])) < FOLDS for label in (0, 1)):
        return None
    scores = np.array([row.probability for row in rows])

    def measures(drawn: np.ndarray) -> dict[str, float]:
        found = true_positive_rate(labels[drawn], scores[drawn], false_positive_rate=0.01)
        return {"auc": rank_auc(labels[drawn], scores[drawn]), "tpr_at_1_fpr": found}

    draws = over_owners(measures, labels, owners)
    report: dict[str, Any] = measures(np.arange(len(rows)))
    report |= {f"{name}_interval": percentiles(values) for name, values in draws.items()}
    report["controls"] = {}
    for name, tell in CONTROLS.items():
        traits = np.array([tell(row.saved) for row in rows])
        forest = RandomForestClassifier(
            300, min_samples_leaf=5, class_weight="balanced", random_state=0
        )
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        guesses = cross_val_predict(forest, traits, labels, cv=folds, method="predict_proba")
        report["controls"][name] = rank_auc(labels, guesses[:, 1])
    return report


class _Judge:
    """Judges files; what was said of one before is taken from a file of lines."""

    def __init__(self, detector: Detector, kept: Path) -> None:
        self.detector, self.kept = detector, kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
        entries = [json.loads(line) for line in lines]
        self.known = {e["id"]: Judged(**e | {"saved": Saved(**e["saved"])}) for e in entries}

    def __call__(self, id: str, owner: str, label: int, read: Callable[[], bytes]) -> Judged:
        """Return what is said of the file that `read` gives."""
        if id not in self.known:
            file = read()
            verdict = self.detector.score(load_image(file).pixels)
            answer = verdict.band if verdict.image_type == "photograph" else "no answer"
            probability = verdict.probability
            self.known[id] = Judged(id, owner, label, answer, probability, Saved.read(file))
            with self.kept.open("a", encoding="utf-8") as lines:
                print(json.dumps(asdict(self.known[id])), file=lines)
        return self.known[id]


def _read(files: Path, reference: Reference) -> bytes:
    """Return a photograph's bytes, out of its repository's git directory."""
    repository = find_mirror(files, reference.repo)
    data = repository.read(repository.tree(reference.commit)[reference.path].oid)
    if data is None:
        raise FileNotFoundError(f"{reference.repo} has no {reference.path}")
    return data
