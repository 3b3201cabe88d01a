"""The page and its answers in the language of who asks, over HTTP."""

import json

import httpx
import pytest
from gradio_client import Client, handle_file

from causalclip.languages import _, speaking
from causalclip.languages.locale import RIGHT_TO_LEFT
from tests.makers.pictures import encode, photo

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


def test_an_answer_is_in_the_language_of_who_asks(tiny_app: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("asked") / "a.jpg"
    path.write_bytes(encode(photo(320, 240), "JPEG"))
    answers = {}
    for language in ("de", "en"):
        client = Client(tiny_app, verbose=False, headers={"Accept-Language": language})
        answers[language] = client.predict(handle_file(str(path)), api_name="/detect")
    with speaking("de"):
        assert answers["de"]["answer"] in [_(answer) for answer in ANSWERS]
    assert answers["en"]["answer"] in ANSWERS
    assert (answers["de"]["language"], answers["de"]["band"]) == ("de", answers["en"]["band"])
