"""The page "How good is it?": every number from its file, a sentence where there is none, names escaped."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from causalclip.evidence.precision import error_rates
from tests.makers.measured_files import reports, write_reports
from ui.charts import Axis, Mark, Series, marks, plot, wilson
from ui.measured import questions
from ui.measured.page import BENCHMARKS, QUESTIONS, SECTIONS, page
from ui.measured.picture import picture
from ui.measured.purification import purification
from ui.measured.words import percent, source_name

VOID = {"br", "img", "circle", "rect", "line", "path", "polyline"}


class Tags(HTMLParser):
    """Fails on tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_every_section_is_drawn_from_its_file(tmp_path: Path) -> None:
    html = page(write_reports(tmp_path))
    tags = Tags()
    tags.feed(html)
    assert not tags.open
    said = text(html)
    assert "Not measured yet" not in said
    assert "another version" not in said
    assert said.count("Numbers: benchmarks/") == len(SECTIONS) + len(QUESTIONS) + 1
    test = reports()["detection.json"]
    for name in ("broad", "alike", "all"):
        assert f"{test[name]['auc']:.3f}" in said
    assert "0.789" in said  # content held fixed
    assert "goes from 0.900 to 0.740" in said  # the worst change
    assert "71 of 100 pairs" in said
    assert "another 1.0" in said
    assert "0.820 ± 0.004" in said
    assert "without a defence 20 % of the answers stay, at best 60 % (ours, 1 step)" in said
    assert "model tiny, revision r1" in said
    plots = html.count("Answers that stay at 1, 2, 4, 8 of 255. no defence: 20 %, 20 %")
    assert plots == 3  # around the defence, through all, and again where that left something
    assert "the strongest: what outlives APGD in 20 steps" in said
    assert "Measured on 2026-01-02; made-up pictures" in said
    assert "Date not recorded" in said  # of the file that has none


def test_none_of_a_few_is_not_never(tmp_path: Path) -> None:
    """tabulate's pictures get no answer "likely not generated" at all."""
    assert "0 of 40, which fits a share of 0.0 to 8.8 %" in text(page(write_reports(tmp_path)))


def test_numbers_follow_the_file(tmp_path: Path) -> None:
    folder = write_reports(tmp_path)
    before = page(folder)
    file = folder / "splices.json"
    report = json.loads(file.read_text())
    report["auc"]["causal"]["mean"] = 0.4321
    file.write_text(json.dumps(report))
    after = page(folder)
    assert "0.432" in after
    assert "0.432" not in before


def test_what_was_not_measured_is_said_so(tmp_path: Path) -> None:
    html = page(tmp_path)
    assert html.count("Not measured yet:") == len(SECTIONS) + len(QUESTIONS) + 1
    assert not re.search(r"\d+ of 100", text(html))
    assert "What is not known" in html


def test_a_file_of_another_form_costs_its_own_section_only(tmp_path: Path) -> None:
    folder = write_reports(tmp_path)
    (folder / "splices.json").write_text("{}")
    (folder / "ablation.json").write_text("not JSON")
    said = text(page(folder))
    assert said.count("another version of the benchmark. Run it again") == 3  # a question rests on the splices, too
    assert "0.789" in said


def test_a_run_without_the_detector_says_so(tmp_path: Path) -> None:
    folder = write_reports(tmp_path)
    file = folder / "purification.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"detector": None}))
    assert "this run left it out" in page(folder)


def test_names_from_files_are_escaped(tmp_path: Path) -> None:
    folder = write_reports(tmp_path)
    for file in folder.glob("*.json"):
        file.write_text(file.read_text().replace("sdxl", "<script>x").replace("chart, PNG", "<img src=x>"))
    html = page(folder)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;x" in html


def test_a_picture_comes_first_then_ten_questions_and_the_tables_are_folded(tmp_path: Path) -> None:
    html = page(write_reports(tmp_path))
    first, _, rest = html.partition("<h2>Ten questions</h2>")
    asked, _, tables = rest.partition("<h2>All tables</h2>")
    assert first.count("<svg viewBox") == 1
    assert (
        first.count("class='cc-real'")
        == first.count("class='cc-made'")
        == len(reports()["detection.json"]["all"]["reliability"])
    )
    pieces = asked.split("<section class='cc-question'>")[1:]
    assert len(pieces) == len(QUESTIONS) == 10
    for piece in pieces:
        assert "<svg" in piece or "No source has" in piece, piece
        assert re.search(
            r"[\d,]+ (real |generated |test )?(pictures|photographs)|pictures</th>|No source has", piece
        ), piece
    assert "<details>" not in first + asked
    assert tables.count("<details>") == len(SECTIONS)
    before, _, after = tables.partition("<h2>Purification</h2>")
    assert "Purification, attack by attack" in after
    assert "Purification, attack by attack" not in before


def test_the_bands_are_those_of_the_revision_that_was_measured(tmp_path: Path) -> None:
    test = reports()["detection.json"]
    folder = tmp_path / "tiny"
    folder.mkdir()
    config = {"revision": "r1", "calibration": {"low": 0.25, "high": 0.75}}
    (folder / "config.json").write_text(json.dumps(config))
    drawn = picture(test, tmp_path)
    assert "At or below 0.25 the answer is likely not generated" in drawn
    assert drawn.count("cc-zone-fill-") == 3
    (folder / "config.json").write_text(json.dumps(config | {"revision": "r2"}))
    assert "cc-zone-fill-" not in picture(test, tmp_path)
    assert "bands of this revision are not at hand" in picture(test, tmp_path)


def test_front_page_tab_and_docs_tell_the_same_numbers() -> None:
    """One source: the benchmarks' files. A test of benchmarks.readme holds what stands in README and docs to them."""
    report = json.loads((BENCHMARKS / "detection.json").read_text(encoding="utf-8"))
    drawn, readme = text(page()), (BENCHMARKS.parent / "README.md").read_text(encoding="utf-8")
    rates = error_rates(report["revision"])
    assert rates is not None
    for share in (rates.accused, rates.recognised):
        assert f"{100 * share:.1f} of 100" in drawn
    assert f"AUC {report['broad']['auc']:.3f}" in readme
    assert f"{report['broad']['auc']:.3f}" in drawn
    assert f"{percent(rates.recognised)} likely generated" in readme


def test_other_sets_are_drawn_under_their_names(tmp_path: Path) -> None:
    """What the files hold, and no set that is written down here."""
    folder = write_reports(tmp_path)
    for name in ("detection", "robustness"):
        file = folder / f"{name}.json"
        report = json.loads(file.read_text())
        if name == "detection":
            report |= {"fresh": report["alike"], "edits": report["alike"], "sets": ["fresh", *report["sets"], "edits"]}
        for row in report.get("auc", {}).values():
            row |= {"fresh": 0.611, "edits": 0.622}
        file.write_text(json.dumps(report))
    said = text(page(folder))
    assert "another version" not in said
    for words in ("newer sites", "edited by generators", "0.611", "0.622"):
        assert words in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("imagefx-imagen3", "ImageFX (Imagen 3)"),
        ("fercasti-real-or-ai-ai", "fercasti real or ai (generated)"),
        ("sds-omnigen2_omnigen2", "omnigen2"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_sources_have_readable_names(name: str, words: str) -> None:
    assert source_name(name) == words


def test_wilson_by_hand() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1


def test_marks_stand_on_their_axis() -> None:
    html = marks([Mark(0.75, "b", (0.6, 0.9))], Axis("AUC", 0.5, 1.0), line=0.5)
    assert "x='50.00%'" in html
    assert "x1='20.00%' x2='80.00%'" in html
    assert "x1='0.00%'" in html


def test_a_plot_says_what_it_shows() -> None:
    html = plot("Up <b>", [Series("a", [(0, 0), (1, 1)])], Axis("x"), Axis("y"))
    assert "role='img' aria-label='Up &lt;b&gt;'" in html
    assert "points='46.0,276.0 348.0,10.0'" in html


def test_shares_are_never_rounded_to_certainty() -> None:
    assert [percent(x) for x in (0, 0.001, 0.126, 0.999, 1)] == ["0 %", "under 1 %", "13 %", "over 99 %", "100 %"]


def test_a_defence_that_was_asked_fewer_questions_says_so() -> None:
    report = reports()["purification.json"]
    assert "questions)" not in purification(report)
    report["cells"][1]["n"] = 26
    assert purification(report).count("<small>(26 questions)</small>") == 1


def test_the_map_is_told_on_real_edits_too_and_night_shots_where_they_were_measured(tmp_path: Path) -> None:
    folder = write_reports(tmp_path)
    said = text(page(folder))
    assert (
        "On 17 real edits it does so in 53 of 100 pairs, where a map that is only bright in the middle does in" in said
    )
    assert "On many generators such a judge (content alone (64 px thumbnail)) has 0.710, this detector 0.810." in said
    assert "night shots alone has not been measured" in said
    file = folder / "detection.json"
    night = {"pictures": 155, "owners": 20, "accused": 0.0, "inconclusive": 0.013}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"groups": {"hard": {"night": night}}}))
    (folder / "edits.json").unlink()
    said = text(page(folder))
    assert "by 20 owners, 0 are called likely generated (which fits a share of 0 % to 2 %), and for 1 % the" in said
    assert "On real edits it has not been measured." in said


def test_a_judge_that_looks_for_no_traces_is_told_where_it_does_best() -> None:
    shape, own = {"alike": 0.4, "sites": 0.9}, {"alike": 0.8, "sites": 0.95}
    report = {"shape": shape, "this detector": own, "beside": {"alike": {"pictures": 9}}}
    assert "On sites drawn by lot such a judge (shape) has 0.900, this detector 0.950." in questions.shortcuts(report)
    report["shape"] = {"alike": 0.9, "sites": 0.4}
    assert "such a judge" not in questions.shortcuts(report)


def test_what_a_score_means_names_how_many_got_one_and_no_empty_range() -> None:
    """Fewer than all test pictures: some get no score."""
    rows = [
        {"low": 0.0812, "high": 0.0843, "generated": 1, "pictures": 26},
        {"low": 0.0843, "high": 0.13, "generated": 1, "pictures": 974},
    ]
    said = questions.meant({"meant": rows})
    assert "Of all 1,000 test pictures that got a score, under 1 % were;" in said
    assert "0.081 to 0.084" in said
    assert "0.08 to 0.13" in said
