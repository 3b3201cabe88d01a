"""What Accuracy says: a reader's questions, each with a sentence and a chart or a small table.

Every number is of a benchmark's file. All of them, in English, are in docs/measured.md.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from causalclip.intervals import wilson
from causalclip.languages import N_, _, current, day, decimal, in_turn, number, percent, speaking
from causalclip.paths import detector_folder, shipped_folder
from ui.fields import PRIVATE
from ui.tabs.charts import (
    Axis,
    Mark,
    Series,
    bar,
    fall,
    key,
    marks,
    plot,
    stack,
    stack_legend,
    table,
)

log = logging.getLogger(__name__)

Reports = Callable[[str], Any]  # a benchmark's name -> its JSON
# of a question: its title, the benchmark that has to be there, and the function that answers it
Question = tuple[str, str, Callable[[Reports], str]]
BENCHMARKS = shipped_folder("benchmarks")
NOT_MEASURED = N_("Not measured yet for this model.")
OTHER_VERSION = N_("This was measured by another version. Run the benchmark again.")
UNKNOWN = (
    N_("Generators newer than the test: on these, such detectors get worse."),
    N_("Pictures by people who set out to fool it."),
    N_("Whether a picture is true."),
)
BANDS = {
    "likely not generated": N_("likely not generated"),
    "inconclusive": N_("inconclusive"),
    "likely generated": N_("likely generated"),
    "no answer": N_("no answer"),
}
SETS = {
    "broad": N_("many generators"),
    "alike": N_("content alike"),
    "fresh": N_("newer, alike"),
    "sites": N_("sites by lot"),
    "edits": N_("edited parts"),
    "all": N_("all"),
}
CHANGES = {
    "as it is": N_("as it is"),
    "JPEG 50": "JPEG 50",
    "0.5x": N_("half the size"),
    "crop 75 %": N_("cropped to 75%"),
    "a social network's copy": N_("a social network's copy"),
}
ATTACK_COLUMNS = {
    "clean": N_("no attack"),
    "PGD 8/255": "PGD, 8/255",
    "APGD 8/255": "APGD, 8/255",
    "full-gradient APGD 4/255": N_("attacker knows the purifier"),
}
BLOB = "bright in the middle, whatever is there"
PURIFIED = "ours, 1 step, adapted encoder"
NETWORK = {"ours without the network": N_("no network"), "the network alone": N_("network alone")}
FEW = 10  # pictures of a generator that say something
SCORE_RANGES = 5  # of scores


def whole_percent(share: float) -> str:
    """Return a share in whole percent; one that is not 0 or 1 is not shown as if it were."""
    if 0 < share < 0.005:
        return _("under {least}", least=percent(0.01))
    return _("over {most}", most=percent(0.99)) if 0.995 < share < 1 else percent(share)


def of_100(share: float) -> str:
    """Return a share as a number of pictures of 100."""
    return _("fewer than 1") if 0 < share < 0.005 else number(round(100 * share))


def share_of(share: float, pictures: int) -> str:
    """Return a share and of how many pictures it is."""
    return _("{share} of {pictures}", share=whole_percent(share), pictures=number(pictures))


def score_chart(load_report: Reports) -> str:
    """Return the headline, and a chart of where real and generated pictures fall, as HTML.

    It also says when the numbers were measured, and with which detector.
    """
    test = load_report("detection")
    # 1. In words.
    called_shares = {name: test[name]["bands"]["likely generated"] for name in test["sets"]}
    words = _(
        "{pictures} test pictures, of generators and sites that it has not learned from. Of 100 "
        "generated ones, {called} are called likely generated: {sites} where sites were drawn by "
        "lot, {broad} where generators are many, {alike} where content is alike. Of 100 real ones: "
        "{accused}.",
        pictures=number(test["all"]["pictures"]),
        called=of_100(called_shares["all"]["generated"]),
        sites=of_100(called_shares["sites"]["generated"]),
        broad=of_100(called_shares["broad"]["generated"]),
        alike=of_100(called_shares["alike"]["generated"]),
        accused=of_100(called_shares["all"]["real"]),
    )
    # 2. As a chart.
    rows = test["all"]["reliability"]
    counts = {
        _("real"): [row["pictures"] - row["generated"] for row in rows],
        _("generated"): [row["generated"] for row in rows],
    }
    chart = fall(
        _("Scores of real and of generated test pictures"),
        counts,
        Axis(_("score")),
        _bands(test),
        [_(band) for band in list(BANDS.values())[:3]],
    )
    # 3. When, and with which detector.
    stamp = _(
        "Measured with detector {revision} on {date}.",
        revision=escape(test["revision"]),
        date=day(datetime.fromisoformat(test["date"])),
    )
    return _p(words) + chart + f"<p class='cc-small'>{stamp}</p>"


def _bands(test: Any) -> tuple[float, ...]:
    """Return the thresholds (low, high) of the detector that was measured; none where another
    revision of it is here."""
    config = json.loads(
        (detector_folder(test["model"]) / "config.json").read_text(encoding="utf-8")
    )
    if config["revision"] != test["revision"]:
        return ()
    return config["calibration"]["low"], config["calibration"]["high"]


def answers(load_report: Reports) -> str:
    """Return which answers real and generated pictures get, set by set, as HTML."""
    test = load_report("detection")
    rows = []
    for name in _in_page_order(test["sets"])[:-1]:
        generated = sum(row["generated"] for row in test[name]["reliability"])
        pictures = {"real": test[name]["pictures"] - generated, "generated": generated}
        for kind, title in (("real", _("real")), ("generated", _("generated"))):
            shares = [test[name]["bands"].get(band, {}).get(kind, 0.0) for band in BANDS]
            called_words = share_of(shares[2], pictures[kind])
            rows.append([in_turn([_name(SETS, name), title]), stack(shares), called_words])
    bands = stack_legend([_(band) for band in BANDS.values()])
    head = [_("pictures"), _("answers"), _("likely generated")]
    return _p(_("Before the check of copies.")) + table(bands, head, rows)


def pairs(load_report: Reports) -> str:
    """Return the AUC of each set, as HTML."""
    test = load_report("detection")
    rows = []
    for name in _in_page_order(test["sets"]):
        scores = test[name]
        chart = marks(
            [Mark(scores["auc"], "a", _ends(scores["auc_interval"]))], Axis("", 0.4, 1), line=0.5
        )
        higher = decimal(100 * scores["auc"], digits=0)
        rows.append([_name(SETS, name), chart, higher, number(scores["pictures"])])
    words = _(
        "Of 100 pairs of a real and a generated picture, the generated one scores higher in so "
        "many; a coin gets 50."
    )
    head = [_("test pictures"), "", _("of 100 pairs"), _("pictures")]
    return _p(words) + table("", head, rows)


def score_ranges(load_report: Reports) -> str:
    """Return what a score has meant, as HTML: the share of generated pictures by range of scores.

    The pictures are those of the first chart.
    """
    ranges = load_report("detection")["all"]["reliability"]
    each = -(-len(ranges) // SCORE_RANGES)
    rows = []
    for first in range(0, len(ranges), each):
        stretch = ranges[first : first + each]
        pictures, generated = (sum(r[key] for r in stretch) for key in ("pictures", "generated"))
        if not pictures:
            continue
        ends = first / len(ranges), (first + len(stretch)) / len(ranges)
        low, high = (decimal(end, digits=1) for end in ends)
        share = generated / pictures
        chart = bar(share, wilson(generated, pictures))
        rows.append([_("{low} to {high}", low=low, high=high), chart, share_of(share, pictures)])
    pictures, generated = (sum(r[key] for r in ranges) for key in ("pictures", "generated"))
    words = _(
        "Of test pictures with such a score, so many were generated; of all {pictures}, {base}.",
        pictures=number(pictures),
        base=whole_percent(generated / pictures),
    )
    return _p(words) + table("", [_("score"), "", _("generated")], rows)


def generators(load_report: Reports) -> str:
    """Return how many pictures of each generator are called generated, as HTML; generators without
    a name are left out."""
    groups = load_report("detection")["groups"]["generators"]
    rows = [
        [
            escape(name),
            bar(r["called"], wilson(r["called"] * r["pictures"], r["pictures"])),
            share_of(r["called"], r["pictures"]),
        ]
        for name, r in groups.items()
        if r["pictures"] >= FEW and "not stated" not in name and "several" not in name
    ]
    words = _(
        "So many of a generator's pictures are called likely generated; the rest are missed. Not "
        "shown: generators with fewer than {few} pictures.",
        few=FEW,
    )
    return _p(words) + table("", [_("generator"), "", _("likely generated")], rows)


def after_changes(load_report: Reports) -> str:
    """Return the AUC after what happens to pictures on their way, as HTML."""
    report = load_report("robustness")
    aucs = {name: report["auc"][name]["all"] for name in CHANGES if name in report["auc"]}
    rows = [
        [_name(CHANGES, n), marks([Mark(auc)], Axis("", 0.5, 1)), _two(auc)]
        for n, auc in aucs.items()
    ]
    words = _(
        "{pictures} test pictures, changed as messengers and sites change them: the AUC (1 is "
        "perfect, 0.5 a coin).",
        pictures=number(report["drawn"]["travel"]["pictures"]),
    )
    return _p(words) + table("", [_("change"), "", "AUC"], rows)


def maps(load_report: Reports) -> str:
    """Return whether the map finds what was changed in a picture, as HTML."""
    splices = load_report("splices")
    real = load_report("edits")["auc"]["a region"]
    rows = []
    for name, title in (("causal", _("the map")), (BLOB, _("a blob in the middle"))):
        aucs = splices["auc"][name]["mean"], real[name]["mean"]
        chart = marks(
            [Mark(auc, series) for auc, series in zip(aucs, "ab", strict=True)],
            Axis("", 0.4, 1),
            line=0.5,
        )
        rows.append([title, chart, *map(_two, aucs)])
    words = _(
        "No: a blob in the middle finds {pasted} pasted parts and {real} real edits better than "
        "the map (AUC).",
        pasted=number(splices["splices"]),
        real=number(real["causal"]["n"]),
    )
    return _p(words) + table(
        "", ["", "", key("a", _("pasted parts")), key("b", _("real edits"))], rows
    )


def purification(load_report: Reports) -> str:
    """Return how many answers stay the same under attack with the purifier, and how many of them
    are correct, as HTML."""
    cells = {(c["row"], c["column"]): c for c in load_report("purification")["cells"]}
    rows = []
    for column, title in ATTACK_COLUMNS.items():
        without, with_purifier = cells.get(("no defence", column)), cells.get((PURIFIED, column))
        if without and with_purifier:
            chart = bar(with_purifier["agreement"], _ends(with_purifier["agreement_interval"]))
            parts = [cells.get((row, column)) for row in NETWORK]
            shares = [_share_cell(cell) for cell in (with_purifier, *parts, without)]
            questions = _("{n} questions", n=number(with_purifier["n"]))
            rows.append([f"{_(title)}<small>{questions}</small>", chart, *shares])
    words = _(
        "How often the answer about an attacked picture stays the same; below it, how often it is "
        "correct. The model is small, and often wrong without an attack, too."
    )
    head = [_("attack"), "", _("purified"), *map(_, NETWORK.values()), _("as it is")]
    return _p(words) + table("", head, rows)


def _share_cell(cell: Any) -> str:
    """Return the share of answers that stay, over that of correct ones; "" without a cell."""
    if not cell:
        return ""
    return f"{whole_percent(cell['agreement'])}<small>{whole_percent(cell['accuracy'])}</small>"


def generator_marks(load_report: Reports) -> str:
    """Return how many generators are named by their marks, rightly and by mistake, as HTML."""
    report = load_report("marks")
    real = report["real pictures"]
    # The readers changed after the files that were looked at once: what was found then counts.
    once = report["first look"]
    held_out = [row for row in report["marks"] if row["part"] == "first"]
    marked_count = once["seen"] + sum(row["seen"] for row in held_out)
    named_count = once["named"] + sum(row["found"] for row in held_out)
    rows = []
    for title, some, of in (
        (_("marked files of unseen owners: generator named"), named_count, marked_count),
        (_("real pictures: a mark by mistake"), len(real["marked"]), real["searched"]),
    ):
        shares = _("{some} of {all}", some=number(some), all=number(of))
        rows.append([title, bar(some / of, wilson(some, of)), shares])
    return table("", ["", "", ""], rows)


def price(load_report: Reports) -> str:
    """Return what independence of the two halves costs, as HTML: a point of the curve for each
    weight of the losses."""
    # 1. The mean of the runs of each weight, from independent to dependent.
    report = load_report("curve")
    groups: dict[tuple[float, float], list[dict[str, float]]] = {}
    for row in report["rows"]:
        groups.setdefault((row["independence"], row["adversary"]), []).append(row)
    mean: dict[str, list[float]] = {name: [] for name in ("nhsic", "auc", "linear", "mlp", "knn")}
    for runs in sorted(groups.values(), key=lambda g: sum(r["nhsic"] for r in g) / len(g)):
        for name, values in mean.items():
            values.append(sum(row[name] for row in runs) / len(runs))
    # 2. A line for each measure.
    titles = {
        "auc": _("the verdict, by what passes"),
        "mlp": _("a network, by what is held back"),
        "knn": _("15 neighbours, by what is held back"),
        "linear": _("a linear probe, by what is held back"),
    }
    series = [
        Series(title, list(zip(mean["nhsic"], mean[n], strict=True)), dots=True)
        for n, title in titles.items()
    ]
    words = _(
        "The mask parts what the model sees in two. Forced from a dependence of {most} to {least} "
        "(nHSIC; 0 is independent), the verdict's AUC goes from {before} to {after}. {n} pictures "
        "tell it only to within {low} and {high} (95%).",
        most=_two(mean["nhsic"][-1]),
        least=_two(mean["nhsic"][0]),
        before=_two(mean["auc"][-1]),
        after=_two(mean["auc"][0]),
        n=number(report["judged"]["pictures"]),
        low=_two(report["ridge_interval"][0]),
        high=_two(report["ridge_interval"][1]),
    )
    x, y = Axis("nHSIC"), Axis("AUC", 0.5, 1, (0.5, 0.6, 0.7, 0.8, 0.9, 1))
    return _p(words) + plot(words, series, x, y)


QUESTIONS: tuple[Question, ...] = (
    (N_("Which scores do real and generated pictures get?"), "detection", score_chart),
    (N_("What does it answer to real and to generated pictures?"), "detection", answers),
    (N_("How often does the generated one of two score higher?"), "detection", pairs),
    (N_("How many pictures with such a score were generated?"), "detection", score_ranges),
    (N_("How many pictures of each generator does it find?"), "detection", generators),
    (N_("Does it still work after a picture was sent on?"), "robustness", after_changes),
    (N_("Does the map find what was changed?"), "splices", maps),
    (N_("How many answers survive an attack, and are they correct?"), "purification", purification),
    (N_("How often does it name the generator by a mark?"), "marks", generator_marks),
    (N_("What does independence cost?"), "curve", price),
)


def page(folder: Path | None = None) -> str:
    """Return all questions with their answers, as HTML.

    folder: of the benchmarks' files; None for the app's.
    """

    def load_report(name: str) -> Any:
        return json.loads(((folder or BENCHMARKS) / f"{name}.json").read_text(encoding="utf-8"))

    first, *others = (_section(title, make, load_report) for title, _name, make in QUESTIONS)
    unknown = "".join(f"<li>{_(sentence)}</li>" for sentence in UNKNOWN)
    unknown = (
        f"<section><h2>{_('What is not known')}</h2><ul class='cc-notes'>{unknown}</ul></section>"
    )
    top = f"<div class='cc-top'>{first}{unknown}</div>"
    return f"<div class='cc-measured'>{top}<div class='cc-questions'>{''.join(others)}</div></div>"


def _section(title: str, make: Callable[[Reports], str], load_report: Reports) -> str:
    """Return one question with its answer, as HTML; a file that is not there, or has another form,
    costs no other question."""
    try:
        body = make(load_report)
    except FileNotFoundError:
        body = _p(_(NOT_MEASURED))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        log.warning("The answer to %r could not be drawn: %s", title, type(error).__name__)
        body = _p(_(OTHER_VERSION))
    return f"<section><h2>{_(title)}</h2>{body}</section>"


def _in_page_order(sets: list[str]) -> list[str]:
    """Return the sets that the page names, in its order."""
    return [name for name in SETS if name in sets]


def _name(names: dict[str, str], name: str) -> str:
    """Return the words for a name in a report; the name itself where there are none."""
    return escape(_(names[name]) if name in names else name)


def _two(value: float) -> str:
    """Return a number with two decimals."""
    return decimal(value, digits=2)


def _ends(interval: list[float]) -> tuple[float, float]:
    """Return the ends of an interval in a report."""
    low, high = interval
    return low, high


def _p(words: str) -> str:
    """Return a paragraph as HTML."""
    return f"<p>{words}</p>"


def build_measured_tab(tab: gr.Tab) -> gr.HTML:
    """Build the content of `tab` inside the current Blocks; it is made when the tab is opened."""
    content = gr.HTML(f"<p>{_('The measurements are being read.')}</p>", elem_id="measured")
    tab.select(lambda: _page(current()), None, content, queue=False, **PRIVATE)
    return content


@cache
def _page(language: str) -> str:
    """Return `page` in a language; made once."""
    with speaking(language):
        return page()
