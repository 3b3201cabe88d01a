"""The batch's table."""

import re

import pytest

from causalclip.evidence.headline import ANSWERS, CLAIMED
from causalclip.evidence.stability import SAID
from causalclip.evidence.words import NO_ANSWER, NO_ANSWER_TITLE
from causalclip.examine.batch import NOTHING, Row
from causalclip.languages import _, speaking
from ui.batch.filters import filters
from ui.batch.table import draw_table


def test_a_picture_without_an_answer_was_examined_and_its_row_opens() -> None:
    row = Row(1, "page.png", NO_ANSWER_TITLE, band=NO_ANSWER, kind="page", survives=NOTHING, sha256="ab" * 32)
    refused = Row(2, "broken.png", "Not examined", problem="It is damaged.")
    html = draw_table([row, refused], edges=(0.3, 0.7))
    assert "data-number='1'" in html
    assert "cc-open" in html
    assert "data-number='2'" not in html
    assert "Kind of picture: page." in html
    assert "It is damaged." in html


def test_where_the_file_has_the_headline_the_pixels_answer_stands_beside_it() -> None:
    """Its score would seem to contradict it: 0.04, and generated."""
    said = "The file carries a mark."
    row = Row(1, "a.png", CLAIMED["generated"], 0.04, band="likely not generated", claims=said, sha256="ab" * 32)
    assert f"By the pixels: likely not generated. {said}" in draw_table([row], edges=(0.3, 0.7))
    assert "By the pixels" not in draw_table([Row(1, "a.png", "Inconclusive", 0.5, band="inconclusive")])


@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_a_filter_has_the_keys_of_every_row_in_any_language(language: str) -> None:
    """Two answers hold a comma, and whether an answer survives is kept in the words of who asked."""
    with speaking(language):
        survives = [_(key) if key == "Yes" else f"{_(key)}: so many copies" for key in SAID.values()]
        rows = [
            Row(n, "a.png", answer, 0.5, survives=survives[n % 3], cautions="dark, small", kind="photograph")
            for n, answer in enumerate(ANSWERS)
        ]
        html, offered = draw_table(rows, edges=(0.3, 0.7)), filters()
    for name in ("kind", "answer", "cautions", "survives"):
        (choices,) = re.findall(f"data-filter='{name}'>(.*?)</select>", offered)
        kept = {key for values in re.findall(f" data-{name}='(.*?)'", html) for key in values.split("|")}
        assert kept <= set(re.findall("value='([^']+)'", choices))
    assert html.count("data-answer='One part differs'") == 2
    assert {*re.findall("data-survives='(.*?)'", html)} == set(SAID.values())
