"""Numbers that the product, the README and the model cards show, gathered under their ids from the
benchmarks' reports into assets/measured.json.

Names of rows and columns of a report stand here alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any

from causalclip.examination.answer import BY_BAND
from causalclip.measured import FILE, Measured, Measurement, Units
from causalclip.paths import DEFAULT_HEAD, HEADS

Reports = Callable[[str], Any]  # a benchmark's name -> its JSON
CLASSES = "real", "generated"
RANKING: dict[str, tuple[str, Units]] = {  # a measure's id: its name in a report, its units
    "ap": ("ap", "AP"),
    "balanced-accuracy": ("balanced_accuracy", "share"),
    "tpr-at-5-fpr": ("tpr_at_5_fpr", "share"),
    "tpr-at-1-fpr": ("tpr_at_1_fpr", "share"),
    "ece": ("ece", "ECE"),
}
UNNAMED = "not stated", "several"  # parts of a group's name whose pictures have no one generator
CHANGES = {
    "as-it-is": "as it is",
    "jpeg-50": "JPEG 50",
    "half-size": "0.5x",
    "crop": "crop 75 %",
    "social-copy": "a social network's copy",
}
MAPS = {"causal": "causal", "middle": "bright in the middle, whatever is there"}
DEFENCES = {
    "none": "no defence",
    "full": "ours, 1 step, adapted encoder",
    "one-step": "ours, 1 step",
    "four-steps": "ours, 4 steps",
    "network-alone": "the network alone",
    "other-network": "ours with the unsupervised denoiser",
}
WITHOUT = "ours without the "
ATTACKS = {
    "clean": "clean",
    "pgd-8": "PGD 8/255",
    "apgd-8": "APGD 8/255",
    "adaptive-apgd-4": "full-gradient APGD 4/255",
}
SPLITS = {"same-owners": "pictures of every owner", "other-owners": "owners"}
MASKS = "own", "other", "mean", "none"
INDEPENDENCE: dict[str, Units] = {
    "nhsic": "nHSIC",
    "auc": "AUC",
    "linear": "AUC",
    "mlp": "AUC",
    "knn": "AUC",
}


def gather(read: Reports) -> Measured:
    """Return all numbers that are shown outside docs/measured.md.

    Args:
        read: gives a benchmark's report by its name.
    """
    return Measured(number for part in PARTS for number in part(read))


def write(found: Measured) -> None:
    """Write assets/measured.json, a line for each number."""
    lines = [json.dumps(x.model_dump(exclude_defaults=True), ensure_ascii=False) for x in found]
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def detection(read: Reports) -> Iterator[Measurement]:
    """Yield how both heads rank and answer the test pictures, set by set."""
    for head in HEADS:
        report = read("detection") if head == DEFAULT_HEAD else read("heads")[head]
        make = _maker(report, read("heads"))
        for name in report["sets"]:
            yield from _test_set(make, f"detection.{head}.{name}", report[name])

    report = read("detection")
    make = _maker(report)
    for i, row in enumerate(report["all"]["reliability"]):
        share = row["generated"] / row["pictures"] if row["pictures"] else 0.0
        yield make(f"detection.{DEFAULT_HEAD}.all.scores.{i}", share, "share", n=row["pictures"])
    for name, row in report["groups"]["generators"].items():
        if not any(part in name for part in UNNAMED):
            slug = re.sub(r"\W+", "-", name.lower()).strip("-")
            yield make(f"generators.{slug}", row["called"], "share", n=row["pictures"], label=name)


def _test_set(make: Callable[..., Measurement], id: str, row: Any) -> Iterator[Measurement]:
    pictures = row["pictures"]
    yield make(f"{id}.auc", row["auc"], "AUC", n=pictures, interval=row["auc_interval"])
    for measure, (key, units) in RANKING.items():
        interval = row.get(f"{key}_interval")
        yield make(f"{id}.{measure}", row[key], units, n=pictures, interval=interval)

    generated = int(sum(part["generated"] for part in row["reliability"]))
    counts = {"real": pictures - generated, "generated": generated}
    for band, origin in BY_BAND.items():
        for kind in CLASSES:
            share = row["bands"].get(band, {}).get(kind, 0.0)
            yield make(f"{id}.{origin.value}.{kind}", share, "share", n=counts[kind])


def robustness(read: Reports) -> Iterator[Measurement]:
    """Yield the AUC after what happens to pictures on their way."""
    report = read("robustness")
    pictures = report["drawn"]["travel"]["pictures"]
    for id, name in CHANGES.items():
        yield _maker(report)(f"robustness.{id}.auc", report["auc"][name]["all"], "AUC", n=pictures)


def maps(read: Reports) -> Iterator[Measurement]:
    """Yield how well the map, and a blob in the middle, find what was changed."""
    pasted, edits = read("splices"), read("edits")
    for id, name in MAPS.items():
        row = pasted["auc"][name]
        yield _maker(pasted)(f"maps.pasted.{id}.auc", row["mean"], "AUC", n=row["n"])
        row = edits["auc"]["a region"][name]
        yield _maker(edits)(
            f"maps.edits.{id}.auc", row["mean"], "AUC", n=row["n"], interval=row["interval"]
        )


def purification(read: Reports) -> Iterator[Measurement]:
    """Yield how many answers each defence keeps and how many are correct, by attack."""
    report = read("purification")
    defences = {name: id for id, name in DEFENCES.items()}
    attacks = {name: id for id, name in ATTACKS.items()}
    for cell in report["cells"]:
        row = cell["row"]
        if row.startswith(WITHOUT):
            defences[row] = "without-" + row.removeprefix(WITHOUT).lower().replace(" ", "-")
        if row not in defences or cell["column"] not in attacks:
            continue
        id = f"purification.{defences[row]}.{attacks[cell['column']]}"
        for measure in ("agreement", "accuracy"):
            yield _maker(report)(
                f"{id}.{measure}",
                cell[measure],
                "share",
                n=cell["n"],
                interval=cell[f"{measure}_interval"],
            )


def marks(read: Reports) -> Iterator[Measurement]:
    """Yield how often marks of generators are found, rightly and by mistake."""
    report = read("marks")
    make = _maker(report)
    # The readers changed after the files that were looked at once: what was found then counts.
    once = report["first look"]
    real = max(report["real pictures"], key=lambda search: search["searched"])
    first = [row for row in report["marks"] if row["part"] == "first"]
    files = once["seen"] + sum(row["seen"] for row in first)
    named = once["named"] + sum(row["found"] for row in first)
    yield make("marks.unseen.named", named / files, "share", n=files)

    unseen = [row for row in report["marks"] if row["part"] != "built on"]
    files, headlined = (sum(row[name] for row in unseen) for name in ("seen", "headlined"))
    yield make("marks.unseen.headlined", headlined / files, "share", n=files)
    searched = real["searched"]
    yield _maker(real)("marks.real.mistaken", len(real["marked"]) / searched, "share", n=searched)


def forwarded(read: Reports) -> Iterator[Measurement]:
    """Yield how often pictures that apps saved are called generated, by class and app."""
    report = read("forwarded")
    sides = {"real": report["apps"] | {"all": report["all"]}, "generated": report["generated"]}
    for kind, apps in sides.items():
        for app, row in apps.items():
            yield _maker(report)(
                f"forwarded.{kind}.{app.lower()}.called",
                row["answers"]["likely generated"] / row["pictures"],
                "share",
                n=row["pictures"],
                interval=row["interval"],
            )


def independence(read: Reports) -> Iterator[Measurement]:
    """Yield a point of the curve for each weight of the losses: the mean of its runs, from
    independent to dependent."""
    report = read("curve")
    groups: dict[tuple[float, float], list[dict[str, float]]] = {}
    for row in report["rows"]:
        groups.setdefault((row["independence"], row["adversary"]), []).append(row)
    points = [
        {name: fmean(row[name] for row in g) for name in INDEPENDENCE} for g in groups.values()
    ]
    for i, point in enumerate(sorted(points, key=lambda point: point["nhsic"])):
        for name, units in INDEPENDENCE.items():
            yield _maker(report)(f"independence.{name}.{i}", point[name], units)
    yield _maker(report)(
        "independence.ridge.auc",
        report["ridge"],
        "AUC",
        n=report["judged"]["pictures"],
        interval=report["ridge_interval"],
    )


def masks(read: Reports) -> Iterator[Measurement]:
    """Yield the causal head's AUC under four masks, and what a picture's own one gains."""
    report = read("masks")
    make = _maker(report)
    row = report["worth"]["all"]
    for mask in MASKS:
        more = {"n": row["pictures"], "interval": row[mask]["interval"]}
        yield make(f"masks.auc.{mask}", row[mask]["value"], "AUC", **more)
    for mask in MASKS[1:]:
        gain = row[f"own - {mask}"]
        more = {"n": row["pictures"], "interval": gain["interval"]}
        yield make(f"masks.gain.{mask}", gain["value"], "AUC", **more)


def calibration(read: Reports) -> Iterator[Measurement]:
    """Yield how often a threshold from one's own pictures kept its bound."""
    report = read("calibration")
    splits = {name: id for id, name in SPLITS.items()}
    for draw in report["draws"]:
        if draw["split"] in splits and "within_promise" in draw:
            id = f"calibration.{splits[draw['split']]}.at-most-{100 * draw['at_most']:g}"
            yield _maker(report)(id, draw["within_promise"], "share", n=draw["draws"])


def fewshot(read: Reports) -> Iterator[Measurement]:
    """Yield what a correction from ten pictures of each kind gains, owner by owner."""
    report = read("fewshot")
    for owner, counts in enumerate(report["owners"].values(), 1):
        if ten := counts.get("10"):
            gain = ten["chosen"]["mean"] - ten["shipped"]["mean"]
            yield _maker(report)(f"fewshot.gain.{owner}", gain, "AUC", n=report["draws"])


def latency(read: Reports) -> Iterator[Measurement]:
    """Yield the seconds of a detection with its map."""
    latest = read("latency")[0]
    rows = latest["rows"]
    yield _maker(latest)("latency.warm", rows["as it is"]["warm"], "s")
    yield _maker(latest)("latency.processor", rows["as it is"]["cpu"], "s")
    yield _maker(rows["AVX2"])("latency.avx2.processor", rows["AVX2"]["cpu"], "s")


PARTS: tuple[Callable[[Reports], Iterator[Measurement]], ...] = (
    detection,
    robustness,
    maps,
    purification,
    marks,
    forwarded,
    independence,
    masks,
    calibration,
    fewshot,
    latency,
)


def _maker(report: Any, dated: Any = None) -> Callable[..., Measurement]:
    """Return what makes the measurements of a report, with its date and its detector's revision.

    dated: the report that has the date, where another one does.
    """
    date = report.get("date") or (dated or {}).get("date")
    revision = report.get("revision")

    def make(id: str, value: float, units: Units, **more: Any) -> Measurement:
        if ends := more.get("interval"):
            more["interval"] = tuple(round(end, 6) for end in ends)
        return Measurement(
            id=id, value=round(value, 6), units=units, date=date, revision=revision, **more
        )

    return make
