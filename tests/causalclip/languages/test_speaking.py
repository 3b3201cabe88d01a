"""Which language is spoken, and how numbers, days and lists are written in it."""

from datetime import UTC, datetime

import pytest

from causalclip.languages import (
    _,
    any_of,
    best,
    current,
    day,
    decimal,
    figure,
    is_rtl,
    number,
    speaking,
)
from causalclip.languages.catalogues import END, ISOLATE
from causalclip.languages.locale import ENGLISH


@pytest.mark.parametrize(
    ("accepted", "chosen", "language"),
    [
        ("", "", "en"),
        ("de-AT;q=0.7, fr;q=0.9", "", "fr"),
        ("fr;q=0, de", "", "de"),
        ("fr", "de", "de"),
        (";;;q=x,,de;q=high," + "a" * 9000, "", "en"),
        ("../../etc", "../../etc", "en"),
    ],
)
def test_the_choice_comes_before_what_the_browser_prefers(accepted: str, chosen: str, language: str) -> None:
    assert best(accepted, chosen) == language


def test_it_is_spoken_inside_alone() -> None:
    with speaking("de"):
        assert current() == "de"
        with speaking("no language"):
            assert current() == ENGLISH
        assert _("Likely generated") == "Wahrscheinlich generiert"
    assert _("Likely generated") == "Likely generated"
    assert _("") == ""


@pytest.mark.parametrize(
    ("language", "whole", "broken", "when", "either"),
    [
        ("en", "12,345", "0.50", "5 November 2026", "a, b or c"),
        ("de", "12.345", "0,50", "5. November 2026", "a, b oder c"),
        ("ar", "12,345", "0.50", "5 نوفمبر 2026", "a أو b أو c"),
    ],
)
def test_numbers_days_and_lists_are_the_languages_own(
    language: str, whole: str, broken: str, when: str, either: str
) -> None:
    with speaking(language):
        assert number(12345) == whole
        assert decimal(0.5, digits=2) == broken
        assert figure(50.0) == "50"
        assert day(datetime(2026, 11, 5, tzinfo=UTC)) == when
        assert any_of(["a", "b", "c"]) == either


def test_a_name_keeps_its_direction_in_arabic() -> None:
    with speaking("ar"):
        assert is_rtl()
        said = _("by {generator}", generator="Midjourney")
    assert f"{ISOLATE}Midjourney{END}" in said
    assert not is_rtl("de")
