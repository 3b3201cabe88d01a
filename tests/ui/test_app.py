"""The app over HTTP: what the API answers, what it refuses, and what it keeps to itself."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from causalclip.images.formats import BrokenImage
from causalclip.report.card import failure
from causalclip.settings import MAX_KEPT, SettingsError
from tests.conftest import Served
from tests.makers.pictures import encode, photo
from ui import app
from ui.errors import explain

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


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert list(endpoints["named_endpoints"]) == ["/detect", "/report", "/provenance", "/compare"]
    assert not endpoints["unnamed_endpoints"]


# Refusals -----------------------------------------------------------------------------------------


def test_a_fault_of_ours_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise OSError(f"cannot open {NAME}.jpg")
    except OSError as error:
        title, sentence = explain(error)
    assert "Something went wrong" in title
    assert NAME not in sentence + caplog.text
    assert "OSError" in caplog.text
    assert explain(SettingsError("It can be int8.")) == (
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
    for asked, limit in (("", MAX_KEPT), ("60", 60), ("3000", MAX_KEPT)):
        monkeypatch.setenv("CAUSALCLIP_KEPT", asked)
        life, period = app.lifetime()
        assert life == limit
        assert life + 2 * period < 3600
    monkeypatch.setenv("CAUSALCLIP_KEPT", "3001")
    with pytest.raises(SettingsError):
        app.lifetime()


@pytest.mark.full
def test_a_picture_causes_no_traffic_and_no_trace_in_the_log(
    real_app: Served, tmp_path: Path
) -> None:
    """The app as a user starts it; every connection that it tries to anywhere else is refused and
    written down."""
    client = Client(real_app.address, verbose=False)
    answer = client.predict(picture(tmp_path), api_name="/detect")
    assert answer["model"]
    with pytest.raises(Exception, match="cut short") as caught:
        client.predict(picture(tmp_path, cut=900), api_name="/detect")
    assert NAME not in str(caught.value)
    time.sleep(2)  # what is reported to others is sent in the background
    assert set(real_app.traffic.read_text().splitlines()) == {"watching"}  # each process says so
    log = real_app.output.read_text()
    assert NAME not in log
    assert str(tmp_path) not in log
    assert answer["sha256"] not in log


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
        "mask-picture",
        "batch-files",
        "reference-profile-upload",
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
    assert "Diesen Ausschnitt beurteilen" in german.text
    assert 'lang="de" dir="ltr"' in german.text
    assert "accept-language" in german.headers["vary"]
    assert "Diesen Ausschnitt beurteilen" not in english.text
    assert 'lang="en"' in english.text
    chinese = httpx.get(tiny_app, params={"lang": "zh-CN"})
    assert 'lang="zh" dir="ltr"' in chinese.text
    assert '"gradio": "zh-CN"' in chinese.text
