"""The tables take the test sets that a report names, and say of each aim whether it was reached."""

from typing import Any

import pytest

from benchmarks.tables import checks, front, masks, method, parts, running, sections, verdicts
from benchmarks.tables.aims import Aim, aims_table, missed_line
from benchmarks.tables.markdown import ordered, percent, percents

BANDS = {
    "likely generated": {"real": 0.002, "generated": 0.6},
    "inconclusive": {"real": 0.3, "generated": 0.3},
    "likely not generated": {"real": 0.698, "generated": 0.1},
}
SETS = ["alike", "broad", "edits", "fresh", "newsroom", "all"]


@pytest.fixture
def report() -> dict[str, Any]:
    """As `evaluate` writes it, with sets that are not in the shipped one's."""
    numbers = ("ap", "balanced_accuracy", "tpr_at_5_fpr", "tpr_at_1_fpr", "ece")
    of_set = {
        "pictures": 10,
        "auc": 0.975,
        "auc_interval": [0.9, 0.99],
        "bands": BANDS,
        "reliability": [{"generated": 4}],
    } | dict.fromkeys(numbers, 0.5)
    return {"sets": SETS, "date": "2026-01-01"} | dict.fromkeys(SETS, of_set)


def first_cells(text: str) -> list[str]:
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [row.split("|")[1].strip() for row in rows[2:]]


def test_the_headline_has_every_set_that_the_report_names(report: dict[str, Any]) -> None:
    names = [cell.split(":")[0] for cell in first_cells(verdicts.headline(report))]
    assert names == ["`broad`", "`alike`", "`fresh`", "`edits`", "`newsroom`", "all of `test`"]
    assert "| pictures | answer | `broad` | `alike` | `fresh` | `edits` | `newsroom` | all |" in verdicts.answers(
        report
    )


def test_aims_are_those_of_the_sets_that_are_there(report: dict[str, Any]) -> None:
    report["broad"] = report["broad"] | {"auc": 0.96}
    found = {aim.what.split(",")[0]: aim.reached for aim in verdicts.headline_aims(report)}
    assert (found["AUC on `broad`"], found["AUC on `fresh`"]) == (False, True)
    assert "AUC on `edits`" not in found
    assert not found["*inconclusive* on `alike` and `fresh` together"]  # 30 % of both classes


def test_deliveries_are_judged_on_every_set() -> None:
    base, lost = dict.fromkeys(("broad", "fresh", "all"), 0.9), {"broad": [0.01, -0.02, 0.04], "all": [0.02, 0.0, 0.03]}
    report = {
        "drawn": {"travel": {"pictures": 200}},
        "lost": {"JPEG 50": lost | {"fresh": [0.1, 0.02, 0.2]}, "0.5x": lost},
        "shapes": {"as it is": base, "squares": {**base, "fresh": 0.91}},
    }
    aims = checks.robustness_aims(report)
    assert [aim.reached for aim in aims] == [True, False, True]
    assert aims[1].found == "0.100 (`fresh`, JPEG 50; 95 %: 0.02 to 0.20)"


def test_scores_are_said_by_what_they_have_meant(report: dict[str, Any]) -> None:
    assert verdicts.meant(report) == ""
    report["meant"] = [{"low": 0.0, "high": 0.25, "pictures": 8, "generated": 2}]
    assert "| 0.00 to 0.25 | 8 | 25 % |" in verdicts.meant(report)


def test_real_pictures_that_are_accused_once_retouched_are_counted() -> None:
    shares = {"as it is": {"real": 0.01, "generated": 0.5}, "retouched": {"real": 0.05, "generated": 0.4}}
    of = {"pictures": 9, "cells": {"alike, real": 9}, "runtimes": {"int8": 9}}
    report = {
        "revision": "r1",
        "megapixels_at_most": 20.0,
        "drawn": {"travel": of, "retouched": of},
        "lost": {"JPEG 50": {"all": [0.0, 0.0, 0.0]}},
        "shapes": {"as it is": {"all": 0.9}},
        "retouched": {"alike": shares},
    }
    assert "| real | 1 % | 5 % |" in checks.retouched(report)
    accused = checks.robustness_aims(report)[-1]
    assert (accused.reached, accused.found) == (False, "5.0 %")


def test_scores_that_turn_are_said_by_set() -> None:
    band = {"likely generated": {"as it is": 0.5, "after the check": 0.25}}
    report: dict[str, Any] = {"overturned": {"real": band}}
    assert checks.overturned(report).endswith("| real | likely generated | 50 % | 25 % |")
    report["turned"] = {"real": {"`sites`": 0.1, "all": 0.12}}
    assert "after a mild change: of real pictures 10 % on `sites`, 12 % on all." in checks.overturned(report)


def test_generators_that_were_not_learned_from_have_an_aim() -> None:
    assert method.left_out({}) == ""
    assert method.left_out_aims({}) == []
    row = {"owners": 2, "pictures": 12, "owner_left_out": 0.9, "generator_left_out": 0.7}
    report: dict[str, Any] = {
        "generators": [row | {"generator": "Flux"}, row | {"generator": "SANA", "generator_left_out": 0.5}]
    }
    assert "| SANA | 2 | 12 | 90 % | 50 % |" in method.left_out(report)
    assert [(a.reached, a.found) for a in method.left_out_aims(report)] == [(False, "0.50 (SANA)")]
    report["generators"][1]["generator"] = "StyleGAN"
    found = [(a.reached, a.found) for a in method.left_out_aims(report)]
    assert found == [(True, "0.70 (Flux); of older ones 0.50 (StyleGAN)")]


def test_maps_on_real_edits_are_beside_their_controls() -> None:
    causal, rollout = ({"mean": mean, "interval": [mean - 0.1, mean + 0.1], "n": 9} for mean in (0.6, 0.8))
    report = {
        "pairs": 11,
        "left_out": [{}, {}],
        "auc": {"a region": {"causal": causal, "rollout": rollout}, "more": {}},
    }
    text = method.edits(report)
    assert "| causal | 0.600 (0.50 to 0.70), n = 9 |" in text
    assert "9 of 11 pairs" in text
    assert [aim.reached for aim in method.edits_aims(report)] == [False]


def test_the_front_table_fits_the_page_with_four_sets(report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    report["sets"] = [name for name in SETS if name != "newsroom"]
    shipped = sections.read
    monkeypatch.setattr(front, "read", lambda file: report if file == sections.TEST else shipped(file))
    cells = first_cells(front.front())
    assert [cell.startswith("Real or generated") for cell in cells] == [True] * 4 + [False] * 3


def test_a_purification_is_as_slow_as_on_the_machine_of_its_aim() -> None:
    size = {"width": 512, "height": 512, "peak_mb": 900}
    row = {"warm": 1.0, "stability": 1.0, "peak_mb": 900}
    report = {"rows": {"as it is": row, "AVX2": row}, "app_ready": 1.0}
    cases: list[tuple[dict[str, float], bool, str]] = [
        ({"warm": 0.5}, True, "0.50 s"),
        ({"warm": 0.5, "first": 0.235}, False, "1.00 s on the machine that the aim was set on, 0.50 s on the latest"),
        ({"warm": 0.9, "first": 0.94}, True, "0.45 s on the machine that the aim was set on, 0.90 s on the latest"),
    ]
    for times, reached, found in cases:
        aims = running.speed_aims([report | {"purification": [size | times]}])
        (aim,) = (aim for aim in aims if aim.what.startswith("purification"))
        assert (aim.reached, aim.found) == (reached, found)


def test_what_was_missed_is_counted_and_a_click_away() -> None:
    aims = [Aim("a, at least 1", True, "2"), Aim("b, at least 1", False, "0", "Rain.", short="b")]
    assert missed_line(aims) == "1 of 2 aims were missed: [which, and why](docs/measured.md)."
    assert missed_line(aims[:1]) == "All 1 aims are reached."
    assert "| b, at least 1 | **missed** | 0 | Rain. |" in aims_table(aims)


def test_a_benchmark_that_has_not_run_has_no_section(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(sections, "BENCHMARKS", tmp_path)
    assert sections.aims() == []
    assert "\n## " not in sections.measured()


@pytest.mark.parametrize(("share", "words"), [(0.0, "0 %"), (0.002, "under 1 %"), (0.999, "over 99 %"), (1.0, "100 %")])
def test_few_are_not_none(share: float, words: str) -> None:
    assert percent(share) == words


def test_a_range_of_shares_has_both_ends() -> None:
    assert percents([0.14, 0.0, 0.02]) == "0 to 14 %"
    assert percents([0.701, 0.7]) == "70 %"
    assert percents([0.0, 0.003]) == "under 1 %"
    assert percents([1.0, 0.996]) == "over 99 %"


def test_sets_without_a_name_come_before_all() -> None:
    assert ordered(["all", "zebra", "alike", "broad"]) == ["broad", "alike", "zebra", "all"]


def mask_row(**changes: float) -> dict[str, float]:
    row = dict.fromkeys(("held_label", "held_label_neighbours", "held_label_fresh"), 0.6)
    row |= dict.fromkeys(("passed_owner", "held_owner", "passed_content", "held_content"), 0.3)
    return row | {"density": 0.4, "auc": 0.95, "auc_spread": 0.004, "seeds": 3, "tpr_at_5_fpr": 0.8} | changes


def test_a_mask_must_keep_all_that_is_asked_of_it() -> None:
    whole = mask_row(density=1.0, seeds=1, held_label=0.95)
    rows = {
        "good": mask_row(),
        "knows": mask_row(held_label_fresh=0.7),
        "costs": mask_row(auc=0.94),
        "open": mask_row(density=0.6),
    }
    report = {"pictures": 9, "owners": 3, "chance": {"owner": 0.1, "content": 0.2}}
    report["ideas"] = {"unmasked": {"all channels": whole}, "others": rows}
    assert "All of it is kept by: good." in masks.masks(report)
    assert "| good | 0.40 | 0.950 ± 0.004 |" in masks.masks(report)
    assert [(a.reached, a.found) for a in masks.masks_aims(report)] == [(True, "0.600")]
    del rows["good"]
    assert "No idea keeps all of it." in masks.masks(report)
    assert [(a.reached, a.found) for a in masks.masks_aims(report)] == [(False, "0.700")]


def test_a_local_map_is_held_to_its_controls() -> None:
    inside = {"n": 2, "line": 0.75, "net": 0.7, "a blob in the middle": 0.72}
    flagged = {"all edits": {"n": 4, "share": 0.25, "iou": 0.3}, "all photographs": {"n": 9, "share": 0.0, "iou": None}}
    report = {
        "inside": {"all edits": inside},
        "flagged": {"line": flagged, "net": flagged},
        "picture": {"line": {"all edits": 0.86}, "net": {"all edits": 0.6}},
        "cpu_seconds": 0.8,
    }
    assert [aim.reached for aim in parts.regions_aims(report)] == [True, False, False]
    assert "| all photographs | 9 |" in parts.regions(report)
