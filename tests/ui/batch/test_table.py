"""The batch's table."""

from causalclip.examine.batch import NOTHING, Row
from causalclip.examine.kind import NO_ANSWER, TITLE
from ui.batch.table import draw_table


def test_a_picture_without_an_answer_was_examined_and_its_row_opens() -> None:
    row = Row(1, "page.png", TITLE, band=NO_ANSWER, survives=NOTHING, sha256="ab" * 32)
    refused = Row(2, "broken.png", "Not examined", problem="It is damaged.")
    html = draw_table([row, refused], edges=(0.3, 0.7))
    assert "data-number='1'" in html
    assert "cc-open" in html
    assert "data-number='2'" not in html
