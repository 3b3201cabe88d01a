"""A manifest of folders, laid out as GenImage, UniversalFakeDetect or a plain pair of folders.

    genimage              ROOT/SERIES/train|val/ai|nature/FILE
    universalfakedetect   ROOT/train/[CLASS/]0_real|1_fake/FILE, the same in ROOT/val, and
                          ROOT/test/SERIES/[CLASS/]0_real|1_fake/FILE
    flat                  ROOT/real/[FOLDER/]FILE and ROOT/fake/[SERIES/]FILE

A series is what one generator made. It is judged beside the real pictures of its own folder; where
it has none, beside those that stand apart (`laion` and `imagenet` of UniversalFakeDetect's
diffusion models; all of `flat`).
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

Layout = Literal["genimage", "universalfakedetect", "flat"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
LABELS = {
    "ai": "fake",
    "1_fake": "fake",
    "fake": "fake",
    "nature": "real",
    "0_real": "real",
    "real": "real",
}
TEST_SHARE = 0.2  # of a flat layout, which has no splits of its own
TRAINED_ON = "progan"  # UniversalFakeDetect's train folder does not name its generator
# Folders of UniversalFakeDetect that hold several series.
COLLECTIONS = {
    "train",
    "val",
    "test",
    "progan_train",
    "progan_val",
    "CNN_synth_testset",
    "diffusion_datasets",
}
# Whose real pictures a series without any is judged beside, in UniversalFakeDetect.
REAL_OF = {"guided": "imagenet"}
OTHERWISE = "laion"


class BadFolder(ValueError):
    """A folder is not laid out as was said; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a manifest.

    path: relative to the folder, with slashes. label: real or fake.
    source, family: the series, or the collection of real pictures.
    split: train, test or aside. set: the series that it is judged with.
    """

    path: str
    label: str
    source: str
    split: str
    set: str
    family: str

    @property
    def picture(self) -> str:
        """The file's path, which all rows of one file share."""
        return self.path


def read_folder(root: Path, layout: Layout, *, train: Sequence[str] = ()) -> list[Row]:
    """Return a row a picture, and more of a real one that several series are judged beside.

    Args:
        root: the folder.
        layout: see the module.
        train: series to learn from; the training pictures of others are set aside. Empty for all.

    Raises:
        BadFolder: it holds no picture where the layout has one, or a series that is to be learned
            from is not there.
    """
    rows = READERS[layout](sorted(_pictures(root)))
    if not rows:
        raise BadFolder(f"{root} holds no pictures laid out as {layout}: {_expected(layout)}")
    series = sorted({row.set for row in rows if row.split == "train"})
    if unknown := sorted(set(train) - set(series)):
        raise BadFolder(
            f"There are no training pictures of {', '.join(unknown)}; there are of "
            f"{', '.join(series)}."
        )
    if train:
        rows = [
            replace(row, split="aside") if row.split == "train" and row.set not in train else row
            for row in rows
        ]
    return rows


def write_manifest(rows: Iterable[Row], path: Path) -> None:
    """Write the rows as the CSV that `train` and `evaluate` read."""
    names = [*(field.name for field in fields(Row)), "picture"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(asdict(row) | {"picture": row.picture} for row in rows)


def summary(rows: Sequence[Row]) -> str:
    """Return a line a split and series: how many real and generated pictures."""
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: {"real": 0, "fake": 0})
    for row in rows:
        counts[row.split, row.set][row.label] += 1
    return "\n".join(
        f"{split:6} {name}: {count['real']:,} real, {count['fake']:,} generated"
        for (split, name), count in sorted(counts.items())
    )


def _pictures(root: Path) -> Iterator[PurePosixPath]:
    for path in root.rglob("*"):
        if path.suffix.lower() in ENDINGS and path.is_file():
            yield PurePosixPath(path.relative_to(root).as_posix())


def _genimage(paths: Iterable[PurePosixPath]) -> list[Row]:
    rows = []
    for path in paths:
        if (
            len(path.parts) < 4
            or path.parts[-3] not in {"train", "val"}
            or path.parts[-2] not in {"ai", "nature"}
        ):
            continue
        label, series = LABELS[path.parts[-2]], path.parts[0]
        source = series if label == "fake" else "nature"
        split = "train" if path.parts[-3] == "train" else "test"
        rows.append(Row(str(path), label, source, split, series, source))
    return rows


def _universal_fake_detect(paths: Iterable[PurePosixPath]) -> list[Row]:
    rows = []
    for path in paths:
        kind = next((part for part in path.parts if part in {"0_real", "1_fake"}), None)
        if kind is None:
            continue
        above = path.parts[: path.parts.index(kind)]
        folders = [part for part in above if part not in COLLECTIONS]
        split = next(
            (
                split
                for split in ("train", "val")
                if any(split in part.split("_") for part in above)
            ),
            "test",
        )
        series = TRAINED_ON if split in {"train", "val"} or not folders else folders[0]
        source = series if kind == "1_fake" else f"real {series}"
        rows.append(
            Row(
                str(path),
                LABELS[kind],
                source,
                "aside" if split == "val" else split,
                series,
                source,
            )
        )
    return _beside(rows, lambda series: REAL_OF.get(series, OTHERWISE))


def _flat(paths: Iterable[PurePosixPath]) -> list[Row]:
    rows = []
    for path in paths:
        if len(path.parts) < 2 or path.parts[0] not in {"real", "fake"}:
            continue
        label, split = path.parts[0], "test" if _lot(str(path)) < TEST_SHARE else "train"
        source = path.parts[1] if len(path.parts) > 2 else label
        rows.append(
            Row(str(path), label, source, split, source if label == "fake" else "real", source)
        )
    return _beside(rows, lambda series: "real")


def _beside(rows: list[Row], real_of: Callable[[str], str]) -> list[Row]:
    """Add rows of the test split, so that every series without real pictures has those of another
    folder."""
    test_rows = [row for row in rows if row.split == "test"]
    real: dict[str, list[Row]] = defaultdict(list)
    for row in test_rows:
        if row.label == "real":
            real[row.set].append(row)
    lacking = sorted({row.set for row in test_rows if row.label == "fake"} - set(real))
    copies = [replace(row, set=series) for series in lacking for row in real[real_of(series)]]
    lent = {real_of(series) for series in lacking} - {
        row.set for row in test_rows if row.label == "fake"
    }
    own = [row for row in rows if not (row.split == "test" and row.set in lent)]
    return sorted([*own, *copies], key=lambda row: (row.set, row.path))


def _lot(name: str) -> float:
    """A number in [0, 1) of a name's own."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8


def _expected(layout: Layout) -> str:
    return {
        "genimage": "SERIES/train|val/ai|nature/FILE",
        "universalfakedetect": "train/0_real|1_fake/FILE and test/SERIES/0_real|1_fake/FILE",
        "flat": "real/FILE and fake/SERIES/FILE",
    }[layout]


READERS: dict[Layout, Callable[[Iterable[PurePosixPath]], list[Row]]] = {
    "genimage": _genimage,
    "universalfakedetect": _universal_fake_detect,
    "flat": _flat,
}
