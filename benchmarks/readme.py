"""Writes the measured parts of the README and of the detector's card: python -m benchmarks.readme [--check]

No number there is typed by hand: all come from the JSON files of the benchmarks. --check writes nothing and fails if a
page says anything else.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
CARD = HERE.parent / "assets" / "models" / "detector" / "README.md"
START, END = "<!-- measured: written by `python -m benchmarks.readme` -->", "<!-- end of the measured part -->"
SETS = {
    "broad": "broad: many generators",
    "alike": "alike: real and generated of the same things",
    "all": "all of test",
}
AIMS = {"broad": 0.985, "alike": 0.90}


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def headline(test: dict[str, Any]) -> str:
    rows = []
    for name, words in SETS.items():
        r = test[name]
        low, high = r["auc_interval"]
        cells = [f"{r[k]:.3f}" for k in ("ap", "balanced_accuracy", "tpr_at_5_fpr", "tpr_at_1_fpr", "ece")]
        rows.append([words, str(r["pictures"]), f"{r['auc']:.3f} ({low:.3f} to {high:.3f})", *cells])
    head = ["`test`", "pictures", "AUC (95 %)", "AP", "balanced accuracy", "TPR at 5 % FPR", "TPR at 1 % FPR", "ECE"]
    aims = ", ".join(
        f"{name} {'reached' if test[name]['auc'] >= aim else 'missed'} (aim {aim:.3f})" for name, aim in AIMS.items()
    )
    found, false_alarms = test["all"], test["all"]["bands"]["likely generated"]["real"]
    others = [
        ("balanced accuracy", 0.88, found["balanced_accuracy"] >= 0.88),
        ("TPR at 5 % FPR", 0.80, found["tpr_at_5_fpr"] >= 0.80),
        ("ECE at most", 0.05, found["ece"] <= 0.05),
        ("real pictures called likely generated at most", 0.05, false_alarms <= 0.05),
    ]
    words = ", ".join(f"{name} {aim:.2f} {'reached' if kept else 'missed'}" for name, aim, kept in others)
    return f"{table(head, rows)}\n\nAims for AUC: {aims}. On all of `test`: {words}."


def bands(test: dict[str, Any]) -> str:
    shares = test["all"]["bands"]
    rows = [[band, percent(s["real"]), percent(s["generated"])] for band, s in shares.items()]
    return table(["answer, all of `test`", "of real pictures", "of generated ones"], rows)


def sites(test: dict[str, Any]) -> str:
    rows = [[name.removeprefix("site "), f"{auc:.3f}"] for name, auc in test["alike_sites"].items()]
    return table(["site of `alike`, content held fixed by its owner", "AUC"], rows)


def sources(test: dict[str, Any]) -> str:
    rows = [
        [name, "generated" if s["generated"] else "real", str(s["pictures"]), percent(s["accuracy"])]
        for name, s in sorted(test["sources"].items(), key=lambda item: item[1]["accuracy"])
    ]
    head = ["source, hardest first", "class", "pictures", "right at the calibrated threshold"]
    return f"<details><summary>All {len(rows)} sources</summary>\n\n{table(head, rows)}\n\n</details>"


def controls(report: dict[str, Any]) -> str:
    fixed = report["content held fixed, broad"]
    rows = [
        [name, f"{value['broad']:.3f}", f"{value['alike']:.3f}", f"{fixed[label]:.3f}" if label else ""]
        for name, value, label in [
            ("this detector", report["this detector"], "this detector"),
            ("content alone (64 px thumbnail)", report["content alone (64 px thumbnail)"], "content alone"),
            ("format, quality, bytes a pixel", report["format, quality, bytes a pixel"], ""),
            (
                "width, height, aspect: a leak of this data (fitted on `test` itself, crossed)",
                report["width, height, aspect"],
                "",
            ),
        ]
    ]
    return table(["AUC on `test`", "broad", "alike", "broad, content held fixed"], rows)


def peer(report: dict[str, Any]) -> str:
    row = [report["name"], *(f"{report['auc'][name]:.3f}" for name in ("broad", "alike"))]
    return table(["AUC on `test`", "broad", "alike"], [row])


def robustness(report: dict[str, Any]) -> str:
    base = report["auc"]["as it is"]
    losses = {(n, s): base[s] - report["auc"][n][s] for n in ("JPEG 70", "WebP 80", "0.5x") for s in SETS}
    missed = [f"{s} at {n} ({loss:.3f})" for (n, s), loss in losses.items() if loss > 0.04]
    return (
        f"{changed(report['auc'])}\n\n{report['pictures']} pictures of `test`, each set and class in its share. "
        f"Aim: at most 0.04 lost at JPEG 70, WebP 80 and 0.5x: "
        f"{'missed on ' + ', '.join(missed) if missed else 'reached'}."
    )


def shapes(report: dict[str, Any]) -> str:
    moves = [abs(v[s] - report["shapes"]["as it is"][s]) for v in report["shapes"].values() for s in SETS]
    reached = "reached" if max(moves) <= 0.02 else f"missed (at most {max(moves):.3f})"
    note = (
        f"{report['pictures_of_shapes']} pictures of `test`. Aim: AUC moves by at most 0.02: {reached}. "
        "Cutting also takes a part of the picture away: see the crop to 75 % above, which keeps the shape."
    )
    return f"{changed(report['shapes'])}\n\n{note}"


def changed(aucs: dict[str, dict[str, float]]) -> str:
    """AUC after each change, with what it moved by."""
    base = aucs["as it is"]
    rows = [
        [name, *(f"{v[s]:.3f} ({v[s] - base[s]:+.3f})" if name != "as it is" else f"{v[s]:.3f}" for s in SETS)]
        for name, v in aucs.items()
    ]
    return table(["AUC", "broad", "alike", "all"], rows)


def overturned(report: dict[str, Any]) -> str:
    rows = [
        [name, band, percent(share["as it is"]), percent(share["after the check"])]
        for name, shares in report["overturned"].items()
        for band, share in shares.items()
    ]
    return table(["pictures", "answer", "as it is", "after the stability check"], rows)


def maps(report: dict[str, Any]) -> str:
    rows = [[name, f"{v['mean']:.3f}", str(v["n"])] for name, v in report["auc"].items()]
    c = report["curves"]
    words = (
        "Where a photograph was pasted into a photograph, 0.5 is right; into a generated picture, 0 is. Pasted regions "
        "rarely touch the edge, so that a map that is only bright in the middle does well. "
        f"Deletion (smaller is better): {c['deletion']:.2f} against {c['deletion_random']:.2f} in random order; "
        f"insertion (larger is better): {c['insertion']:.2f} against {c['insertion_random']:.2f} (mean logit, "
        f"{report['curve_pictures']} pictures)."
    )
    rows += [[f"causal, {name}", f"{v['mean']:.3f}", str(v["n"])] for name, v in report["controls"].items()]
    return f"{table(['map against the pasted region', 'mean AUC (aim 0.80)', 'splices'], rows)}\n\n{words}"


def ladder(report: dict[str, Any]) -> str:
    pieces = []
    for protocol, rungs in report.items():
        if not isinstance(rungs, list):  # the date and the data
            continue
        rows = []
        for r in rungs:
            cell = lambda s, m, r=r: f"{r[s][m]['mean']:.3f} ± {r[s][m]['spread']:.3f}"  # noqa: E731
            rows.append(
                [r["name"], *(cell(s, "auc") for s in SETS), cell("all", "ap"), cell("all", "balanced_accuracy")]
            )
        head = ["rung", "AUC broad", "AUC alike", "AUC all", "AP all", "balanced accuracy all"]
        pieces.append(f"{protocol}; mean of 3 seeds ± half their range.\n\n{table(head, rows)}")
    return "\n\n".join(pieces)


def latency(report: Any) -> str:
    from benchmarks.latency import table as latency_table

    return latency_table(report)


def language(report: dict[str, Any]) -> str:
    from purifier.vlm.training.card import answer_table, caption_table

    return f"{caption_table(report['captions'])}\n{answer_table(report['answers'])}".rstrip()


def purification(report: dict[str, Any]) -> str:
    from purifier.evaluation import markdown

    return markdown(report).replace("## ", "#### ").rstrip()


def load(report: dict[str, Any]) -> str:
    rows = [[name, str(count)] for name, count in report["outcomes"].items()]
    killed = report["killed"]
    words = (
        f"{report['clients']} clients for {report['minutes']:g} minutes on {report['processor']['name']}: half of the "
        f"answers within {report['p50_s']:.1f} s, 95 % within {report['p95_s']:.1f} s; {report['warm_mb']:,} MB once "
        f"warm, {report['peak_mb']:,} MB at most, growth after that {100 * report['growth']:+.1f} %. Killed while at "
        f"work: {killed['files_left_by_the_kill']} files were left, and "
        f"{'none' if killed['folders_after_restart'] == 1 else 'some'} after the next start, which "
        f"{'answered' if killed['answers_after'] else 'did not answer'}."
    )
    return f"{table(['what a request came to', 'requests'], rows)}\n\n{words}"


def stability(report: dict[str, Any]) -> str:
    seconds, fewer = report["1024 x 768"]["seconds"], report["fewer windows"]
    rows = [
        [kind, str(r["pictures"]), percent(r["flipped by a mild delivery"]), percent(r["bands after"]["inconclusive"])]
        for kind, r in ((k, report[k]) for k in ("real", "generated"))
    ]
    words = (
        f"{seconds:.2f} s for eight changes of a 1,024 x 768 picture (aim 2 s). Changes are judged by fewer windows "
        f"than the verdict; by all of them, {percent(fewer['same band'])} of the answers would be the same."
    )
    head = ["pictures of `test`", "count", "score crosses the middle after a mild change", "inconclusive in the end"]
    return f"{table(head, rows)}\n\n{words}"


SECTIONS: list[tuple[str, str, Callable[[dict[str, Any]], str]]] = [
    (
        "detection/test.json",
        "The verdict on generators and sites that it never saw (`make benchmark-detection`)",
        headline,
    ),
    ("detection/test.json", "What it answers", bands),
    ("detection/test.json", "Site by site", sites),
    ("detection/test.json", "By source", sources),
    ("detection/controls.json", "Controls: what the verdict must not rest on", controls),
    ("detection/peer.json", "The detector that can be installed today, on the same pictures", peer),
    ("detection/robustness.json", "As pictures travel", robustness),
    ("detection/robustness.json", "Cut to other shapes: the verdict must not rest on aspect", shapes),
    ("detection/robustness.json", "Answers that do not survive mild re-encoding become inconclusive", overturned),
    ("stability.json", "The stability check, as the app makes it", stability),
    ("detection/splices.json", "Are the maps right?", maps),
    ("detection/ladder.json", "The ladder: what each piece of the method adds", ladder),
    ("vlm/results.json", "What the vision-language model knows, on `test`", language),
    ("purification/defences.json", "Purification, under each threat model", purification),
    ("load.json", "Many people at once (`make benchmark-load`)", load),
    ("latency.json", "Speed (`make benchmark-latency`)", latency),
]


def measured(part: str = "") -> str:
    """The Markdown of every section whose JSON file is there; `part` is the folder that their files are in."""
    pieces = []
    for file, title, words in SECTIONS:
        if file.startswith(part) and (HERE / file).is_file():
            pieces.append(f"### {title}\n\n{words(json.loads((HERE / file).read_text()))}")
        if not part and file == "detection/ladder.json" and (HERE / "detection" / "ladder.png").is_file():
            pieces.append("![The ladder: AUC of every rung under both protocols](benchmarks/detection/ladder.png)")
    return "\n\n".join(pieces)


def filled(page: Path) -> str:
    """The README, or the detector's card, with its measured part as the files say."""
    before, rest = page.read_text(encoding="utf-8").split(START)
    return f"{before}{START}\n\n{measured('detection/' if page == CARD else '')}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for page in (README, CARD):
        if not options.check:
            page.write_text(filled(page), encoding="utf-8")
        elif filled(page) != page.read_text(encoding="utf-8"):
            sys.exit(f"{page.name} says other numbers than the benchmarks: write it again, without --check.")


if __name__ == "__main__":
    main()
