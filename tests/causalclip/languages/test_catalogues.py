"""The catalogues are whole and say what the code says: no message is missing, and no name or plural form."""

import re
import string
from collections.abc import Iterator

import pytest
from babel.messages import Catalog
from babel.messages.plurals import get_plural

from causalclip.languages import LANGUAGES, is_rtl, ngettext, number, speaking
from causalclip.languages.catalogues import END, FOLDER, ISOLATE
from causalclip.languages.locale import ENGLISH
from scripts import catalogues
from scripts.catalogues import Message

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
FORMS = {  # counts, one for each form that the language has
    "es": (1, 1_000_000, 2),
    "fr": (0, 1_000_000, 2),
    "de": (1, 2),
    "pt": (1, 1_000_000, 2),
    "ar": (0, 1, 2, 3, 11, 100),
    "hi": (1, 2),
    "tr": (1, 2),
    "uk": (21, 2, 11),
    "id": (1,),
}


@pytest.fixture(params=OTHERS)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def catalogue(language: str) -> Catalog:
    return catalogues.read(language)


@pytest.fixture(scope="module")
def said() -> set[Message]:
    """What the code says: to read all of it takes half a second."""
    return set(catalogues.messages())


def pairs(catalogue: Catalog) -> Iterator[tuple[Message, tuple[str, ...]]]:
    """Every message with its translation, or its forms."""
    for message in catalogue:
        if message.id:
            yield message.id, (message.string,) if isinstance(message.string, str) else tuple(message.string)


def names(text: str) -> list[str]:
    return sorted(name for _text, name, _format, _conversion in string.Formatter().parse(text) if name is not None)


def test_every_language_that_is_offered_has_a_catalogue_and_no_other_lies_there() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.po")) == sorted(OTHERS)


def test_no_message_is_missing_or_is_said_no_more(catalogue: Catalog, said: set[Message]) -> None:
    assert catalogues.missing(catalogue) == []
    assert {message for message, _forms in pairs(catalogue)} == said
    assert not any(message.fuzzy for message in catalogue if message.id)


def test_names_and_tags_are_those_of_the_message(catalogue: Catalog) -> None:
    """One plural form may say a number as a word: "a picture"."""
    for message, forms in pairs(catalogue):
        if isinstance(message, str):
            assert names(forms[0]) == names(message)
            assert forms[0].count("<b>") == message.count("<b>") == forms[0].count("</b>")
            continue
        for form in forms:
            assert set(names(message[1])) - {"n"} <= set(names(form)) <= set(names(message[1]))


def test_each_plural_has_as_many_forms_as_the_language(language: str, catalogue: Catalog) -> None:
    for message, forms in pairs(catalogue):
        if not isinstance(message, str):
            assert len(forms) == get_plural(language).num_plurals


@pytest.mark.parametrize("language", FORMS, indirect=True)
def test_a_count_takes_its_own_form(language: str, catalogue: Catalog) -> None:
    """Each of the counts has a form of its own, and that is the one which the catalogue has in its place."""
    forms = dict(pairs(catalogue))["{n} field", "{n} fields"]
    with speaking(language):
        said = [ngettext("{n} field", "{n} fields", n) for n in FORMS[language]]
        wanted = [_filled(forms[place], n) for place, n in enumerate(FORMS[language])]
    assert said == wanted


def _filled(form: str, count: int) -> str:
    n = f"{ISOLATE}{number(count)}{END}" if is_rtl() else number(count)
    return form.format(n=n)


def test_no_sentence_is_another_languages() -> None:
    spoken: dict[tuple[Message, str], list[str]] = {}
    for language in OTHERS:
        for message, forms in pairs(catalogues.read(language)):
            if len(re.findall(r"[^\W\d]{3,}", re.sub("{.*?}", "", forms[-1]))) > 3:
                spoken.setdefault((message, forms[-1]), []).append(language)
    assert {key: languages for key, languages in spoken.items() if len(languages) > 1} == {}
