"""The style sheets, as Gradio takes them."""

import re

import pytest

from ui.serving import ASSETS, STYLES


@pytest.mark.parametrize("name", STYLES)
def test_no_has_holds_a_comma(name: str) -> None:
    """Gradio makes a copy of each rule and splits its selector at every comma: of `:not(:has(p, dl))` it would leave
    `:not(:has(p))`, which hides what has a dl alone."""
    text = (ASSETS / f"{name}.css").read_text(encoding="utf-8")
    assert not re.findall(r":has\([^()]*,[^()]*\)", text)
