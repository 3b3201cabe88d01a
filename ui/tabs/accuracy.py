"""Content of the Accuracy tab: a reader's questions, each with a sentence and a chart or a small
table.

Every number is of assets/measured.json. More of them, in English, are in docs/measured.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from html import escape

import gradio as gr

from causalclip.examination.answer import Origin
from causalclip.intervals import wilson
from causalclip.languages import N_, _, current, day, decimal, in_turn, number, percent, speaking
from causalclip.measured import Measured, Measurement, measured
from causalclip.paths import DEFAULT_HEAD, head_folder
from ui.fields import AT_ONCE
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

# of a question: its title, and the function that answers it as HTML
Question = tuple[str, Callable[[Measured], str]]
TEST = f"detection.{DEFAULT_HEAD}"  # what was measured of the default head, by test set
UNKNOWN = (
    N_("Generators newer than the test: on these, such detectors get worse."),
    N_("Pictures by people who set out to fool it."),
    N_("Whether a picture is true."),
)
BANDS = (
    Origin.LIKELY_NOT_GENERATED,
    Origin.INCONCLUSIVE,
    Origin.LIKELY_GENERATED,
    Origin.NO_ANSWER,
)
CALLED = Origin.LIKELY_GENERATED.value
SETS = {
    "broad": N_("many generators"),
    "alike": N_("content alike"),
    "fresh": N_("newer, alike"),
    "sites": N_("sites by lot"),
    "edits": N_("edited parts"),
    "all": N_("all"),
}
CHANGES = {
    "as-it-is": N_("as it is"),
    "jpeg-50": "JPEG 50",
    "half-size": N_("half the size"),
    "crop": N_("cropped to 75%"),
    "social-copy": N_("a social network's copy"),
}
ATTACKS = {
    "clean": N_("no attack"),
    "pgd-8": "PGD, 8/255",
    "apgd-8": "APGD, 8/255",
    "adaptive-apgd-4": N_("attacker knows the purifier"),
}
NETWORK = {"without-network": N_("no network"), "network-alone": N_("network alone")}
MIN_PICTURES = 10  # pictures of a generator that say something
SCORE_RANGES = 5  # of scores


def _whole_percent(share: float) -> str:
    """Return a share in whole percent; one that is not 0 or 1 is not shown as if it were."""
    if 0 < share < 0.005:
        return _("under {least}", least=percent(0.01))
    return _("over {most}", most=percent(0.99)) if 0.995 < share < 1 else percent(share)


def _of_100(share: float) -> str:
    """Return a share as a number of pictures of 100."""
    return _("fewer than 1") if 0 < share < 0.005 else number(round(100 * share))


def _share_of(share: float, pictures: int) -> str:
    """Return a share and of how many pictures it is."""
    return _("{share} of {pictures}", share=_whole_percent(share), pictures=number(pictures))


def _share_bar(found: Measurement) -> str:
    """Return a measured share as a bar with its 95 % interval, as HTML."""
    pictures = found.n or 0
    return bar(found.value, found.interval or wilson(found.value * pictures, pictures))


def _score_chart(numbers: Measured) -> str:
    """Return the headline, and a chart of where real and generated pictures fall, as HTML.

    It also says when the numbers were measured, and with which detector.
    """
    whole = numbers[f"{TEST}.all.auc"]
    # 1. In words.
    called = {name: numbers.below(f"{TEST}.{name}.{CALLED}") for name in SETS}
    words = _(
        "{pictures} test pictures, of sites that it has not learned from. Of 100 "
        "generated ones, {called} are called likely generated: {sites} where sites were drawn by "
        "lot, {broad} where generators are many, {alike} where content is alike. Of 100 real ones: "
        "{accused}.",
        pictures=number(whole.n or 0),
        called=_of_100(called["all"]["generated"].value),
        sites=_of_100(called["sites"]["generated"].value),
        broad=_of_100(called["broad"]["generated"].value),
        alike=_of_100(called["alike"]["generated"].value),
        accused=_of_100(called["all"]["real"].value),
    )
    # 2. As a chart.
    columns = list(numbers.below(f"{TEST}.all.scores").values())
    counts = {
        _("real"): [(column.n or 0) - column.count for column in columns],
        _("generated"): [column.count for column in columns],
    }
    chart = fall(
        _("Scores of real and of generated test pictures"),
        counts,
        Axis(_("score")),
        _thresholds(whole),
        [_(band.answer.brief) for band in BANDS[:3]],
    )
    # 3. When, and with which detector.
    stamp = _(
        "Measured with detector {revision} on {date}.",
        revision=escape(whole.revision or ""),
        date=day(datetime.fromisoformat(whole.date or "")),
    )
    return _p(words) + chart + f"<p class='cc-small'>{stamp}</p>"


def _thresholds(whole: Measurement) -> tuple[float, ...]:
    """Return the thresholds (low, high) of the detector that was measured; none where another
    revision of it is here."""
    folder = head_folder(DEFAULT_HEAD)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["revision"] != whole.revision:
        return ()
    return config["calibration"]["low"], config["calibration"]["high"]


def answers(numbers: Measured) -> str:
    """Return which answers real and generated pictures get, set by set, as HTML."""
    rows = []
    for name, title in list(SETS.items())[:-1]:
        for kind, kind_title in (("real", _("real")), ("generated", _("generated"))):
            shares = [numbers[f"{TEST}.{name}.{band.value}.{kind}"] for band in BANDS]
            called = numbers[f"{TEST}.{name}.{CALLED}.{kind}"]
            chart = stack([share.value for share in shares])
            words = _share_of(called.value, called.n or 0)
            rows.append([in_turn([_(title), kind_title]), chart, words])
    legend = stack_legend([_(band.answer.brief) for band in BANDS])
    head = [_("pictures"), _("answers"), _("likely generated")]
    return _p(_("Before the check of copies.")) + table(legend, head, rows)


def pairs(numbers: Measured) -> str:
    """Return the AUC of each set, as HTML."""
    rows = []
    for name, title in SETS.items():
        auc = numbers[f"{TEST}.{name}.auc"]
        chart = marks([Mark(auc.value, "a", auc.ends)], Axis("", 0.4, 1), line=0.5)
        rows.append([_(title), chart, decimal(100 * auc.value, digits=0), number(auc.n or 0)])
    words = _(
        "Of 100 pairs of a real and a generated picture, the generated one scores higher in so "
        "many; a coin gets 50."
    )
    head = [_("test pictures"), "", _("of 100 pairs"), _("pictures")]
    return _p(words) + table("", head, rows)


def _score_ranges(numbers: Measured) -> str:
    """Return what a score has meant, as HTML: the share of generated pictures by range of scores.

    The pictures are those of the first chart.
    """
    ranges = list(numbers.below(f"{TEST}.all.scores").values())
    each = -(-len(ranges) // SCORE_RANGES)
    rows = []
    for first in range(0, len(ranges), each):
        stretch = ranges[first : first + each]
        pictures, generated = _sums(stretch)
        if not pictures:
            continue
        ends = first / len(ranges), (first + len(stretch)) / len(ranges)
        low, high = (decimal(end, digits=1) for end in ends)
        share = generated / pictures
        chart = bar(share, wilson(generated, pictures))
        rows.append([_("{low} to {high}", low=low, high=high), chart, _share_of(share, pictures)])
    pictures, generated = _sums(ranges)
    words = _(
        "Of test pictures with such a score, so many were generated; of all {pictures}, {base}.",
        pictures=number(pictures),
        base=_whole_percent(generated / pictures),
    )
    return _p(words) + table("", [_("score"), "", _("generated")], rows)


def _sums(ranges: list[Measurement]) -> tuple[int, int]:
    """Return how many pictures have such scores, and how many of them are generated."""
    return sum(one.n or 0 for one in ranges), sum(one.count for one in ranges)


def generators(numbers: Measured) -> str:
    """Return how many pictures of each generator are called generated, as HTML."""
    rows = [
        [escape(found.label), _share_bar(found), _share_of(found.value, found.n or 0)]
        for found in numbers.below("generators").values()
        if (found.n or 0) >= MIN_PICTURES
    ]
    words = _(
        "So many of a generator's pictures are called likely generated; the rest are missed. Not "
        "shown: generators with fewer than {few} pictures.",
        few=MIN_PICTURES,
    )
    return _p(words) + table("", [_("generator"), "", _("likely generated")], rows)


def _after_changes(numbers: Measured) -> str:
    """Return the AUC after what happens to pictures on their way, as HTML."""
    aucs = {title: numbers[f"robustness.{change}.auc"] for change, title in CHANGES.items()}
    rows = [
        [_(title), marks([Mark(auc.value)], Axis("", 0.5, 1)), _two(auc.value)]
        for title, auc in aucs.items()
    ]
    words = _(
        "{pictures} test pictures, changed as messengers and sites change them: the AUC (1 is "
        "perfect, 0.5 a coin).",
        pictures=number(numbers["robustness.as-it-is.auc"].n or 0),
    )
    return _p(words) + table("", [_("change"), "", "AUC"], rows)


def maps(numbers: Measured) -> str:
    """Return whether the map finds what was changed in a picture, as HTML."""
    rows = []
    for name, title in (("causal", _("the map")), ("middle", _("a blob in the middle"))):
        aucs = [numbers[f"maps.{parts}.{name}.auc"].value for parts in ("pasted", "edits")]
        chart = marks(
            [Mark(auc, series) for auc, series in zip(aucs, "ab", strict=True)],
            Axis("", 0.4, 1),
            line=0.5,
        )
        rows.append([title, chart, *map(_two, aucs)])
    words = _(
        "No: a blob in the middle finds {pasted} pasted parts and {real} real edits better than "
        "the map (AUC).",
        pasted=number(numbers["maps.pasted.causal.auc"].n or 0),
        real=number(numbers["maps.edits.causal.auc"].n or 0),
    )
    return _p(words) + table(
        "", ["", "", key("a", _("pasted parts")), key("b", _("real edits"))], rows
    )


def purification(numbers: Measured) -> str:
    """Return how many answers stay the same under attack with the purifier, and how many of them
    are correct, as HTML."""
    rows = []
    for attack, title in ATTACKS.items():
        kept = numbers[f"purification.full.{attack}.agreement"]
        shares = [
            _share_cell(numbers, f"purification.{defence}.{attack}")
            for defence in ("full", *NETWORK, "none")
        ]
        questions = _("{n} questions", n=number(kept.n or 0))
        rows.append([f"{_(title)}<small>{questions}</small>", _share_bar(kept), *shares])
    words = _(
        "How often the answer about an attacked picture stays the same; below it, how often it is "
        "correct. The model is small, and often wrong without an attack, too."
    )
    head = [_("attack"), "", _("purified"), *map(_, NETWORK.values()), _("as it is")]
    return _p(words) + table("", head, rows)


def _share_cell(numbers: Measured, id: str) -> str:
    """Return the share of answers that stay, over that of correct ones; "" where not measured."""
    if f"{id}.agreement" not in numbers:
        return ""
    kept, correct = (numbers[f"{id}.{name}"].value for name in ("agreement", "accuracy"))
    return f"{_whole_percent(kept)}<small>{_whole_percent(correct)}</small>"


def _generator_marks(numbers: Measured) -> str:
    """Return how many generators are named by their marks, rightly and by mistake, as HTML."""
    rows = []
    for title, found in (
        (_("marked files of unseen owners: generator named"), numbers["marks.unseen.named"]),
        (_("real pictures: a mark by mistake"), numbers["marks.real.mistaken"]),
    ):
        shares = _("{some} of {all}", some=number(found.count), all=number(found.n or 0))
        rows.append([title, _share_bar(found), shares])
    return table("", ["", "", ""], rows)


def price(numbers: Measured) -> str:
    """Return what independence of the two halves costs, as HTML: a point of the curve for each
    weight of the losses."""
    # 1. The points, from independent to dependent.
    mean = {
        name: [point.value for point in numbers.below(f"independence.{name}").values()]
        for name in ("nhsic", "auc", "linear", "mlp", "knn")
    }
    ridge = numbers["independence.ridge.auc"]
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
        n=number(ridge.n or 0),
        low=_two(ridge.ends[0]),
        high=_two(ridge.ends[1]),
    )
    x, y = Axis("nHSIC"), Axis("AUC", 0.5, 1, (0.5, 0.6, 0.7, 0.8, 0.9, 1))
    return _p(words) + plot(words, series, x, y)


QUESTIONS: tuple[Question, ...] = (
    (N_("Which scores do real and generated pictures get?"), _score_chart),
    (N_("What does it answer to real and to generated pictures?"), answers),
    (N_("How often does the generated one of two score higher?"), pairs),
    (N_("How many pictures with such a score were generated?"), _score_ranges),
    (N_("How many pictures of each generator does it find?"), generators),
    (N_("Does it still work after a picture was sent on?"), _after_changes),
    (N_("Does the map find what was changed?"), maps),
    (N_("How many answers survive an attack, and are they correct?"), purification),
    (N_("How often does it name the generator by a mark?"), _generator_marks),
    (N_("What does independence cost?"), price),
)


def page(numbers: Measured | None = None) -> str:
    """Return all questions with their answers, as HTML.

    numbers: those to show; None for the shipped ones.
    """
    first, *others = (
        f"<section><h2>{_(title)}</h2>{answer(numbers or measured())}</section>"
        for title, answer in QUESTIONS
    )
    unknown = "".join(f"<li>{_(sentence)}</li>" for sentence in UNKNOWN)
    unknown = (
        f"<section><h2>{_('What is not known')}</h2><ul class='cc-notes'>{unknown}</ul></section>"
    )
    top = f"<div class='cc-top'>{first}{unknown}</div>"
    return f"<div class='cc-measured'>{top}<div class='cc-questions'>{''.join(others)}</div></div>"


def _two(value: float) -> str:
    return decimal(value, digits=2)


def _p(words: str) -> str:
    return f"<p>{words}</p>"


def build_measured_tab(tab: gr.Tab) -> gr.HTML:
    """Build the content of `tab` inside the current Blocks; it is made when the tab is opened."""
    content = gr.HTML(f"<p>{_('The measurements are being read.')}</p>", elem_id="measured")
    tab.select(lambda: _page(current()), None, content, **AT_ONCE)
    return content


@cache
def _page(language: str) -> str:
    """Return `page` in a language; made once."""
    with speaking(language):
        return page()
