"""/api/v1/examine over HTTP, as a program calls it."""

import json
from typing import Any

import httpx
import pytest

from causalclip.images.formats import MAX_BYTES
from causalclip.paths import shipped_folder
from tests.makers.pictures import encode, photo
from ui.api import ROUND_IT, wants_report

JPEG = encode(photo(200, 160), "JPEG")
DOCUMENT = json.loads((shipped_folder("assets") / "openapi.json").read_text())


@pytest.fixture
def ask(tiny_app: str) -> Any:
    def post(file: bytes = JPEG, *, headers: dict[str, str] | None = None, **form: Any) -> httpx.Response:
        sent: dict[str, Any] = {"files": {"picture": ("secret-name.jpg", file)}} | form
        return httpx.post(f"{tiny_app}api/v1/examine", headers=headers, **sent)

    return post


def test_a_file_gets_the_examination(ask: Any) -> None:
    answer = ask(data={"found_at": "https://example.org/a?b=c"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["band"] in {"likely generated", "inconclusive", "likely not generated"}
    assert (found["width"], found["height"], found["format"]) == (200, 160, "JPEG")
    assert found["stability"]["sentence"]
    assert found["found_at"] == "https://example.org/a?b=c"
    assert "secret-name" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_the_verdict_comes_before_its_check_where_that_is_wished(ask: Any) -> None:
    whole, first = ask(data={"stability": "yes"}).json(), ask(data={"stability": "no"}).json()
    assert first["stability"] == {"answer": "not checked"} | {
        key: first["stability"][key] for key in ("words", "sentence")
    }
    assert whole["stability"]["rows"]
    assert first["band"] == whole["band_as_it_is"]
    assert first["probability"] == whole["probability"]
    said = DOCUMENT["components"]["schemas"]["Examination"]["properties"]["stability"]["properties"]["answer"]["enum"]
    assert {first["stability"]["answer"], whole["stability"]["answer"]} <= set(said)


def test_html_is_the_report_with_the_address_escaped(ask: Any) -> None:
    answer = ask(headers={"Accept": "text/html"}, data={"found_at": "https://example.org/<script>"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "https://example.org/&lt;script&gt;" in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("text/html", True),
        ("text/html, application/json;q=0.5", True),
        ("text/html;q=zero", False),
    ],
)
def test_what_is_accepted(accept: str, html: bool) -> None:
    assert wants_report(accept) is html


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"files": {"other": ("a.jpg", JPEG)}}, 400, "field picture"),
        ({"files": None, "content": b"nothing", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form"),
        ({"files": None, "json": {"url": "http://192.0.2.1/a.jpg"}}, 415, "multipart/form-data"),
        ({"data": {"found_at": "javascript:alert(1)"}}, 400, "http"),
        ({"data": {"found_at": "https://example.org", "stability": "no", "more": "x"}}, 400, "cannot be read"),
    ],
)
def test_what_is_no_form_gets_a_sentence(ask: Any, form: dict[str, Any], status: int, words: str) -> None:
    answer = ask(**form)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("file", "status", "words"),
    [
        (b"not a picture at all", 415, "not a picture"),
        (JPEG[:900], 422, "cut short"),
        (b"\xff" * (MAX_BYTES + ROUND_IT + 1), 413, "20 MB"),
    ],
)
def test_what_is_no_good_picture_gets_a_sentence(ask: Any, file: bytes, status: int, words: str) -> None:
    answer = ask(file)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]


def test_a_body_in_pieces_is_cut_at_the_limit(tiny_app: str) -> None:
    def pieces() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
        for _ in range(22):
            yield bytes(2**20)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = httpx.post(f"{tiny_app}api/v1/examine", content=pieces(), headers=headers)
    assert answer.status_code == 413


def test_a_token_where_the_host_asks_for_one(ask: Any, monkeypatch: pytest.MonkeyPatch, tiny_app: str) -> None:
    monkeypatch.setenv("CAUSALCLIP_TOKEN", "s3cret")
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic s3cret"}, {"Authorization": "é"}):
        answer = ask(headers={k: v.encode() for k, v in headers.items()})
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]
        assert answer.headers["www-authenticate"] == "Bearer"
    assert ask(headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert httpx.get(f"{tiny_app}api/v1/openapi.json").status_code == 200


def test_another_sites_page_is_refused(ask: Any) -> None:
    answer = ask(headers={"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_no_more_at_once_than_is_said(ask: Any, tiny_page: Any) -> None:
    page, _ = tiny_page
    [endpoint] = [r.endpoint.__self__ for r in page.app.routes if getattr(r, "path", "") == "/api/v1/examine"]
    for counted, status in ((dict.fromkeys(["127.0.0.1"], 4), 429), ({f"192.0.2.{i}": 4 for i in range(4)}, 503)):
        endpoint._in_work.update(counted)
        answer = ask()
        endpoint._in_work.clear()
        assert answer.status_code == status
        assert answer.headers["retry-after"]
        assert "queue is full" in answer.json()["error"]
    assert ask().status_code == 200
    assert not endpoint._in_work.total()


def test_the_document_names_every_answer(tiny_app: str) -> None:
    described = httpx.get(f"{tiny_app}api/v1/openapi.json").json()
    answers = described["paths"]["/api/v1/examine"]["post"]["responses"]
    assert set(answers) == {"200", "400", "401", "403", "413", "415", "421", "422", "429", "503"}
    assert json.dumps(described)
