"""The small table of the README: the numbers to know, and what was missed."""

from benchmarks.tables import defences
from benchmarks.tables.aims import missed_line
from benchmarks.tables.defences import ADAPTIVE, ALWAYS, EYED, JPEG, KNOWN, NONE, OURS, RESTORED, kept
from benchmarks.tables.markdown import SETS, Report, ordered, percent, percents, table
from benchmarks.tables.method import protocols
from benchmarks.tables.sections import LADDER, PURIFIED, TEST, aims, read

Row = list[str]
PROBES = {"linear probe on the embedding": "CLIP's embedding", "linear probe, several layers": "the same layers"}


def front() -> str:
    """At most eight rows for the four known sets."""
    test, speed = read(TEST), read("latency.json")[0]
    warm = {name: f"{row['warm']:.2f} s" for name, row in speed["rows"].items()}
    rows = [
        *_ranking(test),
        *(_answers(test, kind) for kind in ("real", "generated")),
        _purification(read(PURIFIED)),
        ["Detection with its map, 1,024 x 768, two cores", warm["as it is"], f"held to AVX2: {warm['AVX2']}"],
    ]
    return f"{table(['what was measured', 'result', 'beside it'], rows)}\n\n{missed_line(aims())}"


def _ranking(test: Report) -> list[Row]:
    """AUC on each set, beside linear probes, where the ladder knows the set. An older ladder stood on other data."""
    ladder, probes = read(LADDER), {}
    if ladder["date"] >= test["date"]:
        rungs = next(found for name, found in protocols(ladder).items() if name.startswith("P2"))
        probes = {words: next(r for r in rungs if r["name"].startswith(name)) for name, words in PROBES.items()}
    rows = []
    for name in ordered(test["sets"]):
        if name == "all":
            continue
        low, high = test[name]["auc_interval"]
        words = f"Real or generated, `{name}`" + (f" ({SETS[name]})" if name in SETS else "")
        beside = [f"{probe[name]['auc']['mean']:.3f} on {part}" for part, probe in probes.items() if name in probe]
        rows.append(
            [
                words,
                f"AUC {test[name]['auc']:.3f} ({low:.3f} to {high:.3f})",
                f"linear probe: {', '.join(beside)}" if beside else "",
            ]
        )
    return rows


def _answers(test: Report, kind: str) -> Row:
    shares = {band: percent(share[kind]) for band, share in test["all"]["bands"].items()}
    right, wrong = ("likely not generated", "likely generated")[:: 1 if kind == "real" else -1]
    return [
        f"Answers on {kind} pictures, all of `test`",
        f"{shares[right]} {right}, {shares['inconclusive']} inconclusive",
        f"wrong: {shares[wrong]} {wrong}",
    ]


def _purification(report: Report) -> Row:
    attacked, adaptive = list(RESTORED), defences.columns(report, ADAPTIVE)

    def shares(row: str) -> str:
        stay = percents(kept(report, row, ["clean"])), percents(kept(report, row, attacked))
        return f"clean {stay[0]}, attacked {stay[1]}"

    bare, known = percents(kept(report, OURS, attacked)), percents(kept(report, EYED, adaptive))
    clean, *always = (percent(share) for share in kept(report, ALWAYS, ["clean", *KNOWN]))
    around = " and ".join(percent(share) for share in kept(report, JPEG, [*KNOWN]))
    return [
        "Answers of the vision-language model that stay after purification (attacks: PGD, APGD at 8/255)",
        f"{shares(EYED)}, by an attacker who knows all of it, at 4/255, {known}, seen by a CLIP adapted to purified "
        f"pictures (the eye); without it: attacked {bare}; without eye and gate, quantised by chance: clean {clean}; "
        f"by an attacker who knows that, {' and '.join(always)} at 2 and 4/255",
        f"{JPEG}: {shares(JPEG)}, by an attacker around it, which is weaker, {around}; no defence: {shares(NONE)}",
    ]
