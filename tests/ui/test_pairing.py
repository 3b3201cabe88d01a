"""A browser extension is let in after its code was typed, and nobody else's origin is."""

import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.makers.pictures import encode, photo
from ui.pairing import AN_ADDRESS, MOST, PAIRINGS, TRIES, Pairings

OURS, OTHER = "chrome-extension://abcdefghijklmnop", "chrome-extension://ponmlkjihgfedcba"
JPEG = encode(photo(200, 160), "JPEG")


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's own register, emptied, and kept elsewhere."""
    monkeypatch.setattr(PAIRINGS, "_file", tmp_path / "paired.json")
    monkeypatch.setattr(PAIRINGS, "_known", [])
    monkeypatch.setattr(PAIRINGS, "_from", {})


def call(app: str, path: str, method: str = "POST", **options: Any) -> httpx.Response:
    return httpx.request(method, f"{app}api/v1/{path}", **options)


def test_a_code_works_once_and_for_two_minutes(tmp_path: Path) -> None:
    clock = Clock()
    pairings = Pairings(tmp_path / "paired.json", now=clock)
    assert pairings.redeem("", OURS) is None
    code = pairings.new_code()
    token = pairings.redeem(code, OURS)
    assert token
    assert len(token) >= 43
    assert pairings.redeem(code, OURS) is None
    late = pairings.new_code()
    clock.seconds = 121
    assert pairings.redeem(late, OURS) is None


def test_nobody_guesses_at_anothers_code_or_makes_it_void(tmp_path: Path) -> None:
    pairings = Pairings(tmp_path / "paired.json")
    code = pairings.new_code("10.0.0.1")
    pairings.new_code("10.0.0.2")
    for _ in range(2 * TRIES):
        assert (
            pairings.redeem("00000000" if code != "00000000" else "1" * 8, OURS, "10.0.0.2") is None
        )
    assert pairings.redeem(code, OURS, "10.0.0.2") is None
    assert pairings.redeem(code, OURS, "10.0.0.1")


def test_it_is_remembered_without_the_token_and_can_be_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "new" / "paired.json"
    token = Pairings(file).redeem("x", OURS) or _paired(Pairings(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token not in file.read_text()
    again = Pairings(file)
    assert again.knows(OURS)
    assert again.accepts(token, OURS)
    assert again.accepts(token, "")
    assert not again.accepts(token, OTHER)
    assert again.forget() == 1
    assert not Pairings(file).accepts(token, OURS)
    file.write_text("{broken")
    assert not Pairings(file).knows(OURS)


def _paired(pairings: Pairings) -> str:
    token = pairings.redeem(pairings.new_code(), OURS)
    assert token
    return token


@pytest.mark.usefixtures("paired")
def test_an_extension_pairs_and_asks(tiny_app: str) -> None:
    asked = {"Origin": OURS, "Sec-Fetch-Site": "cross-site"}
    picture = {"picture": ("a", JPEG)}
    assert call(tiny_app, "examine", headers=asked, files=picture).status_code == 401
    code = PAIRINGS.new_code("127.0.0.1")
    wrong = call(
        tiny_app,
        "pair",
        headers=asked,
        json={"code": "00000000" if code != "00000000" else "1" * 8},
    )
    assert wrong.status_code == 403
    assert wrong.headers["access-control-allow-origin"] == OURS
    answer = call(tiny_app, "pair", headers=asked, json={"code": code})
    assert answer.status_code == 200, answer.text
    token = answer.json()["token"]
    before = call(
        tiny_app, "examine", "OPTIONS", headers=asked | {"Access-Control-Request-Method": "POST"}
    )
    assert before.status_code == 200
    assert "Authorization" in before.headers["access-control-allow-headers"]
    found = call(
        tiny_app, "examine", headers=asked | {"Authorization": f"Bearer {token}"}, files=picture
    )
    assert found.status_code == 200, found.text
    assert found.headers["access-control-allow-origin"] == OURS
    assert "access-control-allow-credentials" not in found.headers
    stolen = {"Origin": OTHER, "Authorization": f"Bearer {token}"}
    refused = call(tiny_app, "examine", headers=stolen, files=picture)
    assert refused.status_code == 401
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.usefixtures("paired")
def test_pages_cannot_pair_and_the_rest_of_the_app_stays_closed(tiny_app: str) -> None:
    code = PAIRINGS.new_code("127.0.0.1")
    for origin in ("https://example.org", ""):
        headers = {"Origin": origin} if origin else {}
        assert call(tiny_app, "pair", headers=headers, json={"code": code}).status_code == 403
    assert call(tiny_app, "pair", headers={"Origin": OURS}, json={"code": code}).status_code == 200
    elsewhere = httpx.post(
        f"{tiny_app}gradio_api/upload", headers={"Origin": OURS}, files={"files": ("a", JPEG)}
    )
    assert elsewhere.status_code == 403
    before = httpx.options(f"{tiny_app}gradio_api/upload", headers={"Origin": OURS})
    assert before.status_code == 403
    foreign = call(tiny_app, "examine", "OPTIONS", headers={"Origin": OURS, "Host": "evil.example"})
    assert foreign.status_code == 421


def test_nobody_drives_out_anothers_extension(tmp_path: Path) -> None:
    """A hundred pairings from one address with invented origins let everybody's extensions out."""
    pairings = Pairings(tmp_path / "paired.json")
    mine = pairings.redeem(pairings.new_code("192.0.2.1"), OURS, "192.0.2.1")
    tokens = [
        pairings.redeem(pairings.new_code("192.0.2.2"), f"{OTHER[:-3]}{i:03d}", "192.0.2.2")
        for i in range(2 * MOST)
    ]
    assert pairings.accepts(str(mine), OURS)
    assert [pairings.accepts(str(token), "") for token in tokens].count(True) == AN_ADDRESS
    for number in range(MOST // AN_ADDRESS + 5):
        for _ in range(AN_ADDRESS):
            assert pairings.redeem(pairings.new_code(f"10.0.0.{number}"), OTHER, f"10.0.0.{number}")
    assert pairings.accepts(str(mine), OURS)
    assert len(pairings._known) == MOST
