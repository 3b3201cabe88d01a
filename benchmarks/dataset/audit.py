"""How many of the weakest labels look wrong, of generated pictures and of photographs.

    python -m benchmarks.dataset.audit --originals DIR --out DIR [--label real] [--since TABLE] [--number 150]

fake: pictures of projects of Lovable, whose agent makes pictures as it builds a site. Their labels rest on that, on
    their sizes, and on missing metadata. 150 were drawn from the first 534, and 100 from the 354 that joined next.
real: pictures that their owner, the site or a commit's date calls photographs, without a camera's EXIF. They were drawn
    from the 168 repositories that joined last.

This writes the list of them (weak.csv), and numbered sheets of some that a seed draws, to be looked at. With --since
only what an older table lacks is listed and drawn from. What was seen is in looked_at.csv beside this file: a row a
picture, fine, doubtful or wrong, and why.
"""

import argparse
import csv
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps
from scipy.stats import binomtest

from causalclip.dataset.collecting.originals import place
from causalclip.dataset.table import Picture, read_table

HERE = Path(__file__).resolve().parent
LOOKED_AT = HERE / "looked_at.csv"
LEDGER = HERE / "rebuilt.json"
DRAWN, SEED = 150, 32
SEEN = ("fine", "doubtful", "wrong")
ACROSS, DOWN, SIDE = 5, 3, 320  # of a sheet; pixels of a picture on it
_SIGNED = re.compile(r"IPTC:|^IPTC|looked at|illustration|siblings")  # known by more than project, size and silence


def is_unsigned(picture: Picture) -> bool:
    """Whether a generated picture's label rests on a project of Lovable, a size and missing metadata alone."""
    told = picture.generator + picture.evidence
    return picture.label == "fake" and "Lovable" in told and not _SIGNED.search(picture.evidence)


def is_claimed(picture: Picture) -> bool:
    """Whether a photograph's label rests on what its owner or site says, or on a commit's date, alone."""
    claimed = picture.label == "real" and picture.real_by in ("owner", "stated", "date")
    return claimed and "EXIF" not in picture.evidence


WEAK = {"fake": is_unsigned, "real": is_claimed}


def find_weak(pictures: Sequence[Picture], label: str = "fake") -> list[Picture]:
    """Those rows, in the order of their hashes."""
    return sorted(filter(WEAK[label], pictures), key=lambda p: p.sha256)


def joined(ledger: Path = LEDGER) -> frozenset[str]:
    """The repositories from which claimed photographs were drawn: the second stratum of rebuilt.json."""
    return frozenset(json.loads(ledger.read_text())["strata"][1]["repositories"])


def draw(weak: Sequence[Picture], number: int = DRAWN) -> list[Picture]:
    """Those to look at."""
    return random.Random(SEED).sample(list(weak), min(number, len(weak)))


def sheets(pictures: Sequence[Picture], originals: Path) -> list[Image.Image]:
    """The pictures by number, ACROSS x DOWN a sheet, each with its name below it."""
    made = []
    for first in range(0, len(pictures), ACROSS * DOWN):
        sheet = Image.new("RGB", (ACROSS * SIDE, DOWN * (SIDE + 16)), "white")
        draws = ImageDraw.Draw(sheet)
        for i, picture in enumerate(pictures[first : first + ACROSS * DOWN]):
            x, y = i % ACROSS * SIDE, i // ACROSS * (SIDE + 16)
            with Image.open(place(originals, picture)) as file:
                file.draft("RGB", (2 * SIDE, 2 * SIDE))
                small = ImageOps.contain(ImageOps.exif_transpose(file).convert("RGB"), (SIDE - 4, SIDE))
            sheet.paste(small, (x, y))
            name = picture.path.rpartition("/")[2].encode("ascii", "replace").decode()
            draws.text((x + 2, y + SIDE + 2), f"{first + i + 1} {name[-40:]}", fill="black")
        made.append(sheet)
    return made


def report(
    pictures: Sequence[Picture], looked_at: Path = LOOKED_AT, last: frozenset[str] | None = None
) -> dict[str, Any]:
    """Of each label, how many weak ones there are, how many were looked at, and what was seen.

    last: the repositories from which claimed photographs were drawn, and of which they are counted; those of `joined`
    if it is not given.
    """
    last = joined() if last is None else last
    with looked_at.open(newline="") as file:
        rows = list(csv.DictReader(file))
    weak = {
        "fake": find_weak(pictures, "fake"),
        "real": [p for p in find_weak(pictures, "real") if p.repo in last],
    }
    return {label: _seen(of, [row["seen"] for row in rows if row["label"] == label]) for label, of in weak.items()}


def _seen(weak: Sequence[Picture], seen: Sequence[str]) -> dict[str, Any]:
    """What was seen, with an exact 95 % interval of wrong.

    A picture that was looked at and is no more in the table counts, as that may be why it left.
    """
    found: dict[str, Any] = {"weak": len(weak), "owners": len({p.owner for p in weak}), "looked_at": len(seen)}
    found |= {name: seen.count(name) for name in SEEN}
    if not seen:
        return found
    exact = binomtest(found["wrong"], len(seen)).proportion_ci(method="exact")
    return found | {"wrong_interval": [round(float(exact.low), 3), round(float(exact.high), 3)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--originals", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--label", choices=WEAK, default="fake", help="whose labels: generated pictures' or photographs'"
    )
    parser.add_argument("--since", type=Path, help="an older table: only what it lacks")
    parser.add_argument("--number", type=int, default=DRAWN, help="how many are drawn")
    options = parser.parse_args()
    before = {p.sha256 for p in read_table(options.since)} if options.since else set()
    weak = [p for p in find_weak(read_table(), options.label) if p.sha256 not in before]
    drawn = draw(weak, options.number)
    numbers = {p.sha256: n for n, p in enumerate(drawn, 1)}
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "weak.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["number", "sha256", "repo", "path", "width", "height", "split", "generator", "evidence"])
        for p in sorted(weak, key=lambda p: numbers.get(p.sha256, len(weak))):
            about = (p.sha256, p.repo, p.path, p.width, p.height, p.split, p.generator, p.evidence)
            writer.writerow([numbers.get(p.sha256, ""), *about])
    for n, sheet in enumerate(sheets(drawn, options.originals), 1):
        sheet.save(options.out / f"sheet-{n:02}.jpg", quality=90)
    print(f"{len(weak)} weak labels of {len({p.owner for p in weak})} owners; {len(drawn)} are on the sheets.")


if __name__ == "__main__":
    main()
