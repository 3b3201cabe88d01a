"""The tables of benchmarks/dataset/README.md, and what docs/measured.md says of the data set."""

import json
from pathlib import Path

from benchmarks.tables.aims import Aim
from benchmarks.tables.markdown import Report, percent, table

HERE = Path(__file__).resolve().parent
HINTS = {
    "size": "width, height and aspect",
    "format": "format",
    "quality": "JPEG quality, bytes a pixel",
    "thumbnail": "a thumbnail of 64 px",
}
SHARE, HOUR = 0.97, 3600  # of the table that is to be rebuilt, and in how many seconds
CHECKED = 600  # seconds that `data check` may take
PASSED = "likely generated", "inconclusive", "likely not generated"


def measured() -> str:
    """The measured part of the README: of what has been measured."""
    words = {"rebuilt": rebuilt, "check": hints, "audit": audit, "sample": sample}
    titles = {
        "rebuilt": "Rebuilding",
        "check": "What gives a label away",
        "audit": "The weakest labels",
        "sample": "The sample",
    }
    found = {name: read(name) for name in words}
    return "\n\n".join(f"## {titles[n]}\n\n{words[n](report)}" for n, report in found.items() if report)


def read(name: str) -> Report | None:
    """What was written of a part; None where it has not been measured."""
    file = HERE / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def rebuilt(ledger: Report) -> str:
    """How much of the table could be rebuilt, in what time, and what was missing why."""
    about = ledger["summary"]
    kept, drawn, collect = about["kept"], about["drawn"], about["collect"]
    source = ledger["from"]
    rows = [_stratum(f"{source} that were there", kept, "all were counted")] if kept["rows"] else []
    for n, (part, found) in enumerate(zip(ledger["strata"], drawn, strict=True)):
        others = "the other " if kept["rows"] else "all " if len(drawn) == 1 else ""
        of = (
            f"{len(part['repositories'])} that joined until {part['date']}"
            if n
            else f"{others}{len(part['repositories'])}"
        )
        rows.append(_stratum(f"drawn by a seed from {of}", found, _range(found)))
    if "share" in about:
        cells = [f"{about['repositories']:,}", "", f"{about['rows']:,}", exact(about["share"])]
        rows.append([f"the table as it was then, {about['date']}, estimated", *cells, _range(about)])
    head = ["repositories", "number", "whole", "rows", "rebuilt", "95 % interval"]
    missing = {name: sum(found["missing"].get(name, 0) for found in (kept, *drawn)) for name in REASONS}
    lacking = ", ".join(f"{n:,} {name}" for name, n in missing.items() if n)
    loads = [load for run in ledger["runs"] for load in run["load"]]
    return (
        f"{table(head, rows)}\n\n"
        + (f"Missing: {lacking}. " if lacking else "No row was missing. ")
        + f"`collect` brought {collect['pictures']:,} pictures from {source} in {collect['seconds'] / 60:.0f} minutes "
        f"and {collect['processor_seconds']:.0f} processor seconds, at a load of {min(loads):.0f} to "
        f"{max(loads):.0f} on two cores. At that pace {about['rows']:,} rows take {_whole(about) / 60:.0f} minutes."
    )


REASONS = "gone", "moved", "changed", "absent", "refused", "stopped"


def rebuilt_aims(ledger: Report) -> list[Aim]:
    """97 % of the rows, with 95 % confidence, and the table within an hour at the pace that was measured."""
    about = ledger["summary"]
    if "share" not in about:
        return []
    share = Aim(
        f"rows of the data set that are rebuilt from {ledger['from']}, at least {SHARE:.0%}",
        about["interval"][0] >= SHARE,
        f"{exact(about['share'])} ({_range(about)}) of {about['rows']:,} rows",
        "What is missing, and why, is in `benchmarks/dataset`.",
        "97 % of the data set rebuilt",
    )
    why = "Other programs shared the two cores."
    time = _whole(about)
    took = f"{time / 60:.0f} minutes for {about['rows']:,} rows"
    return [share, Aim("the whole table collected in an hour", time <= HOUR, took, why)]


def _whole(about: Report) -> float:
    """Seconds that the whole table takes at the pace that was measured."""
    collect = about["collect"]
    seconds: float = about["rows"] / collect["pictures"] * collect["seconds"]
    return seconds


def _stratum(name: str, found: Report, interval: str) -> list[str]:
    share = exact(found["share"]) if found["share"] is not None else "-"
    return [name, f"{found['repositories']:,}", f"{found['whole']:,}", f"{found['rows']:,}", share, interval]


def _range(found: Report) -> str:
    return " to ".join(exact(end) for end in found["interval"]) if found["interval"] else "-"


def exact(share: float) -> str:
    """A share in percent with one digit, 100 % only where nothing is missing."""
    text = f"{100 * share:.1f} %"
    return "over 99.9 %" if text == "100.0 %" and share < 1 else text.replace("100.0", "100")


def hints(report: Report) -> str:
    """AUC of each hint on each set."""
    of = report["hints"]
    known = [name for name in HINTS if any(name in found for found in of.values())]
    rows = [
        [f"`{name}`", f"{found['pictures']:,}", str(found["owners"]), *(_auc(found, hint) for hint in known)]
        for name, found in of.items()
    ]
    runs = report.get("runs")
    told = (
        f"`data check` of {report['pictures']:,} rows took {_took(runs['cold'])} without thumbnails, and "
        f"{_took(runs['warm'])} with them, on two cores that other programs shared. It found "
        f"{report['faults'] or 'no'} faults."
        if runs
        else ""
    )
    return f"{table(['set', 'pictures', 'owners', *(HINTS[n] for n in known)], rows)}\n\n{told}".rstrip()


def _took(run: Report) -> str:
    low, high = sorted(run["load"])
    used = f"{run['processor_seconds']:.0f} of processors, load {low:.0f} to {high:.0f}"
    return f"{run['seconds']:.0f} seconds ({used})"


def check_aims(report: Report) -> list[Aim]:
    """The table is checked within ten minutes, hints among it."""
    if "runs" not in report:
        return []
    seconds = report["runs"]["warm"]["seconds"]
    why = "Other programs shared the two cores."
    took = f"{seconds:.0f} s for {report['pictures']:,} rows"
    return [Aim("the data set checked in ten minutes, thumbnails cached", seconds <= CHECKED, took, why)]


def _auc(found: Report, hint: str) -> str:
    return f"{found[hint]:.3f}" if hint in found else "too few owners" if "too few owners" in found else "-"


WEAK = {
    "fake": "{weak:,} generated pictures of {owners} owners are called so because an agent (Lovable) made the site, by "
    "their sizes, and because they have no metadata; no file and no text says so.",
    "real": "Of the owners that had joined last by then, {weak:,} photographs of {owners} are called so by their "
    "owner, their site or a commit's date alone, without a camera's EXIF.",
}


def audit(report: Report) -> str:
    """How many of the weakest labels look wrong, of each label."""
    told = [_audited(label, words, report[label]) for label, words in WEAK.items() if report[label]["looked_at"]]
    end = "The one who looked knew the labels, so this finds what is plainly wrong, and no more."
    return "\n\n".join([*told, end])


def _audited(label: str, words: str, found: Report) -> str:
    low, high = (f"{100 * end:.1f}" for end in found["wrong_interval"])
    as_told = "generated" if label == "fake" else "like photographs"
    return (
        f"{words.format(**found)} Of {found['looked_at']} of them, drawn by a seed and looked at, {found['fine']} look "
        f"{as_told}, {found['doubtful']} can be either, and {found['wrong']} look wrong: {low} to {high} % (95 %)."
    )


def whole_test() -> Report:
    """The shipped detector on the whole of the test set."""
    found: Report = json.loads((HERE.parent / "detection" / "test.json").read_text())
    return found


def sample(report: Report) -> str:
    """The detector on the sample, beside what it is drawn from and the whole of the test set."""
    test = whole_test()
    rows = [_measured(f"the sample ({report['owners']} owners)", report)]
    if clear := test.get("clear_licence"):
        rows.append(_measured(f"all of `test` with clear licences ({clear['owners']} owners)", clear))
    rows.append(_measured("all of `test`", test["all"]))
    head = [
        "pictures of",
        "number",
        "AUC (95 %)",
        *(f"real: {b}" for b in PASSED),
        *(f"generated: {b}" for b in PASSED),
    ]
    of = ", ".join(f"{n} of `{name}`" for name, n in report["sets"].items())
    steps = [step for step in (report["collect"], report["evaluate"]) if step]
    minutes, used = (sum(step[name] for step in steps) for name in ("seconds", "processor_seconds"))
    load = max(n for step in steps for n in step["load"])
    did = "Collecting and measuring it" if report["collect"] else "Measuring it, collected before,"
    return (
        f"{table(head, rows)}\n\nThe sample is {of}, with licences that let anybody use them, each as it was found. "
        f"Detector {report['revision']}, {report['date']}. {did} took {minutes / 60:.1f} minutes, "
        f"{used:.0f} processor seconds, at a load of {load:.0f} on two cores.{_other(report, test)}"
    )


def _other(report: Report, test: Report) -> str:
    """How the rows compare: what the sample is drawn from, and whether it was judged by the same detector."""
    clear = test.get("clear_licence")
    if not clear:
        return ""
    if {test["revision"], clear["revision"]} != {report["revision"]}:
        return " The rows are of different revisions of the detector: they cannot be compared."
    of = ", ".join(f"{n} of `{name}`" for name, n in clear["sets"].items())
    return f" It is drawn from {of}. All of `test` is another mixture of sets."


def sample_aims(report: Report) -> list[Aim]:
    """Fifty pictures that anybody may have say what those say that they are drawn from, within their interval."""
    clear = whole_test().get("clear_licence")
    if not clear or report["revision"] != clear["revision"]:
        return []
    low, high = report["auc_interval"]
    return [
        Aim(
            "AUC on all test pictures with clear licences within the interval of the sample's",
            low <= clear["auc"] <= high,
            f"{clear['auc']:.3f} ({low:.3f} to {high:.3f})",
            "The sample is of few owners.",
            "the sample says what its pictures are drawn from",
        )
    ]


def _measured(name: str, found: Report) -> list[str]:
    low, high = found["auc_interval"]
    auc = f"{found['auc']:.3f} ({low:.3f} to {high:.3f})"
    shares = [percent(found["bands"][band][kind]) for kind in ("real", "generated") for band in PASSED]
    return [name, str(found["pictures"]), auc, *shares]
