"""The app over HTTP: what the API answers, what it refuses, and what it keeps to itself."""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from causalclip.clip.runtime import UnknownRuntime
from causalclip.images.formats import BrokenImage
from causalclip.report.card import failure
from tests.conftest import WATCH, Served
from tests.makers.pictures import encode, photo
from tests.ui.asking import number_of
from ui import app
from ui.fields import explain

NAME = "a-name-that-must-not-be-logged"


@pytest.fixture(scope="module")
def client(tiny_app: str) -> Client:
    return Client(tiny_app, verbose=False)


def picture(
    folder: Path, *, name: str = f"{NAME}.jpg", kind: str = "JPEG", cut: int | None = None
) -> Any:
    path = folder / name
    path.write_bytes(encode(photo(320, 240), kind)[:cut])
    return handle_file(str(path))


def call(address: str, payload: object) -> str:
    """The stream of events that the endpoint answers a raw request with: what no well-behaved
    client would send."""
    url = f"{address}gradio_api/call/detect"
    event = httpx.post(url, json={"data": [payload]})
    if event.status_code != 200:
        return event.text
    return httpx.get(f"{url}/{event.json()['event_id']}").text


# Answers ------------------------------------------------------------------------------------------


def test_endpoints_share_one_schema(client: Client, tmp_path: Path) -> None:
    file = picture(tmp_path)
    whole, claims = (client.predict(file, api_name=name) for name in ("/detect", "/provenance"))
    report = Path(client.predict(file, api_name="/report")).read_text(encoding="utf-8")
    assert set(claims) | {"earlier_quality"} == set(whole["provenance"])
    assert claims["credentials"] == whole["provenance"]["credentials"]
    assert claims["jpeg"]["quality"] == 97
    assert whole["band"] == whole["stability"]["final_band"]
    assert whole["band"] in {"likely generated", "inconclusive", "likely not generated"}
    assert (whole["width"], whole["height"], whole["format"]) == (320, 240, "JPEG")
    assert [row["name"] for row in whole["stability"]["rows"]][:4] == [
        "JPEG 90",
        "JPEG 70",
        "WebP 80",
        "0.75x",
    ]
    for value in (whole["sha256"], whole["perceptual_hash"], whole["provenance"]["summary"]):
        assert value in report
    assert NAME not in report
    assert NAME not in json.dumps(whole)


def test_there_is_no_way_around_the_queue(tiny_app: str) -> None:
    """Gradio would answer both at once, whatever else goes on; by number instead of name, too."""
    body = {"data": [None], "fn_index": number_of(tiny_app, "detect"), "session_hash": "direct"}
    for path in ("run/detect", "api/detect", "run/predict", "run/predict/"):
        answer = httpx.post(f"{tiny_app}gradio_api/{path}", json=body)
        assert answer.status_code == 404, answer.text
        assert "queue" in answer.text or "nothing here" in answer.text


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert list(endpoints["named_endpoints"]) == ["/detect", "/report", "/provenance", "/compare"]
    assert not endpoints["unnamed_endpoints"]


# Refusals -----------------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A picture on the server that nobody has uploaded."""
    path = tmp_path / "secret.png"
    path.write_bytes(encode(photo(), "PNG"))
    return path


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_a_path_on_the_server_is_refused(
    tiny_app: str, secret: Path, uploads: Path, meta: dict
) -> None:
    answer = call(tiny_app, {"path": str(secret), **meta})
    assert "error" in answer
    assert "probability" not in answer
    climbing = call(
        tiny_app, {"path": f"{uploads}/../../{secret.relative_to(uploads.parents[1])}", **meta}
    )
    assert "probability" not in climbing
    assert httpx.get(f"{tiny_app}gradio_api/file={secret}").status_code in {403, 404}


def test_a_fault_of_ours_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise OSError(f"cannot open {NAME}.jpg")
    except OSError as error:
        title, sentence = explain(error)
    assert "Something went wrong" in title
    assert NAME not in sentence + caplog.text
    assert "OSError" in caplog.text
    assert explain(UnknownRuntime("It can be int8.")) == (
        "The app is not set up correctly",
        "It can be int8.",
    )
    assert explain(BrokenImage("It is cut short.")) == (
        "This file could not be read",
        "It is cut short.",
    )
    assert "&lt;b&gt;" in failure("<b>", "<b>")


# What is kept, logged and sent --------------------------------------------------------------------


def test_nothing_lives_longer_than_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment asks for. That files go is tested in
    tests/browser/test_keeping.py."""
    for asked, limit in ((None, app.KEPT), ("60", 60), ("999999", app.KEPT)):
        monkeypatch.setenv("CAUSALCLIP_KEPT", asked) if asked else monkeypatch.delenv(
            "CAUSALCLIP_KEPT", raising=False
        )
        life, period = app.lifetime()
        assert life == limit
        assert life + 2 * period < 3600


def test_a_picture_causes_no_traffic_and_no_trace_in_the_log(
    real_app: Served, tmp_path: Path, secret: Path
) -> None:
    """The app as a user starts it; every connection that it tries to anywhere else is refused and
    written down."""
    client = Client(real_app.address, verbose=False)
    answer = client.predict(picture(tmp_path), api_name="/detect")
    assert answer["model"]
    with pytest.raises(Exception, match="cut short") as caught:
        client.predict(picture(tmp_path, cut=900), api_name="/detect")
    assert NAME not in str(caught.value)
    call(real_app.address, {"path": "http://192.0.2.1/x.png", "meta": {"_type": "gradio.FileData"}})
    jpeg = encode(photo(320, 240), "JPEG")
    data = base64.b64encode(jpeg).decode()
    inline = f"data:image/jpeg;base64,{data}"
    for forged in (
        f"/srv/{NAME}.jpg",
        inline,
        {"path": f"/srv/{NAME}.jpg"},
        {"path": inline},
        {"path": [NAME]},
    ):
        assert "error" in call(real_app.address, forged)
    time.sleep(2)  # what is reported to others is sent in the background
    assert set(real_app.traffic.read_text().splitlines()) == {"watching"}  # each process says so
    log = real_app.output.read_text()
    assert NAME not in log
    assert str(tmp_path) not in log
    assert data[:60] not in log
    assert answer["sha256"] not in log


def test_the_watch_over_the_network_sees_and_refuses(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "TRAFFIC": str(tmp_path / "traffic.txt"),
    }
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "may not reach the network" in done.stderr
    assert (tmp_path / "traffic.txt").read_text().splitlines() == [
        "watching",
        "socket.getaddrinfo 192.0.2.1",
    ]


def test_an_upload_is_named_in_one_call_at_once(tiny_page: tuple[Any, str]) -> None:
    """By which the server learns whose it is; another one would come before the verdict."""
    config = tiny_page[0].get_config_file()
    fields = {
        c["props"].get("elem_id"): c["id"]
        for c in config["components"]
        if c["type"] in ("image", "file")
    }
    calls = [d for d in config["dependencies"] if d["backend_fn"]]
    on_upload = {
        name: [d for d in calls if [n, "upload"] in map(list, d["targets"])]
        for name, n in fields.items()
    }
    shown = [name for name, heard in on_upload.items() if heard]
    assert {
        "picture",
        "compare-a",
        "compare-b",
        "explore-a",
        "batch-files",
        "archive-given",
    } <= set(shown)
    for name in shown:
        assert [d["queue"] for d in on_upload[name] if fields[name] in d["inputs"]] == [False], name
    assert len(on_upload["picture"]) == 1


ANSWERS = (
    "Likely generated",
    "Inconclusive",
    "Likely not generated",
    "No answer for this kind of picture",
)


def test_the_address_or_the_browser_says_the_language_and_the_next_visitor_has_another(
    tiny_app: str,
) -> None:
    arabic = httpx.get(tiny_app, params={"lang": "ar"})
    assert 'lang="ar" dir="rtl"' in arabic.text
    assert "lang" not in arabic.headers.get("set-cookie", "")
    german = httpx.get(tiny_app, headers={"Accept-Language": "de-AT, en;q=0.5"})
    english = httpx.get(tiny_app, headers={"Accept-Language": "nl"})
    assert "Diesen Ausschnitt untersuchen" in german.text
    assert 'lang="de" dir="ltr"' in german.text
    assert "accept-language" in german.headers["vary"]
    assert "Diesen Ausschnitt untersuchen" not in english.text
    assert 'lang="en"' in english.text
    chinese = httpx.get(tiny_app, params={"lang": "zh-CN"})
    assert 'lang="zh" dir="ltr"' in chinese.text
    assert '"gradio": "zh-CN"' in chinese.text
