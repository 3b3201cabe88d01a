"""The drawing of the house is what the imports are now."""

import networkx as nx

from scripts import house
from tests.conftest import ROOT


def test_the_committed_drawing_is_the_house_as_it_is() -> None:
    committed = (ROOT / "docs" / "house.svg").read_text(encoding="utf-8")
    assert committed == house.draw(house.imports()), "Run python scripts/house.py"


def test_each_room_stands_above_what_it_imports() -> None:
    floor = nx.DiGraph([("ui.b", "ui.a"), ("ui.c", "ui.b"), ("ui.c", "ui.a"), ("ui.d", "ui.a")])
    assert house.rows(floor) == [["ui.c"], ["ui.b", "ui.d"], ["ui.a"]]
    drawn = house.draw(nx.DiGraph([*floor.edges, ("ui.c", "purifier.x"), ("purifier.y", "purifier.x"), *LAST]))
    assert drawn.count('class="tip"') == 3 + 1 + 1  # not the one from c to a, which the way over b implies
    assert "uses purifier (x)" in drawn


LAST = [("causalclip.z", "causalclip.w")]
