"""Whether an attack on the detector is noticed, and what the verdict is before and after it.

Pictures that are judged right are attacked until the verdict turns, saved as PNG and as JPEG 90,
and shown to Purify's attack detector and to one that reads the network's statistics alone, which
costs an eighth. False alarms are counted on pictures as they are found on the web. What was
measured of a picture is kept, so that a killed run goes on.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from tqdm import tqdm

from benchmarks.common import LABEL_OF_BAND, TABLE, Options, kept_file
from causalclip.images.loading import load_image
from causalclip.images.reencoding import encode
from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import FlipVerdict
from purifier.denoiser.attack_detector import STATISTICS, AttackDetector, statistics
from purifier.models import Models
from purifier.pixels import to_array, to_tensor
from training.dataset.rules import read_originals
from training.detector.data import Record

CLEAN = 5000  # pictures on which false alarms are counted
FULLY_EXAMINED = 120  # of them: the whole attack detector takes two seconds a picture
ATTACKED = 8  # pictures, half of them generated
LONG_SIDE = 768  # px, of an attacked picture at most
EVERY = 10**9  # pictures of a source
LARGEST = 8_000_000  # pixels, of a clean picture
FALSE_ALARMS = 0.001  # at most
FOLDS = 10
QUALITY = 90  # of JPEG

ATTACKS = {
    "PGD 8/255": Attack("pgd", eps=8, steps=10),
    "APGD 8/255": Attack("apgd", eps=8, steps=10),
    "MI-FGSM 8/255": Attack("mi-fgsm", eps=8, steps=10),
    "patch 2 %": Attack("patch", steps=20),
    "Square 8/255": Attack("square", eps=8, steps=60),
}


def measure(options: Options) -> dict[str, Any]:
    """False alarms, how often attacks are noticed, and the verdicts."""
    models, folder = Models(), options.cache / "attacked"
    records = photographs(options)

    # 1. Attacked pictures of the test split
    chosen = choose(records, models, options, folder)
    attacked = [
        row
        for record in tqdm(chosen, unit="picture")
        for row in kept(folder, f"attacked {record.path}", partial(attack, record, models, options))
    ]

    # 2. Clean pictures, of which the first are shown to the whole detector, too
    count = options.pictures or CLEAN
    drawn = _clean_pictures(chosen, options)[:count]
    clean = [
        kept(
            folder,
            f"clean {record.path}",
            partial(look, record, models, options, whole=i < FULLY_EXAMINED),
        )
        for i, record in enumerate(tqdm(drawn, unit="picture"))
    ]
    return summarise(clean, attacked)


def kept(folder: Path, what: str, make: Callable[[], Any]) -> Any:
    """Return what `make` gives, as JSON; from the folder where it was made before."""
    path = kept_file(folder, what, ".json", lambda path: path.write_text(json.dumps(make())))
    return json.loads(path.read_text())


def choose(
    records: Sequence[Record], models: Models, options: Options, folder: Path
) -> list[Record]:
    """ATTACKED pictures of the test split on the right side of the verdict, each of another
    owner."""
    chosen: list[Record] = []
    owners = set()
    for label in (0, 1):
        mine: list[Record] = []
        for record in records:
            if record.split != "test" or record.label != label or record.owner in owners:
                continue
            probability = kept(
                folder, f"probability {record.path}", partial(judge, record, models, options)
            )
            if (probability > 0.5) == bool(label):
                mine.append(record)
                owners.add(record.owner)
            if len(mine) == ATTACKED // 2:
                break
        chosen += mine
    return chosen


def judge(record: Record, models: Models, options: Options) -> float:
    """The probability of being generated."""
    return models.detector.score(to_array(_picture_of(record, options))).probability


def _picture_of(record: Record, options: Options) -> Tensor:
    """A picture scaled to LONG_SIDE: float [1, 3, H, W] in [0, 1]."""
    picture = Image.fromarray(load_image(options.originals / record.path).pixels)
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return to_tensor(np.asarray(picture))


def attack(record: Record, models: Models, options: Options) -> list[dict[str, Any]]:
    """A row an attack and way of saving: evidence, log-odds of an attack, verdicts."""
    picture = _picture_of(record, options)
    before = models.detector.score(to_array(picture))
    rows = []
    for name, how in ATTACKS.items():
        moved = run_attack(how, picture, FlipVerdict(models.detector, picture))
        png = to_array(moved)
        jpeg = np.asarray(encode(Image.fromarray(png), "JPEG", QUALITY))
        for saved, pixels in (("PNG", png), (f"JPEG {QUALITY}", jpeg)):
            shown = to_tensor(pixels)
            with torch.no_grad():
                evidence = models.purifier.evidence(shown)
                purified = to_array(models.purifier(shown).images)
            rows.append(
                {
                    "picture": record.picture,
                    "label": record.label,
                    "attack": name,
                    "saved": saved,
                    "evidence": evidence[0].tolist(),
                    "odds": odds(models, evidence),
                    "before": before.band,
                    "attacked": models.detector.score(pixels).band,
                    "purified": models.detector.score(purified).band,
                }
            )
    return rows


def odds(models: Models, evidence: Tensor) -> float:
    """The shipped attack detector's log-odds; above 0 it speaks."""
    return float(AttackDetector(**models.purifier.config["attack_detector"])(evidence)[0])


def photographs(options: Options, **most: int) -> list[Record]:
    """Whole photographs, real and generated, of both splits. most: as of read_originals."""
    records = [
        record
        for split in ("train", "test")
        for record in read_originals(TABLE, options.originals, split=split, **most)
        if record.kind == "photo" and not record.crop and not record.grid
    ]
    return sorted(records, key=lambda record: record.picture)


def _clean_pictures(attacked: Sequence[Record], options: Options) -> list[Record]:
    """The other pictures that are small enough, in an order drawn by lot."""
    records = [r for r in photographs(options, each=EVERY, broad=EVERY) if r not in attacked]
    order = np.random.default_rng(0).permutation(len(records))
    return [r for r in (records[i] for i in order) if _pixels_of(r, options) <= LARGEST]


def _pixels_of(record: Record, options: Options) -> int:
    with Image.open(options.originals / record.path) as file:
        return file.width * file.height


@torch.no_grad()
def look(record: Record, models: Models, options: Options, *, whole: bool) -> dict[str, Any]:
    """A clean picture's statistics, and with `whole` the shipped detector's log-odds; processor
    seconds of either without decoding."""
    picture = to_tensor(load_image(options.originals / record.path).pixels)
    start = time.process_time()
    evidence = models.purifier.evidence(picture) if whole else None
    if evidence is None:
        evidence = statistics(*models.purifier.look(picture))
    return {
        "picture": record.picture,
        "label": record.label,
        "evidence": evidence[0].tolist(),
        "odds": odds(models, evidence) if whole else None,
        "seconds": time.process_time() - start,
    }


def summarise(clean: list[dict[str, Any]], attacked: list[dict[str, Any]]) -> dict[str, Any]:
    # 1. A detector by the statistics alone, held out by picture
    rows = clean + attacked
    numbers = np.array([row["evidence"][:STATISTICS] for row in rows])
    truth = np.arange(len(rows)) >= len(clean)
    scores = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000)),
        numbers,
        truth,
        groups=[row["picture"] for row in rows],
        cv=GroupKFold(FOLDS, shuffle=True, random_state=0),
        method="decision_function",
    )
    least = float(np.quantile(scores[~truth], 1 - FALSE_ALARMS))

    # 2. The whole detector where it was asked
    asked = [row for row in clean if row["odds"] is not None]
    cheap = [row for row in clean if row["odds"] is None]
    highest = max(row["odds"] for row in asked)
    return {
        "pictures": len(clean),
        "attacked": len({row["picture"] for row in attacked}),
        "statistics": {
            "false alarms": int((scores[~truth] > least).sum()),
            "seconds": round(fmean(row["seconds"] for row in cheap), 3) if cheap else None,
        },
        "shipped": {
            "pictures": len(asked),
            "false alarms": sum(row["odds"] > 0 for row in asked),
            "seconds": round(fmean(row["seconds"] for row in asked), 3),
        },
        "attacks": list(_by_attack(attacked, scores[truth] > least, highest)),
    }


def _by_attack(
    attacked: list[dict[str, Any]], noticed: np.ndarray, highest: float
) -> Iterator[dict[str, Any]]:
    for name in ATTACKS:
        for saved in ("PNG", f"JPEG {QUALITY}"):
            at = [
                i
                for i, row in enumerate(attacked)
                if (row["attack"], row["saved"]) == (name, saved)
            ]
            rows = [attacked[i] for i in at]
            yield {
                "attack": name,
                "saved": saved,
                "n": len(rows),
                "noticed by statistics": int(noticed[at].sum()),
                "noticed by the shipped one": sum(row["odds"] > 0 for row in rows),
                "above every clean picture": sum(row["odds"] > highest for row in rows),
            } | {when: _verdicts(rows, when) for when in ("before", "attacked", "purified")}


def _verdicts(rows: list[dict[str, Any]], when: str) -> dict[str, int]:
    right = sum(LABEL_OF_BAND.get(row[when]) == row["label"] for row in rows)
    wrong = sum(LABEL_OF_BAND.get(row[when]) == 1 - row["label"] for row in rows)
    none = sum(row[when] == "no answer" for row in rows)
    return {"right": right, "wrong": wrong, "no answer": none}
