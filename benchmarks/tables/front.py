"""The small table of the README: the numbers to know, and what was missed."""

from benchmarks.tables import defences
from benchmarks.tables.aims import missed_line
from benchmarks.tables.defences import ALWAYS, ALWAYS_EYED, EYED, JPEG, KNOWN, NONE, OURS, RESTORED, kept
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
        _answers(test),
        *_purification(read(PURIFIED)),
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


def _answers(test: Report) -> Row:
    bands = test["all"]["bands"]
    found, wrong = [], []
    for kind, of, right, other in (
        ("real", "real pictures", "likely not generated", "likely generated"),
        ("generated", "generated ones", "likely generated", "likely not generated"),
    ):
        sure, unsure, mistaken = (percent(bands[band][kind]) for band in (right, "inconclusive", other))
        found.append(f"{of}: {sure} {right}, {unsure} inconclusive")
        wrong.append(f"{mistaken} of {of} {other}")
    return ["Answers on all of `test`", "; ".join(found), f"wrong: {', '.join(wrong)}"]


def _purification(report: Report) -> list[Row]:
    attacked, strongest = list(RESTORED), list(KNOWN)[-1]

    def stay(row: str, columns: list[str]) -> str:
        return percents(kept(report, row, columns))

    def clean(row: str) -> str:
        return f"not attacked: {stay(row, ['clean'])}"

    through = stay(EYED, defences.knowing(report))
    return [
        [
            "Answers of the vision-language model that stay, purified, under PGD and APGD at 8/255",
            f"{stay(EYED, attacked)}; seen without the eye, a CLIP adapted to purified pictures: "
            f"{stay(OURS, attacked)}; {clean(EYED)}",
            f"{JPEG}: {stay(JPEG, attacked)}; {clean(JPEG)}; {NONE}: {stay(NONE, attacked)}",
        ],
        [
            "The same, attacked at 4/255 by someone who knows the purifier",
            f"{through}; always purified, by chance: {stay(ALWAYS, [strongest])}, seen by the eye "
            f"{stay(ALWAYS_EYED, [strongest])}; that way, not attacked: {stay(ALWAYS, ['clean'])} and "
            f"{stay(ALWAYS_EYED, ['clean'])}",
            f"{JPEG}, attacked around it, which is weaker: {stay(JPEG, [strongest])}; {NONE}: "
            f"{stay(NONE, [strongest])}",
        ],
    ]
