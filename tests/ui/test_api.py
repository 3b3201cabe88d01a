"""Programs: /api/v1, good and bad calls of it."""

import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from PIL import Image
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from causalclip.detector import Detector
from causalclip.paths import DEFAULT_HEAD, HEADS
from tests.makers.detectors import saved_heads, tiny_detector
from tests.makers.metadata_files import unjudged_files
from tests.makers.pictures import encode, photo
from tests.serving import until
from ui.api import routes
from ui.detector import LazyDetector
from ui.jobs import cancel_jobs
from ui.server.gate import FORM, Gate
from ui.server.token import check_sender

JPEG = encode(photo(200, 160), "JPEG")


@pytest.fixture
def ask(tiny_app: str) -> Any:
    def post(
        file: bytes = JPEG, *, headers: dict[str, str] | None = None, **form: Any
    ) -> httpx.Response:
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


def test_the_pictures_address_hints_at_a_generator_where_it_is_given(ask: Any) -> None:
    named = "https://example.org/a/Gemini_Generated_Image_3gpmmt3gpmmt3gpm.png?w=800"
    found = ask(data={"picture_at": named, "stability": "no"}).json()
    assert [(mark["generator"], mark["kind"]) for mark in found["provenance"]["marks"]] == [
        ("Gemini", "file name")
    ]
    assert ask(data={"stability": "no"}).json()["provenance"]["marks"] == []
    assert ask(data={"picture_at": "file:///etc/passwd"}).status_code == 400


def test_the_verdict_comes_before_its_check_where_that_is_wished(ask: Any) -> None:
    whole, first = ask(data={"stability": "yes"}).json(), ask(data={"stability": "no"}).json()
    assert first["stability"] == {"answer": "not checked"} | {
        key: first["stability"][key] for key in ("words", "sentence")
    }
    assert whole["stability"]["rows"]
    assert first["band"] == whole["band_as_it_is"]
    assert first["probability"] == whole["probability"]


def test_an_answer_is_as_it_is_described(ask: Any, tiny_app: str) -> None:
    description = httpx.get(f"{tiny_app}api/v1/openapi.json").json()
    examine = schemathesis.openapi.from_dict(description)["/api/v1/examine"]["post"]

    def conforms(status: int, found: Any) -> bool:
        answer = httpx.Response(status, json=found, request=httpx.Request("POST", tiny_app))
        answer.elapsed = timedelta()
        return bool(examine.is_valid_response(answer))

    for form in ({"found_at": "https://example.org/"}, {"stability": "no"}):
        found = ask(data=form).json()
        assert conforms(200, found)
        assert not conforms(200, found | {"band": "generated"})
    assert conforms(415, ask(b"not a picture at all").json())
    assert conforms(422, ask(unjudged_files()["too small"]).json())


def test_a_program_that_leaves_ends_its_examination_at_the_next_step(
    ask: Any, tiny_app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    look_at_copies = Detector.score_batch

    def slow_look(detector: Detector, *pictures: Any, **options: Any) -> Any:
        looks.append(time.monotonic())
        time.sleep(0.4)
        return look_at_copies(detector, *pictures, **options)

    monkeypatch.setattr(Detector, "score_batch", slow_look)
    assert ask().status_code == 200
    looks_of_all = len(looks)
    assert looks_of_all >= 3
    looks.clear()
    request = httpx.Request("POST", f"{tiny_app}api/v1/examine", files={"picture": ("a.jpg", JPEG)})
    head = b"".join(b"%b: %b\r\n" % pair for pair in request.headers.raw)
    with socket.create_connection((request.url.host, request.url.port)) as program:
        program.sendall(b"POST %b HTTP/1.1\r\n%b\r\n" % (request.url.raw_path, head))
        program.sendall(request.read())
        assert until(lambda: looks)
    time.sleep(0.4 * looks_of_all)
    assert len(looks) <= 2


def test_html_is_the_report_with_the_address_escaped(ask: Any) -> None:
    answer = ask(headers={"Accept": "text/html"}, data={"found_at": "https://example.org/<script>"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "https://example.org/&lt;script&gt;" in answer.text
    assert "<script" not in answer.text


def test_a_head_is_chosen_where_the_app_has_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for head, folder in saved_heads(tmp_path).items():
        monkeypatch.setitem(HEADS, head, folder)
    app = TestClient(Starlette(routes=routes(LazyDetector(HEADS[DEFAULT_HEAD]))))
    form: dict[str, Any] = {"files": {"picture": ("a.jpg", JPEG)}}
    for head in HEADS:
        assert (
            app.post("/api/v1/examine", data={"head": head, "stability": "no"}, **form).json()[
                "head"
            ]
            == head
        )
    assert (
        app.post("/api/v1/examine", data={"stability": "no"}, **form).json()["head"] == DEFAULT_HEAD
    )


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"data": {"head": "random"}}, 400, "no such head"),
        ({"data": {"head": "causal"}}, 400, "no such head"),
        ({"files": {"other": ("a.jpg", JPEG)}}, 400, "field picture"),
        (
            {
                "files": None,
                "content": b"nothing",
                "headers": {"Content-Type": "multipart/form-data"},
            },
            400,
            "form",
        ),
        ({"files": None, "json": {"url": "http://192.0.2.1/a.jpg"}}, 415, "multipart/form-data"),
        ({"data": {"found_at": "javascript:alert(1)"}}, 400, "http"),
        (
            {"data": {"found_at": "https://example.org", "stability": "no", "more": "x"}},
            400,
            "cannot be read",
        ),
    ],
)
def test_what_is_no_form_gets_a_sentence(
    ask: Any, form: dict[str, Any], status: int, words: str
) -> None:
    answer = ask(**form)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("file", "status", "words"),
    [
        (b"not a picture at all", 415, "not a picture"),
        (JPEG[:900], 422, "cut short"),
        (b"\xff" * (FORM + 1), 413, "20 MB"),
    ],
)
def test_what_is_no_good_picture_gets_a_sentence(
    ask: Any, file: bytes, status: int, words: str
) -> None:
    answer = ask(file)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("why", "status"), [("too small", 422), ("too large", 413), ("damaged", 422)]
)
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_what_is_refused_for_its_pixels_says_what_its_file_says(
    ask: Any, why: str, status: int, accept: str
) -> None:
    answer = ask(unjudged_files()[why], headers={"Accept": accept})
    assert answer.status_code == status
    said, headline = answer.json(), answer.json()["examination"]["headline"]
    assert (headline["source"], headline["name"]) == ("file", "Ideogram")
    assert said["error"] in headline["pixels"]
    assert said["examination"]["provenance"]["marks"][0]["excerpt"] == "Ideogram AI"
    assert "secret-name" not in answer.text


def test_a_token_where_the_host_asks_for_one(
    ask: Any, monkeypatch: pytest.MonkeyPatch, tiny_app: str
) -> None:
    monkeypatch.setenv("CAUSALCLIP_TOKEN", "s3cret")
    for headers in (
        {},
        {"Authorization": "Bearer other"},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "é"},
    ):
        answer = ask(headers={k: v.encode() for k, v in headers.items()})
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]
        assert answer.headers["www-authenticate"] == "Bearer"
    assert ask(headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert httpx.get(f"{tiny_app}api/v1/openapi.json").status_code == 200


CALLS = 250  # of each operation, good ones and bad ones
HOST = "127.0.0.1"
CHECKS: list[Any] = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SETTINGS = hypothesis.settings(
    max_examples=CALLS,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("CAUSALCLIP_TOKEN_FILE", str(tmp_path / "token"))
    whole = [
        encode(photo(width, 96), kind) for width, kind in ((128, "PNG"), (96, "JPEG"), (20, "PNG"))
    ]
    whole.append(encode(Image.new("RGB", (96, 96), "white"), "PNG"))  # gets no answer
    damaged = [whole[0][:500], whole[1][:-40] + bytes(40), b"GIF89a", b""]
    schemathesis.openapi.media_type(
        "image/jpeg", strategies.sampled_from([*whole, *damaged]) | strategies.binary()
    )
    detector = tiny_detector()
    guards = [Middleware(Gate, page=gr.Blocks(), check_api=check_sender, on_leave=cancel_jobs)]
    app = Starlette(routes=routes(lambda: detector), middleware=guards)
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"Host": HOST})


@pytest.mark.full
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"]
)
def test_every_call_is_answered_as_described(schema: Any, mode: GenerationMode) -> None:
    answers: set[tuple[str, int]] = set()

    def ask(case: Any) -> None:
        answer = case.call(headers={"Host": HOST})
        answers.add((case.path, answer.status_code))
        case.validate_response(answer, checks=CHECKS)

    for operation in schema.get_all_operations():
        cases = operation.ok().as_strategy(generation_mode=mode)
        hypothesis.seed(36)(SETTINGS(hypothesis.given(case=cases)(ask)))()
    assert len({path for path, _ in answers}) == 1
    assert ("/api/v1/examine", 200 if mode is GenerationMode.POSITIVE else 400) in answers
