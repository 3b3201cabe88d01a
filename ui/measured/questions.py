"""Ten plain questions of "How good is it?": a sentence, a chart and the number of pictures each, all from reports."""

from __future__ import annotations

from html import escape

from ui.charts import Axis, Mark, bar, marks, table, wilson
from ui.measured.words import Report, known, percent, set_name, sets_of, source_name

FEW = 10  # pictures of a source: with fewer, its order among the others is chance
WORST = 6  # sources that are shown
ACCUSED, FOUND, CLEARED = "likely generated", "likely generated", "likely not generated"
UNDECIDED = "inconclusive", "no answer"


def accused(test: Report) -> str:
    """Real pictures that are called likely generated."""
    return _answered(test, "real", (ACCUSED,), "real pictures are called likely generated")


def found(test: Report) -> str:
    """Generated pictures that are called so; and those that are called the opposite."""
    missed = test["all"]["bands"][CLEARED]["generated"]
    words = _answered(test, "generated", (FOUND,), "generated pictures are called likely generated")
    return f"{words}<p>Of all generated ones, {percent(missed)} are called likely not generated.</p>"


def undecided(test: Report) -> str:
    """Pictures of either kind that get no yes and no no."""
    words = "are left undecided: inconclusive, or no answer as it is no photograph to it"
    return "".join(_answered(test, kind, UNDECIDED, f"{kind} pictures {words}") for kind in ("real", "generated"))


def meant(test: Report) -> str:
    """How many of the pictures around a score were generated."""
    rows = [
        [
            _from_to(row["low"], row["high"]),
            bar(row["generated"] / row["pictures"], wilson(row["generated"], row["pictures"])),
            percent(row["generated"] / row["pictures"]),
            f"{row['pictures']:,}",
        ]
        for row in test["meant"]
        if row["pictures"]
    ]
    scored = sum(row["pictures"] for row in test["meant"])
    share = sum(row["generated"] for row in test["meant"]) / max(1, scored)
    words = (
        f"<p>Of the pictures with such a score, so many were generated. Of all {scored:,} test pictures that got a "
        f"score, {percent(share)} were; where fewer are, fewer with the same score are.</p>"
    )
    return words + table("Share that was generated, by score", ["score", "share", "generated", "pictures"], rows)


def _from_to(low: float, high: float) -> str:
    """A range of scores, with as many digits as it takes that its ends differ."""
    digits = 2 if f"{low:.2f}" != f"{high:.2f}" else 3
    return f"{low:.{digits}f} to {high:.{digits}f}"


def generators(test: Report) -> str:
    """The generators whose pictures are judged worst."""
    return _worst(test, generated=True, words="Generated pictures of these sources are missed most often")


def photographs(test: Report) -> str:
    """The sources of real pictures that are judged worst."""
    return _worst(test, generated=False, words="Real pictures of these sources are mistaken most often")


def sent(report: Report) -> str:
    """How well it still ranks pictures after what happens to them on their way."""
    auc = {name: row["all"] for name, row in report["auc"].items()}
    worst = min(auc, key=lambda name: auc[name])
    rows = [[escape(n), marks([Mark(v)], Axis("AUC", 0.5, 1)), f"{v:.3f}"] for n, v in auc.items()]
    words = (
        f"<p>{report['drawn']['travel']['pictures']:,} pictures were changed as messengers and sites change them. It "
        f"tells real from generated with an AUC of {auc['as it is']:.3f} as they are, and {auc[worst]:.3f} after the "
        f"worst: {escape(worst)}.</p>"
    )
    return words + table("AUC from 0.5 (a coin) to 1", ["change", "AUC", "AUC"], rows)


def edits(report: Report) -> str:
    """Whether the map finds what was pasted, beside its controls."""
    causal = report["auc"]["causal"]
    rows = [
        [
            escape(name.replace("_", "-")),
            marks([Mark(row["mean"])], Axis("AUC"), line=0.5),
            f"{row['mean']:.2f}",
            str(row["n"]),
        ]
        for name, row in [*report["auc"].items(), *report["controls"].items()]
    ]
    better = [name for name, row in report["auc"].items() if row["mean"] > causal["mean"]]
    beaten = f" Better than that: {escape(', '.join(better))}." if better else ""
    words = (
        f"<p>A generated part was pasted into {report['splices']:,} photographs. Of one spot inside and one outside, "
        f"the causal map ranks the inner one higher in {100 * causal['mean']:.0f} of 100 pairs; a coin in 50."
        f"{beaten} {_real_edits(report['beside'])}</p>"
    )
    return words + table(
        "Pasted parts: AUC from 0 to 1; the line is a coin's 0.5", ["map or control", "AUC", "AUC", "pictures"], rows
    )


def _real_edits(report: Report) -> str:
    """The same on edits that somebody published; pasted parts say little of those."""
    found = report.get("auc", {}).get("a region")
    if not found:
        return "On real edits it has not been measured."
    causal, blob = found["causal"], found["bright in the middle, whatever is there"]
    return (
        f"On {causal['n']} real edits it does so in {100 * causal['mean']:.0f} of 100 pairs, where a map that is only "
        f"bright in the middle does in {100 * blob['mean']:.0f}."
    )


def shortcuts(report: Report) -> str:
    """How far judges come that look at the file, the shape or the content alone."""
    judges = {n: r for n, r in report.items() if n != "beside" and isinstance(r, dict) and "alike" in r}
    rows = [
        [escape(n), marks([Mark(r["alike"])], Axis("AUC"), line=0.5), f"{r['alike']:.3f}"] for n, r in judges.items()
    ]
    best = max((name for name in judges if name != "this detector"), key=lambda name: judges[name]["alike"])
    words = (
        "<p>A detector can seem good by knowing the wrong thing. On "
        f"{report['beside']['alike']['pictures']:,} pictures, real and generated ones of the same kinds of things, the "
        f"best judge that never looks for traces ({escape(best)}) has an AUC of "
        f"{judges[best]['alike']:.3f}, this detector {judges['this detector']['alike']:.3f}.{_elsewhere(judges)}</p>"
    )
    return words + table("AUC from 0 to 1, like content; the line is a coin's 0.5", ["judge", "AUC", "AUC"], rows)


def _elsewhere(judges: dict[str, Report]) -> str:
    """The set on which such a judge does best, where that is another one: there the test leaks."""
    others = {(name, s): row[s] for name, row in judges.items() if name != "this detector" for s in known(row)}
    name, where = max(others, key=lambda cell: others[cell])
    if where == "alike":
        return ""
    own = judges["this detector"][where]
    return (
        f" On {set_name(where)} such a judge ({escape(name)}) has {others[name, where]:.3f}, this detector {own:.3f}."
    )


def weak_spots(report: Report) -> str:
    """How often the page names the kinds of pictures that it judges badly."""
    rows = [
        [escape(n), bar(r["recognised"]), percent(r["recognised"]), str(r["pictures"])]
        for n, r in report["recognised"].items()
    ]
    raised = report.get("raised on real, whole pictures")
    dark = (
        f" Of {raised['pictures']:,} real pictures, {percent(raised['dark'])} get the caution that they are dark."
        if raised
        else ""
    )
    words = (
        "<p>Drawings, pages and graphics get a caution or no answer. Here it is the caution alone: "
        f"{escape(report['note'])}{dark} {_night(report['beside'])}</p>"
    )
    return words + table("Drawings that are recognised", ["kind", "share", "recognised", "pictures"], rows)


def _night(test: Report) -> str:
    """How often photographs taken at night are accused; of generated ones nothing is known."""
    night = test.get("groups", {}).get("hard", {}).get("night")
    if not night:
        return "How often an answer is wrong on night shots alone has not been measured."
    count, accused = night["pictures"], round(night["accused"] * night["pictures"])
    low, high = (percent(end) for end in wilson(accused, count))
    return (
        f"Of {count:,} photographs of the test that were taken at night, by {night['owners']} owners, {accused} are "
        f"called likely generated (which fits a share of {low} to {high}), and for {percent(night['inconclusive'])} "
        "the answer is inconclusive. Of generated pictures of a night this was not measured."
    )


def _answered(test: Report, kind: str, bands: tuple[str, ...], words: str) -> str:
    rows = []
    for name in sets_of(test):
        pictures = _count(test[name], kind)
        share = sum(test[name]["bands"].get(band, {}).get(kind, 0.0) for band in bands)
        if pictures:
            interval = wilson(share * pictures, pictures)
            rows.append([set_name(name), bar(share, interval), percent(share), f"{pictures:,}"])
    share = sum(test["all"]["bands"].get(band, {}).get(kind, 0.0) for band in bands)
    said = f"<p><b>{100 * share:.1f} of 100</b> {words}, counted on {_count(test['all'], kind):,}.</p>"
    return said + table("Lines hold 95 % (Wilson)", [f"{kind} pictures", "share", "share", "pictures"], rows)


def _count(row: Report, kind: str) -> int:
    generated = int(sum(r["generated"] for r in row["reliability"]))
    return generated if kind == "generated" else int(row["pictures"]) - generated


def _worst(test: Report, *, generated: bool, words: str) -> str:
    known = {n: r for n, r in test["sources"].items() if bool(r["generated"]) == generated}
    many = {n: r for n, r in known.items() if r["pictures"] >= FEW}
    order = sorted(many, key=lambda n: (many[n]["accuracy"], n))[:WORST]
    rows = [
        [
            source_name(n),
            bar(r["accuracy"], wilson(r["accuracy"] * r["pictures"], r["pictures"])),
            percent(r["accuracy"]),
            str(r["pictures"]),
        ]
        for n in order
        for r in [many[n]]
    ]
    if not rows:
        return f"<p>No source has {FEW} test pictures or more.</p>"
    said = f"<p>{words}, among the {len(many)} of {len(known)} sources with {FEW} test pictures or more.</p>"
    return said + table(
        f"Judged rightly, by the side of {test['threshold']:.2f}", ["source", "share", "right", "of"], rows
    )
