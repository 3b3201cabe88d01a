"""The page and its answers in the language of who asks, over HTTP."""

import json

import httpx
import pytest

from causalclip.languages import RIGHT_TO_LEFT, _, speaking

ANSWERS = ("Likely generated", "Inconclusive", "Likely not generated", "No answer for this kind of picture")


@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_page_says_its_language_and_direction(tiny_app: str, language: str) -> None:
    page = httpx.get(tiny_app, params={"lang": language})
    direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    assert f'lang="{language}" dir="{direction}"' in page.text
    assert "lang" not in page.headers.get("set-cookie", "")
    with speaking(language):
        assert json.dumps(_("Judge this part"))[1:-1] in page.text or _("Judge this part") in page.text


def test_the_browsers_language_is_taken_and_the_next_visitor_has_another(tiny_app: str) -> None:
    german = httpx.get(tiny_app, headers={"Accept-Language": "de-AT, en;q=0.5"})
    english = httpx.get(tiny_app, headers={"Accept-Language": "nl"})
    assert "Diesen Ausschnitt untersuchen" in german.text
    assert 'lang="de"' in german.text
    assert "accept-language" in german.headers["vary"]
    assert "Diesen Ausschnitt untersuchen" not in english.text
    assert 'lang="en"' in english.text
