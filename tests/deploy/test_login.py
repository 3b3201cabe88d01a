"""The login of deploy/site/https.conf.example, by a real nginx: people log in, programs bring the app's token."""

import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ROOT
from tests.makers.pictures import encode, photo
from tests.proxy import Proxied, proxied
from ui.server.middleware import TOKEN as VARIABLE

EXAMPLE = (ROOT / "deploy" / "site" / "https.conf.example").read_text()
TOKEN = "made-up-by-the-host"
LOGIN = EXAMPLE[EXAMPLE.index("# A login") :]


@pytest.fixture(scope="module")
def guarded(tiny_app: str) -> Iterator[Proxied]:
    digest = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True).stdout
    with (
        pytest.MonkeyPatch.context() as patch,
        proxied(tiny_app, site={"login.conf": LOGIN, "people": f"anna:{digest}"}) as before,
    ):
        patch.setenv(VARIABLE, TOKEN)
        yield before


def test_people_log_in(guarded: Proxied) -> None:
    for path in ("", "config", "gradio_api/info", "manifest.json"):
        asked = httpx.get(f"{guarded.address}{path}")
        assert (asked.status_code, "CausalCLIP" in asked.headers["www-authenticate"]) == (401, True)
        assert httpx.get(f"{guarded.address}{path}", auth=("anna", "wrong")).status_code == 401
    assert httpx.get(guarded.address, auth=("anna", "secret")).status_code == 200
    assert httpx.get(f"{guarded.address}%61pi/v1/../../config").status_code == 401
    assert httpx.get(f"{guarded.address}healthz").status_code != 401


def test_programs_bring_the_token(guarded: Proxied) -> None:
    address, files = f"{guarded.address}api/v1/examine", {"picture": encode(photo(64, 64), "JPEG")}
    assert httpx.post(address, files=files).status_code == 401
    assert httpx.post(address, files=files, auth=("anna", "secret")).status_code == 401
    answer = httpx.post(address, files=files, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text


def test_nothing_of_it_is_logged(guarded: Proxied) -> None:
    assert guarded.log.read_text() == ""
