"""The small table of the README: the numbers to know, and what was missed."""

from benchmarks.tables.aims import missed_line
from benchmarks.tables.markdown import SETS, Report, ordered, percent, table
from benchmarks.tables.method import protocols
from benchmarks.tables.sections import LADDER, SPLICES, TEST, aims, read

Row = list[str]
SAME = 0.015  # AUC; what seeds and copies move
PROBES = {"linear probe on the embedding": "CLIP's embedding", "linear probe, several layers": "the same layers"}


def front() -> str:
    """At most nine rows for the five known sets, and how many aims were missed."""
    test, speed = read(TEST), read("latency.json")[0]
    warm = {name: f"{row['warm']:.2f} s" for name, row in speed["rows"].items()}
    rows = [
        *_ranking(test),
        _answers(test),
        _map(read(SPLICES)),
        ["Detection with its map, 1,024 x 768, two cores", warm["as it is"], f"held to AVX2: {warm['AVX2']}"],
    ]
    return f"{table(['what was measured', 'result', 'beside it'], rows)}\n\n{missed_line(aims())}"


def _ranking(test: Report) -> list[Row]:
    """AUC on each set, beside linear probes, where the ladder stood on the same data: its last rung is the verdict."""
    rungs = next(found for name, found in protocols(read(LADDER)).items() if name.startswith("P2"))
    probes = {words: next(r for r in rungs if r["name"].startswith(name)) for name, words in PROBES.items()}
    last = next(r for r in rungs if "shipped" in r["name"])
    shared = [name for name in test["sets"] if name in last]
    same = all(abs(last[name]["auc"]["mean"] - test[name]["auc"]) < SAME for name in shared)
    rows = []
    for name in ordered(test["sets"]):
        if name == "all":
            continue
        low, high = test[name]["auc_interval"]
        words = f"Real or generated, `{name}`" + (f" ({SETS[name]})" if name in SETS else "")
        known = probes.items() if same and name in last else ()
        beside = [f"{probe[name]['auc']['mean']:.3f} on {part}" for part, probe in known]
        rows.append(
            [
                words,
                f"AUC {test[name]['auc']:.3f} ({low:.3f} to {high:.3f})",
                f"linear probe: {', '.join(beside)}" if beside else _leak(name),
            ]
        )
    return rows


def _leak(name: str) -> str:
    """What the files of `sites`, which are as they were found, give away by themselves."""
    known = read("detection/controls.json") if name == "sites" else {}
    named = {"width, height, aspect": "shape", "content alone (64 px thumbnail)": "a thumbnail"}
    found = [
        f"{known[control][name]:.3f} by {words}" for control, words in named.items() if name in known.get(control, {})
    ]
    return f"without traces: {', '.join(found)}" if found else ""


def _answers(test: Report) -> Row:
    bands = test["all"]["bands"]
    found, wrong = [], []
    for kind, of, right, other in (
        ("real", "real pictures", "likely not generated", "likely generated"),
        ("generated", "generated ones", "likely generated", "likely not generated"),
    ):
        sure, unsure, mistaken = (percent(bands[band][kind]) for band in (right, "inconclusive", other))
        none = f", {percent(bands['no answer'][kind])} no photograph to it" if "no answer" in bands else ""
        found.append(f"{of}: {sure} {right}, {unsure} inconclusive{none}")
        wrong.append(f"{mistaken} of {of} {other}")
    return ["Answers on all of `test`", "; ".join(found), f"wrong: {', '.join(wrong)}"]


def _map(splices: Report) -> Row:
    """How well the map finds a generated part, beside what needs no detector."""
    auc, control = splices["auc"], splices["controls"]["a photograph pasted into a photograph"]["mean"]
    blob = auc["bright in the middle, whatever is there"]["mean"]
    return [
        f"The map finds a generated part, {splices['splices']} pasted ones",
        f"AUC {auc['causal']['mean']:.2f}",
        f"a blob in the centre: {blob:.2f}; a pasted photograph, nothing generated: {control:.2f}",
    ]
