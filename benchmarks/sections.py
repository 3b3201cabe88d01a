"""What the benchmarks measured, question by question, for the README, docs/measured.md and the
detector's card.

Each function makes a section from the JSON of one benchmark, at times with another's. What was
measured is read from there; typed in are settings of an experiment, figures of the paper, and
results of runs of which no JSON is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from benchmarks import gathering
from benchmarks.captions import table as captions_table
from benchmarks.purification import defence_tables
from benchmarks.tables import (
    SETS,
    Report,
    Table,
    Told,
    bounded,
    by_set,
    named,
    ordered,
    percent,
    tabulate,
)
from causalclip.calibration import SCORE_BANDS
from causalclip.examination.answer import BY_BAND, Origin
from causalclip.intervals import wilson
from causalclip.measured import Measured
from causalclip.paths import DEFAULT_HEAD

Reports = Callable[[str], Any]  # a benchmark's name -> its JSON
BLOB = "bright in the middle, whatever is there"
NAMED_INPUTS = {
    "embedding": "the one embedding that the paper uses",
    "layers": "the ten features of layers that ship",
}
NO_SCORES = "No TPR at 1 % FPR stands beside: scores of single pictures were not kept."
NEAR_SHARE = 0.05  # shares of two neighbouring steps that differ by less are shown as one


SECTIONS: list[tuple[str, str, Callable[[Reports], Told]]] = []


def _section(
    title: str, name: str
) -> Callable[[Callable[[Reports], Told]], Callable[[Reports], Told]]:
    """Enter a section under a reader's question; name: of the benchmark that dates it."""

    def enter(make: Callable[[Reports], Told]) -> Callable[[Reports], Told]:
        SECTIONS.append((title, name, make))
        return make

    return enter


@_section("How well does it tell them apart?", "detection")
def headline(read: Reports) -> Told:
    """Return how well the detector ranks the pictures of each test set."""
    return ranking(Measured(gathering.detection(read)), DEFAULT_HEAD)


def ranking(numbers: Measured, head: str) -> Told:
    """Return how well a head ranks the pictures of each test set."""
    rows = {}
    for name in SETS:
        id = f"detection.{head}.{name}"
        found: Report = {measure: numbers[f"{id}.{measure}"].value for measure in gathering.RANKING}
        auc, few = numbers[f"{id}.auc"], numbers[f"{id}.tpr-at-1-fpr"]
        rows[named(name)] = found | {"n": auc.n, "auc": bounded(auc), "few": bounded(few)}
    columns = {
        "pictures": "{n:,}",
        "AUC (95 %)": "{auc}",
        "AP": "{ap:.3f}",
        "balanced accuracy": "{balanced-accuracy:.3f}",
        "TPR at 5 % FPR": "{tpr-at-5-fpr:.3f}",
        "TPR at 1 % FPR (95 %)": "{few}",
        "ECE": "{ece:.3f}",
    }
    words = (
        "AUC 0.9: of 100 pairs of a real and a generated picture, the generated one scores higher "
        "in 90. TPR at 1 % FPR: the share of the generated ones found by a threshold that at most "
        "one real picture in 100 exceeds. Where it has an interval, both are of scores in int8; "
        "where it has none, of float32, as the originals could not be judged again. `alike` and "
        "`fresh` hold both classes of the same kinds of thing, `sites` mostly one class an owner, "
        "so that content can give it away."
    )
    return Told(words, [tabulate("set", rows, columns)])


@_section("What does it answer, and how often wrongly?", "detection")
def answers(read: Reports) -> Told:
    """Return how often real and generated pictures get each answer, and the errors among these."""
    return answer_shares(Measured(gathering.detection(read)), DEFAULT_HEAD)


def answer_shares(numbers: Measured, head: str) -> Told:
    """Return how often real and generated pictures get each answer of a head."""
    # 1. A row for each class of each set
    rows = {}
    for name in SETS:
        for kind in gathering.CLASSES:
            found = {
                band: numbers[f"detection.{head}.{name}.{origin.value}.{kind}"]
                for band, origin in BY_BAND.items()
            }
            row: Report = {band: share.value for band, share in found.items()}
            rows[f"{kind}, `{name}`"] = row | {"count": found["inconclusive"].n}

    # 2. The errors, in words
    sentences = []
    for kind, wrong in (
        ("real", Origin.LIKELY_GENERATED),
        ("generated", Origin.LIKELY_NOT_GENERATED),
    ):
        error = numbers[f"detection.{head}.all.{wrong.value}.{kind}"]
        low, high = wilson(error.count, error.n or 0)
        sentences.append(
            f"Of all {error.n:,} {kind} pictures, {100 * error.value:.1f} of 100 are called "
            f"{wrong.answer.brief} ({error.count}; 95 %: {100 * low:.1f} to "
            f"{100 * high:.1f} %)."
        )
    found_share = numbers[f"detection.{head}.all.{Origin.LIKELY_GENERATED.value}.generated"].value
    sentences.append(f"{100 * found_share:.1f} of 100 generated ones are called likely generated.")
    sentences.append("The stability check can turn these answers into inconclusive.")
    columns = {"number": "{count:,}"} | {
        band: f"{{{band}:%}}" for band in (*reversed(SCORE_BANDS), "no answer")
    }
    return Told(" ".join(sentences), [tabulate("pictures", rows, columns)])


@_section("What has a score meant?", "detection")
def score_meaning(read: Reports) -> Told:
    """Return which share of the pictures with a given score was generated."""
    steps: list[Report] = []
    for step in (r for r in read("detection")["meant"] if r["pictures"]):
        last = steps[-1] if steps else step
        if (
            steps
            and abs(last["generated"] / last["pictures"] - step["generated"] / step["pictures"])
            < NEAR_SHARE
        ):
            union = {key: last[key] + step[key] for key in ("pictures", "generated")}
            steps[-1] = union | {"low": last["low"], "high": step["high"]}
        else:
            steps.append(step)
    rows = {
        f"{r['low']:.2f} to {r['high']:.2f}": r | {"share": r["generated"] / r["pictures"]}
        for r in steps
    }
    total, generated = (sum(r[key] for r in steps) for key in ("pictures", "generated"))
    words = (
        "Of the pictures of like content with such a score, so many were generated. Of all "
        f"{total:,} with a score, {percent(generated / max(1, total))} were; where fewer are, "
        "fewer with the same score are."
    )
    table = tabulate("score", rows, {"pictures": "{pictures:,}", "of them generated": "{share:%}"})
    return Told(words, [table])


@_section("Which generators does it miss?", "detection")
def generators(read: Reports) -> Told:
    """Return how many pictures of each generator are recognised."""
    test = read("detection")
    groups = test["groups"]["generators"]
    columns = {"owners": "{owners}", "pictures": "{pictures}", "in train": "{in_train:,}"}
    columns |= {"above 5 % of real ones": "{recognised:%}", "likely generated": "{called:%}"}
    return Told("By what made the pictures of `sites`.", [tabulate("generator", groups, columns)])


@_section("Which photographs does it mistake?", "detection")
def photographs(read: Reports) -> Told:
    """Return how often each kind of hard photograph is called generated."""
    hard = read("detection")["groups"]["hard"]
    columns = {"owners": "{owners}", "pictures": "{pictures}", "likely generated": "{accused:%}"}
    table = tabulate("photographs", hard, columns | {"inconclusive": "{inconclusive:%}"})
    return Told("By kinds of photographs of `sites` that are hard.", [table])


@_section("Does it still work after a picture was sent on?", "robustness")
def robustness_when_sent(read: Reports) -> Told:
    """Return what AUC is left after a picture was sent on, or cut to another shape."""
    report = read("robustness")
    every = {n: r["all"] for n, r in report["auc"].items()}
    worst = min(every, key=lambda n: every[n])
    losses = "; ".join(
        "{} {:.3f} ({:.3f} to {:.3f})".format(n, *v["all"]) for n, v in report["lost"].items()
    )
    words = (
        f"{report['drawn']['travel']['pictures']:,} pictures, changed as messengers and sites "
        f"change them. Most is lost by {worst}: the AUC of all goes from {every['as it is']:.3f} "
        f"to {every[worst]:.3f}. AUC lost on all, with its 95 % interval: {losses}. Then "
        f"{report['drawn']['shapes']['pictures']:,} pictures, cut to other shapes. "
        f"{NO_SCORES}"
    )
    accusations = {
        kind: {change: shares[kind] for change, shares in report["retouched"]["all"].items()}
        for kind in ("real", "generated")
    }
    tables = [
        by_set("AUC", report["auc"]),
        by_set("AUC, cut to another shape", report["shapes"]),
        tabulate(
            "of all, called likely generated",
            accusations,
            {n: f"{{{n}:%}}" for n in ("as it is", "retouched")},
        ),
    ]
    return Told(words, tables)


@_section("How many answers do not survive re-encoding?", "stability")
def stability(read: Reports) -> Told:
    """Return how often re-encoding moves an answer, and what the check makes of it."""
    report, app = read("robustness"), read("stability")
    rows = {
        f"{kind}: {band}": s
        for kind, bands in report["overturned"].items()
        for band, s in bands.items()
    }
    columns = {
        "number": "{pictures}",
        "the score crosses the middle": "{flipped by a mild delivery:%}",
    }
    words = (
        "An answer that most of four mild copies change is shown as inconclusive. These tables are "
        "by an earlier rule, by which one copy on the threshold's other side was enough. The "
        "second table is of the app's check, which takes fewer windows: of its "
        f"answers {percent(app['fewer windows']['same band'])} are those of all windows."
    )
    tables = [
        tabulate(
            "pictures: answer", rows, {"before": "{as it is:%}", "after": "{after the check:%}"}
        ),
        tabulate(
            "pictures",
            app["pictures"],
            columns | {"inconclusive in the end": "{bands after[inconclusive]:%}"},
        ),
    ]
    return Told(words, tables)


@_section("What is an answer worth that re-encoded copies change?", "copies")
def unstable_answers(read: Reports) -> Told:
    """Return how often answers are right that re-encoded copies change."""
    report = read("copies")
    rows = report["by changed copies"]
    most = [row for copies, row in rows.items() if int(copies) > 2]
    answers, right = (sum(row[name] for row in most) for name in ("answers", "right"))
    low, high = wilson(right, answers)
    words = (
        "Of four mild copies (JPEG 90 and 70, WebP 80, three quarters of the size), so many get "
        "another answer. The detector has learned from these pictures' owners, so that the shares "
        "are upper bounds. Where most copies change it, the answer is inconclusive: "
        f"{right} of {answers} such answers were right (95 %: {percent(low)} to {percent(high)}), "
        "and it would have stayed with over 90 %. "
        "`python -m benchmarks stability`"
    )
    table_rows = {
        f"{copies} of 4": row | {"share": row["right"] / row["answers"]}
        for copies, row in rows.items()
    }
    columns = {
        "answers": "{answers}",
        "right": "{right} ({share:%})",
        "the score crosses the middle": "{crossed}",
    }
    return Told(words, [tabulate("copies with another answer", table_rows, columns)])


@_section("Does it go by the file, the shape or the subject?", "controls")
def shortcuts(read: Reports) -> Told:
    """Return what judges reach that know the file, its shape or the content alone."""
    report, other = read("controls"), read("peer")
    judges = {n: r for n, r in report.items() if isinstance(r, dict) and "alike" in r} | {
        other["name"]: other["auc"]
    }
    alike = report["content held fixed, broad"]
    count = min(other["pictures"].values())
    words = (
        "Judges that know only the file, its shape or a thumbnail: where one is far above 0.5, "
        "the test leaks that knowledge. The detector is not given width, height or aspect. Among "
        f"pictures of `broad` whose content scores alike it reaches {alike['this detector']:.3f}, "
        f"content alone {alike['content alone']:.3f}. Last is a detector that can be installed, on "
        f"{count} pictures of each set. {NO_SCORES}"
    )
    return Told(words, [by_set("AUC", judges)])


@_section("Does the map find edits?", "splices")
def maps(read: Reports) -> Told:
    """Return how well the maps find pasted parts and real edits."""
    splices, real = read("splices"), read("edits")["auc"]["a region"]
    parts = splices["auc"] | {f"causal, {n}": r for n, r in splices["controls"].items()}
    rows = {
        n: {"p": parts.get(n, {}), "r": real.get(n, {})} for n in dict.fromkeys([*parts, *real])
    }
    columns = {"AUC, pasted parts": "{p[mean]:.3f}", "pictures": "{p[n]}"}
    columns |= {"AUC, real edits (95 %)": "{r[mean]:.3f} ({r[interval]:ci})", "edits": "{r[n]}"}
    words = (
        f"A generated part was pasted into {splices['splices']:,} photographs. Of one spot inside "
        "and one outside, the causal map ranks the inner one higher in "
        f"{100 * parts['causal']['mean']:.0f} of 100 pairs, a blob in the middle in "
        f"{100 * parts[BLOB]['mean']:.0f}; on {real['causal']['n']} real edits in "
        f"{100 * real['causal']['mean']:.0f} and {100 * real[BLOB]['mean']:.0f}. A map is no "
        "outline of what was changed. For a photograph pasted into a photograph 0.5 is right, "
        "into a generated picture 0. This AUC is of spots of a picture, not of pictures, to which "
        "alone TPR at 1 % FPR belongs."
    )
    return Told(words, [tabulate("map", rows, columns)])


@_section("What does it do to drawings and night shots?", "cautions")
def weak_spots(read: Reports) -> Told:
    """Return how drawings, pages, dark and night pictures are judged."""
    report, night = read("cautions"), read("detection")["groups"]["hard"]["night"]
    alarms = report["raised on real, whole pictures"]
    ends = [r for n, r in report["recognised"].items() if n.endswith(("PNG", "JPEG 50"))]
    misses = sum(round(r["pictures"] * (1 - r["recognised"])) for r in ends)
    words = (
        "Drawings, pages and graphics get a caution or no answer: of "
        f"{sum(r['pictures'] for r in ends)} made charts, pages of text and flat graphics, as PNG "
        f"and JPEG 50, {misses} are not recognised. {report['note']} Of {alarms['pictures']:,} "
        f"real pictures {percent(alarms['dark'])} are called dark. Of {night['pictures']} test "
        f"photographs taken at night, {percent(night['accused'])} are called likely generated, "
        f"{percent(night['inconclusive'])} inconclusive."
    )
    return Told(words)


@_section("Does it find what differs between two copies?", "compare")
def compared_copies(read: Reports) -> Told:
    """Return how often the comparison recognises a copy, and finds an edit of one."""
    report, inside = read("compare"), read("inside")
    rows = {f"copies, {n}": r for n, r in report["copies"].items()}
    rows |= {f"edits by hand: {n}": r for n, r in report["edits"].items() if "faint" not in n}
    rows |= {f"real edits, `{s}`": r["all"] for s, r in report["real_edits"].items()} | report[
        "others"
    ]
    columns = {
        "number": "{n}",
        "same picture": "{answers[same picture]}",
        "a part framed": "{flagged:%}",
    }
    words = (
        f"{100 * report['same_picture']:.1f} % of copies are called the same picture, and of edits "
        f"by hand that are not faint {100 * report['edits_found']:.1f} % are framed. In "
        f"screenshots {percent(inside['found'])} of {inside['pictures']} pictures are found, and "
        f"{percent(inside['false'])} of the boxes are false."
    )
    table = tabulate("pairs", rows, columns | {"IoU where it is": "{iou_where_found:.2f}"})
    return Told(words, [table])


@_section("Both heads", "heads")
def heads(read: Reports) -> Told:
    """Return both heads side by side: AUC, errors, and what they cost."""
    report = read("heads")
    names = "linear", "causal"
    rows = {
        f"`{s}`": {head: report[head][s] for head in names}
        for s in ordered(report["linear"]["sets"])
    }
    cells = {
        "AUC": "auc]:.3f",
        "TPR at 1 % FPR": "tpr_at_1_fpr]:.3f",
        "real accused": "bands][likely generated][real]:%",
        "generated let pass": "bands][likely not generated][generated]:%",
        "real inconclusive": "bands][inconclusive][real]:%",
        "generated inconclusive": "bands][inconclusive][generated]:%",
    }
    columns = {"pictures": "{linear[pictures]:,}"}
    columns |= {
        name: ", ".join(f"{{{head}[{cell}}}" for head in names) for name, cell in cells.items()
    }
    words = (
        "The same pictures for both; in each cell the linear head, then the causal one. Scores are "
        "of float32, so TPR is another than above where that is of int8. A verdict "
        f"by the causal head takes {report['times']:.2f} times the processor time of the linear "
        f"one's, and {report['more_mb']} MB more."
    )
    return Told(words, [tabulate("set", rows, columns)])


@_section("What is a picture's own mask worth?", "masks")
def masks(read: Reports) -> Told:
    """Return the verdict under other masks, and what both halves share."""
    # 1. The verdict under each mask
    report = read("masks")
    titles = {"mean": "the mean mask", "other": "another picture's", "none": "none"}
    columns = {"pictures (owners)": "{pictures:,} ({owners})", "its own": "{own[value]:.3f}"}
    for mask, title in titles.items():
        columns[title] = f"{{{mask}[value]:.3f}}"
    for mask, title in titles.items():
        name = f"own - {mask}"
        columns[f"own less {title}"] = f"{{{name}[value]:+.3f}} ({{{name}[interval]:ci}})"
    rows = {named(s): report["worth"][s] for s in ordered(report["worth"])}
    worth = tabulate("AUC under", rows, columns, "The causal head's verdict under four masks")

    columns = {
        title: f"{{{mask} at 1 %[value]:.3f}} ({{{mask} at 1 %[interval]:ci}})"
        for mask, title in ({"own": "its own"} | titles).items()
    }
    found = tabulate("TPR at 1 % FPR (95 %) under", rows, columns)

    # 2. What both halves share
    halves = {
        f"{head}, {view_type}": report["dependence"][head][view_type]
        for head in ("linear", "causal")
        for view_type in ("whole", "window")
    }
    shares = tabulate(
        "head, view",
        halves,
        {
            "nHSIC": "{nhsic:.2f}",
            "inside a class": "{within:.2f}",
            "permuted": "{permuted:z.3f} ± {spread:.3f}",
            "pictures": "{pictures:,}",
        },
        "What passes and what is held back share (unbiased nHSIC, 0 is independent)",
    )

    # 3. The words
    all_sets = report["worth"]["all"]
    parts = [
        f"{all_sets[f'own - {mask}']['value']:+.3f} against {title} "
        f"({_interval(all_sets[f'own - {mask}'])})"
        for mask, title in titles.items()
    ]
    words = (
        "A verdict by the causal head is taken again under the mean mask of all pictures, under "
        "another picture's (mean of 20 draws) and under none. On all packed test pictures the "
        f"picture's own mask is worth, in AUC: {', '.join(parts)}; 95 % intervals over "
        f"{all_sets['owners']} owners. An interval that holds 0 shows no gain."
    )
    return Told(words, [worth, found, shares])


def _interval(row: Report) -> str:
    low, high = row["interval"]
    return f"{low:+.3f} to {high:+.3f}"


@_section("What does each piece of the method add?", "ablation")
def ablation(read: Reports) -> Told:
    """Return what each piece of the method adds, learned from Stable Diffusion alone."""
    # 1. A table for each input: what is gained over a ridge, and the curve over steps
    report = read("ablation")
    tables = []
    for name, rows in report["tables"].items():
        cells = {
            row["name"]: {
                **row,
                **{m: _in_points(row[m]) for m in ("accuracy", "ap")},
                "curve": " / ".join(f"{100 * at['accuracy']:.1f}" for at in row["curve"]),
                "open": f"{row['open']:.2f}" if row["open"] < 1 else "",
            }
            for row in rows
        }
        columns = {
            "accuracy at 0.5": "{accuracy[value]}",
            "against the ridge": "{accuracy[gain]}",
            "AP": "{ap[value]}",
            "AP against the ridge": "{ap[gain]}",
            f"accuracy after {' / '.join(map(str, report['steps']))} steps": "{curve}",
            "mask open": "{open}",
        }
        tables.append(tabulate("head", cells, columns, f"On {NAMED_INPUTS[name]}"))

    # 2. The words
    learned, judged = report["learned"], report["judged"]
    words = (
        f"Learned from {learned['generated']} pictures of Stable Diffusion 1, 2 and XL and "
        f"{learned['real']} real ones; judged on {judged['generated']} of {judged['families']} "
        f"other families and {judged['real']} real ones, of {judged['owners']} owners, of whom "
        f"{report['owners_of_both']} have other pictures among those learned from. Equal steps "
        f"(batches of {report['batch']}), random starts, five seeds; rate and weight decay chosen "
        "for each head, from four settings, on other families of `train`. The ridge is solved in "
        "closed form. In points, with 95 % intervals by owner; the accuracy is the mean of both "
        "classes'. A head whose accuracy still rises with the steps has not converged. The paper "
        "reports +6.83 points of accuracy and +4.06 of AP."
    )
    return Told(words, tables)


def _in_points(measure: dict[str, Any]) -> dict[str, str]:
    """Return a measure and its gain in points, each with its interval."""
    value, gain = 100 * measure["mean"], 100 * measure["gain"]
    low, high = (100 * end for end in measure["interval"])
    worst, best = (100 * end for end in measure["gain_interval"])
    return {
        "value": f"{value:.1f} ({low:.1f} to {high:.1f})",
        "gain": f"{gain:+.1f} ({worst:+.1f} to {best:+.1f})" if best != worst else "",
    }


@_section("Does a threshold from your pictures keep its bound?", "calibration")
def calibrated_threshold(read: Reports) -> Told:
    """Return how often a threshold from one's own real pictures keeps its bound."""
    report = read("calibration")
    rows = {
        f"{r['split']}, at most {percent(r['at_most'])}": r
        for r in report["draws"]
        if "within_promise" in r
    }
    draws = max(row["draws"] for row in rows.values())
    columns = {
        "kept by its own threshold": "{within_promise:%}",
        "by chance alone": "{expected_beta_binomial:%}",
    }
    columns |= {"kept in use": "{within_promise_in_use:%}", "highest rate": "{highest_rate:%}"}
    words = (
        f"The {report['pictures']:,} real test pictures were split {draws:,} times: one half sets "
        "a threshold, the other is judged by it. The first rows split every owner's pictures, so "
        "that both halves are alike; the others split owners. In use, the stricter of this "
        "threshold and the detector's own counts."
    )
    table = tabulate("split by, bound on false alarms", rows, columns)
    return Told(words, [table])


@_section("Learned from Stable Diffusion alone, what of other series?", "series")
def series(read: Reports) -> Told:
    """Return how methods that learned from Stable Diffusion judge other series of generators."""
    # 1. A row for each series, in per cent
    report = read("series")
    train, test = report["learned"], report["judged"]
    methods = report["methods"]
    measures = "accuracy", "best_accuracy", "ap"

    def cells(row: dict[str, Any]) -> str:
        return " / ".join(f"{100 * row[name]:.1f}" for name in measures)

    names = sorted(next(iter(methods.values())), key=lambda name: (name == "mean", name.lower()))
    rows = {
        name: {
            "generated": next(iter(methods.values()))[name]["generated"],
            **{method: cells(values[name]) for method, values in methods.items()},
        }
        for name in names
    }

    # 2. What it would give to call everything real
    always = fmean(
        test["real"] / (test["real"] + row["generated"])
        for name, row in rows.items()
        if name != "mean"
    )

    # 3. The words
    words = (
        f"CausalCLIP's experiment: each method learned from {train['generated']} pictures of "
        f"{train['generators']} generators of Stable Diffusion's line and {train['real']} "
        f"photographs of {train['owners']} owners, and judges other series against "
        f"{test['real']} photographs of {test['owners']} other owners; all are re-encoded "
        "alike, one square of each is seen. In per cent: accuracy at 0.5, accuracy at the best "
        "threshold (chosen on the very pictures), AP; seeds where a method draws: "
        f"{report['seeds']}. These are originals that could still be had: few, and without the "
        "windows that the shipped detector also looks at. To call everything real gives an "
        f"accuracy of {100 * always:.1f} and an AP of {100 * (1 - always):.1f} on average: most "
        "accuracies here are next to nothing; the order of methods is not settled by so few."
    )

    # 4. The table
    columns = {"generated": "{generated}"} | {name: "{" + name + "}" for name in methods}
    return Told(words, [tabulate("series", rows, columns)])


@_section("What do your own pictures of both kinds gain?", "fewshot")
def fewshot(read: Reports) -> Told:
    """Return what a private head gains that learned from some of an owner's own pictures."""
    # 1. A row for each owner and number of pictures
    report = read("fewshot")
    rows = {
        f"owner {number}, {count} + {count}": counts[count]
        for count in ("5", "10", "15", "20")
        for number, counts in enumerate(report["owners"].values(), 1)
        if count in counts
    }

    # 2. What ten of each gain
    ten = [counts["10"] for counts in report["owners"].values() if "10" in counts]
    gains = [counts["chosen"]["mean"] - counts["shipped"]["mean"] for counts in ten]
    gain, lowest = fmean(gains), min(gains)
    shortfall = " where the aim was 0.04" if gain < 0.04 else ""
    room = fmean(1 - counts["shipped"]["mean"] for counts in ten)

    # 3. The words
    words = (
        f"AUC on an owner's other pictures, mean of {report['draws']} draws of so many real and "
        "generated ones that teach a "
        "[private head](using.md#your-own-pictures-as-the-reference-set). These are all owners "
        "of `test` who show ten of each and leave one to judge. It is used where the "
        "pictures that teach, left out in pairs, are 90 % sure of a gain. With 10 + "
        f"10, AUC grows by {gain:.3f} on average{shortfall}; {room:.3f} were left to gain, and the "
        f"owner who fares worst gets {lowest:+.3f}. Strength and rule were chosen on ten owners of "
        "`train`: there, 10 + 10 gain 0.038 of 0.044 as used, no owner loses more than 0.003, and "
        "where features say nothing of the label the rule costs 0.001 to 0.008 ([what else was "
        "tried](tried.md#detection)). `test` was looked at with two earlier rules, too (0.005 and "
        "0.018); none of the three was chosen by it. The second table: what the owner's other "
        "pictures are answered, shipped and as used, before the check of stability. No TPR at 1 % "
        "FPR stands beside: an owner has too few real pictures for it."
    )

    # 4. The tables: AUC, and the answers
    columns = {
        "shipped": "{shipped[mean]:.3f}",
        "correction alone": "{alone[mean]:.3f}",
        "both": "{both[mean]:.3f}",
        "both, worst draw": "{both[worst]:.3f}",
        "as used": "{chosen[mean]:.3f}",
        "used in": "{used:%}",
    }
    answers = {name: row["answers"] for name, row in rows.items() if "10 + 10" in name}
    mean = {
        way: {
            answer: fmean(shares[way][answer] for shares in answers.values())
            for answer in ("found", "missed", "accused", "cleared")
        }
        for way in ("shipped", "chosen")
    }
    answer_columns = {
        title: f"{{shipped[{answer}]:%}} / {{chosen[{answer}]:%}}"
        for title, answer in (
            ("generated: likely generated", "found"),
            ("generated: likely not", "missed"),
            ("real: likely generated", "accused"),
            ("real: likely not", "cleared"),
        )
    }
    tables = [
        tabulate("owner, pictures that teach", rows, columns),
        tabulate("shipped / as used", answers | {"mean": mean}, answer_columns),
    ]
    return Told(words, tables)


@_section("What comes out on the sample?", "sample")
def sample(read: Reports) -> Told:
    """Return what comes out on the pictures that anybody may have."""
    report, test = read("sample"), read("detection")
    clear = test["clear_licence"]
    rows = {
        f"the sample ({report['owners']} owners)": report,
        f"all of `test` with clear licences ({clear['owners']} owners)": clear,
    }
    columns = {"number": "{pictures:,}", "AUC (95 %)": "{auc:.3f} ({auc_interval:ci})"}
    columns |= {
        f"{kind}: likely generated": f"{{bands[likely generated][{kind}]:%}}"
        for kind in ("real", "generated")
    }
    words = (
        "Pictures that anybody may have (`python -m training data collect --sample`): another "
        f"mixture of sets than `test`. {NO_SCORES}"
    )
    table = tabulate("pictures of", rows, columns)
    return Told(words, [table])


@_section("What does purification keep under attack?", "purification")
def purification(read: Reports) -> Told:
    """Return how many answers each defence keeps under each attack."""
    report = read("purification")
    cells = {(cell["row"], cell["column"]): cell for cell in report["cells"]}
    accuracy = percent(cells["no defence", "clean"]["accuracy"])
    words = (
        "How often a vision-language model answers behind a defence as it does for the clean "
        f"picture, and how often correctly: of clean pictures, it is right about {accuracy}. "
        "Counted in correct answers, the whole purifier is not shown to be better than JPEG of "
        "quality 10, nor than the whole with an unsupervised denoiser in the network's place. "
        "Alone, the network keeps more answers than the unsupervised denoiser alone, and more of "
        "the picture (PSNR, SSIM); but it learned longer, and CLIP guided it. "
        "Against an attacker who knows the purifier few answers stay, and no more are shown to "
        "stay than behind JPEG 10. JPEG has no gradient, so its "
        "attacker goes around it, which is weaker. Rows with “adapted encoder” are what the Purify "
        "tab shows; “ungated” purifies every picture, by a quantisation that is drawn anew. A "
        "purifier leaves traces of its own: "
        f"judge the file that you were given, not the purified one. {report.get('note', '')}"
    ).strip()
    captions = _if_measured(read, "captions")
    tables = defence_tables(report, read("victim"))
    return Told(words, [*tables, captions_table(captions)] if captions else tables)


def _if_measured(read: Reports, name: str) -> Any:
    """Return a benchmark's JSON, None where it has not run."""
    try:
        return read(name)
    except FileNotFoundError:
        return None


@_section("Does it notice that a picture was attacked?", "attacked")
def attacked_pictures(read: Reports) -> Told:
    """Return how often attacks on the detector are noticed, and the verdicts before and after."""
    report = read("attacked")
    shipped, cheap = report["shipped"], report["statistics"]
    words = (
        f"{report['attacked']} pictures of `test`, half of them generated, each of another owner "
        "and on the right side of the middle, attacked on the detector and saved as PNG and as "
        "JPEG 90. Check names no attack. By PGD, APGD and MI-FGSM every generated picture becomes "
        "likely not generated, and every real one gets no answer, as it passes for no photograph; "
        "a patch makes two of four real ones likely generated. Purify's attack detector "
        f"notices most, but takes {shipped['false alarms']} of {shipped['pictures']:,} clean "
        f"pictures for attacked and {shipped['seconds']:.1f} processor seconds a picture; on every "
        "upload, 1 in 1,000 and 0.3 seconds were the most. A detector by its network's 27 "
        f"statistics alone takes {cheap['seconds']:.2f} seconds. With {cheap['false alarms']} "
        f"false alarms on {report['pictures']:,} clean pictures it misses nearly "
        "all, although it has learned from these attacks on other pictures. So neither runs on "
        "uploads. Purified, few verdicts are right again ([what was tried](tried.md#detection))."
    )
    columns = {
        "files": "{n}",
        "noticed by statistics": "{noticed by statistics}",
        "noticed by Purify's detector": "{noticed by the shipped one}",
        "more suspect to it than every clean picture": "{above every clean picture}",
        "before: right, wrong, no answer": "{before[right]}, {before[wrong]}, {before[no answer]}",
        "attacked": "{attacked[right]}, {attacked[wrong]}, {attacked[no answer]}",
        "purified": "{purified[right]}, {purified[wrong]}, {purified[no answer]}",
    }
    rows = {f"{row['attack']}, as {row['saved']}": row for row in report["attacks"]}
    return Told(words, [tabulate("attack", rows, columns)])


@_section("Which marks of generators does it find?", "marks")
def marks(read: Reports) -> Told:
    """Return how many marked files each reader of marks finds, and how many it marks wrongly."""
    # 1. The words, on what was looked at once
    report = read("marks")
    parts = {
        "looked at once": "owners that were looked at once, when everything was built",
        "first": "owners held out since the first round, of 2026-11-30",
        "built on": "owners whose files the readers were built on",
    }
    once = [row for row in report["marks"] if row["part"] == "looked at once"]
    count = sum(row["seen"] for row in once)
    words = (
        f"Of {count} marked files of owners that were looked at once, "
        f"{sum(row['headlined'] for row in once)} are headlined by their mark and "
        f"{sum(row['found'] for row in once)} name its generator, where the file does; when they "
        f"were looked at, {report['first look']['named']} did. Google's credentials name no "
        "program, and what they say in words, “Created by Google Generative AI”, was not read "
        "then; some say it of an earlier version alone, and are named by their signer, Google LLC. "
        f"{report['missing']} files of the table could not be had this time. "
        f"{_of_false_marks(report['real pictures'])}{_of_stars(read('stars'))}"
    )

    # 2. A table of each part, and one of the search
    columns = {
        "owners": "{owners}",
        "files": "{seen}",
        "headlined": "{headlined}",
        "named": "{found}",
        "1,280 px, quality 80": "{1,280 px, quality 80}",
        "800 px, quality 70": "{800 px, quality 70}",
    }
    tables = []
    for part, title in parts.items():
        rows = {
            f"{row['generator']}, {row['kind']}": row
            for row in report["marks"]
            if row["part"] == part
        }
        if rows:
            tables.append(tabulate("mark", rows, columns, title))
    times = {
        "{megapixels:g} megapixels ({size[0]:,} x {size[1]:,})".format(**row): row
        for row in report["search"]["rows"]
    }
    title = f"the search for marks on pixels, on {report['search']['processor']}"
    tables.append(tabulate("picture", times, {"processor ms": "{ms:,}"}, title))
    return Told(words, [*tables, _false_marks(report["real pictures"])])


def _false_marks(searches: Sequence[dict[str, Any]]) -> Table:
    """Return on how many real pictures each mark was found by mistake, a column a search."""
    columns = {
        f"of {search['searched']:,} of {search['owners']} owners, {search['date']}": (
            f"{{{search['date']}}}"
        )
        for search in searches
    }
    names = sorted({name for search in searches for name in search["by mark"]})
    rows = {
        name: {search["date"]: search["by mark"].get(name, "not searched") for search in searches}
        for name in names
    }
    return tabulate("on pixels", rows, columns, "real pictures that bear a mark by mistake")


def _of_false_marks(searches: Sequence[dict[str, Any]]) -> str:
    """Return how many real pictures bear a mark by mistake, and how many more may."""
    real = max(searches, key=lambda search: search["searched"])
    return (
        f"On {real['searched']:,} real pictures of {real['owners']:,} owners, searched on "
        f"{real['date']}, {len(real['marked'])} visible or invisible marks are found by mistake: "
        f"with 95 % confidence, on at most {1e4 * real['at most']:.1f} of 10,000 (to show that it "
        "is one takes 30,000 pictures). Marks in metadata are not counted there: they helped to "
        "sort the pictures."
    )


def _of_stars(score: dict[str, Any]) -> str:
    """Return whether the detector has learned from Gemini's star."""
    over = score["painted over"]
    other = score["another corner painted over"]
    stars = score["pasted on photographs"]
    return (
        f" Pasted on {stars['pictures']} photographs, the star moves the detector's probability "
        f"by {stars['mean change']:+.3f} on average and changes {stars['answers that change']} "
        f"answers; painted over in {over['pictures']} pictures that bear it, by "
        f"{over['mean change']:+.3f} and {over['answers that change']} (another corner: "
        f"{other['mean change']:+.3f} and {other['answers that change']})."
    )


@_section("What does it say of C2PA's test images?", "signatures")
def signatures(read: Reports) -> Told:
    """Return what C2PA's own reader and what the program say of each image."""
    report = read("signatures")
    words = (
        f"All {report['images']} images of `c2pa-org/public-testfiles` at {report['commit'][:7]}, "
        f"by C2PA's trust list of {report['trust list']}. *Valid* is what its reader calls a "
        "signature that fits, by whomever; *Trusted* is one by a signer on the list. Of "
        f"{report['more']} images the program says more than the reader. *Changed after signing* "
        "stands only where a code means it."
    )
    columns = {
        "C2PA's reader": "{reader}",
        "its codes": "{codes}",
        "here": "{ours}",
        "in words": "{reasons}",
    }
    rows = {row["image"]: row | {"codes": ", ".join(row["codes"])} for row in report["rows"]}
    return Told(words, [tabulate("image", rows, columns)])


@_section("What does it say of pictures that messengers passed on?", "forwarded")
def forwarded(read: Reports) -> Told:
    """Return what is said of photographs that apps saved, and of generated pictures saved alike."""
    # 1. The words
    report = read("forwarded")
    every, dropped, generated = report["all"], report["dropped"], report["generated"]
    accused = every["answers"]["likely generated"]
    low, high = (100 * end for end in every["interval"])
    shares = [row["answers"]["likely generated"] / row["pictures"] for row in generated.values()]
    app = next(iter(generated.values()))
    words = (
        f"{every['pictures']} real photographs of {every['owners']} owners as WhatsApp, Telegram "
        "and Facebook saved them before 2022, by the file's own name; some were made smaller or "
        f"edited for the sites they are on. {accused} photographs of {every['owners accused']} "
        f"owners are called generated: {100 * accused / every['pictures']:.1f} % (Wilson's 95 %: "
        f"{low:.1f} to {high:.1f} %, as if the pictures of an owner were independent, which they "
        f"are not). Of {report['seen']['pictures']} files of {report['seen']['owners']} owners, at "
        "most 24 an owner, those were dropped at sight, without knowing an answer, that are "
        f"screenshots ({dropped['screenshot']}), logos, diagrams, cartoons and renderings "
        f"({dropped['drawn']}), or collages, lettered, framed or cut out ({dropped['composed']}); "
        "photographs of screens and of paper are in, stock photographs too. Of Telegram and "
        "Facebook there are few, so that their rates are loose. Facebook's is the highest; the "
        "way it saves and what is shared there are not told apart by this. What is accused, by "
        "any app, is polished work of advertising, the press or stock (two cars, a coffee, a lit "
        "hall of servers, bowls of lentils); no snapshot of a phone is.\n\n"
        f"The same {app['pictures']} generated test pictures of "
        f"{app['owners']} owners went through each app: each got the long side (none was "
        "enlarged), the JPEG tables, the subsampling and the order of scans of one of the app's "
        "photographs above, drawn by lot. The apps' own programs were not run, and a picture is "
        f"passed on once. {100 * min(shares):.0f} to {100 * max(shares):.0f} % are called "
        "generated. The two sides show other things, most of the generated pictures being "
        "illustrations of sites: AUC here is no measure of like content. A forest that may learn "
        "from the same owners' files is told the JPEG's coding, its long side or its shape alone: "
        "coding tells nothing; size and above all shape, as generators like squares, tell the "
        "sides apart in part. The detector is given neither."
    )

    # 2. The answers
    columns = {
        "pictures": "{pictures}",
        "owners": "{owners}",
        "called generated": "{answers[likely generated]}",
        "95 %": "{interval:ci}",
        "inconclusive": "{answers[inconclusive]}",
        "not generated": "{answers[likely not generated]}",
        "no answer": "{answers[no answer]}",
    }
    sides = {f"real, {app}": row for app, row in report["apps"].items()} | {"real, all": every}
    sides |= {f"generated, {app}": row for app, row in generated.items()}
    answered = tabulate("saved by", sides, columns)

    # 3. How the sides rank, beside what a file tells
    columns = {
        "AUC (95 %)": "{auc:.3f} ({auc_interval:ci})",
        "TPR at 1 % FPR (95 %)": "{tpr_at_1_fpr:.3f} ({tpr_at_1_fpr_interval:ci})",
        "by coding": "{controls[coding]:.3f}",
        "by size": "{controls[size]:.3f}",
        "by both": "{controls[coding and size]:.3f}",
        "by shape": "{controls[shape]:.3f}",
    }
    ranked = tabulate("saved by", report["ranking"], columns)
    return Told(words, [answered, ranked])


@_section("How fast is it, how much memory does it take?", "latency")
def speed(read: Reports) -> Told:
    """Return seconds and memory of detection and purification, and how the app bears a load."""
    # 1. The rows
    latest, memory, load = read("latency")[0], read("memory"), read("load")
    rows = latest["rows"] | {
        "purification, {width:,} x {height:,}".format(**r): r for r in latest["purification"]
    }
    columns = {
        "runtime": "{dtype}",
        "seconds, warm": "{warm:.2f}",
        "processor seconds": "{cpu:.2f}",
        "stability check, s": "{stability:.2f}",
        "whole process, s": "{process:.1f}",
        "peak MB": "{peak_mb:,.0f}",
    }
    steps = {
        row["after"]: {name: sizes[i] for name, sizes in memory["runtimes"].items()}
        for i, row in enumerate(memory["runtimes"]["int8"])
    }

    # 2. The words
    cpu = latest["processor"]
    outcomes = ", ".join(f"{n:,} {what}" for what, n in load["outcomes"].items())
    words = (
        f"On {cpu['name']}, {cpu['cores']} cores ({', '.join(cpu['flags'])}): a 1,024 x 768 JPEG "
        f"from file to drawn map. The app is ready {latest['app_ready']:.1f} s after its start. "
        f"{load['clients']} clients at once for {load['minutes']:g} minutes: {outcomes}; 95 % of "
        f"the answers within {load['p95_s']:.0f} s, {load['peak_mb']:,} MB at most, and memory "
        f"grew by {100 * load['growth']:+.0f} %."
    )

    # 3. The tables
    each = {name: f"{{{name}[mb]:,}}" for name in memory["runtimes"]}
    tables = [tabulate("work", rows, columns)]
    tables.append(tabulate("after", steps, each, "resident memory in MB"))
    return Told(words, tables)
