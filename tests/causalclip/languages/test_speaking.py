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
from causalclip.languages.catalogues import END, ISOLATE, LEFTWARDS
from causalclip.languages.locale import ENGLISH


@pytest.mark.parametrize(
    ("accepted", "chosen", "language"),
    [
        ("", "", "en"),
        ("fr", "", "fr"),
        ("de-AT;q=0.7, fr;q=0.9", "", "fr"),
        ("pt-BR,en;q=0.5", "", "pt"),
        ("nl, fr;q=0.3", "", "fr"),
        ("fr;q=0, de", "", "de"),
        ("fr", "de", "de"),
        ("fr", "xx", "fr"),
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
        ("es", "12.345", "0,50", "5 de noviembre de 2026", "a, b o c"),
        ("fr", "12\u202f345", "0,50", "5 novembre 2026", "a, b ou c"),
        ("id", "12.345", "0,50", "5 November 2026", "a, b, atau c"),
        ("tr", "12.345", "0,50", "5 Kasım 2026", "a, b veya c"),
        ("uk", "12\xa0345", "0,50", "5 листопада 2026\u202fр.", "a, b або c"),
        ("hi", "12,345", "0.50", "5 नवंबर 2026", "a, b या c"),
        ("ar", "12,345", "0.50", "5 نوفمبر 2026", "a أو b أو c"),
        ("pt", "12.345", "0,50", "5 de novembro de 2026", "a, b ou c"),
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


def test_a_list_with_latin_names_in_it_begins_at_the_right_in_arabic() -> None:
    """Its first letter is Latin, and yet its words are read from right to left."""
    with speaking("ar"):
        said = _("The report holds {typed}.", typed=any_of(["JPEG", "PNG"]))
    assert f"{LEFTWARDS}JPEG أو PNG{END}" in said
