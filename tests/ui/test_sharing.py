"""The door of what a phone shares: who may send, what, how much, and for how long it is kept."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from causalclip.images.formats import MAX_BYTES
from tests.makers.pictures import encode, photo
from ui.sharing import AN_ADDRESS, FREE, MOST, Shares, webapp_routes

JPEG = encode(photo(320, 240), "JPEG")
BY_MENU = {"Sec-Fetch-Site": "none", "Origin": "null"}  # as a browser sends what its user has shared


def share(app: str, content: bytes = JPEG, **options: Any) -> httpx.Response:
    return httpx.post(f"{app}share", files={"picture": ("secret-name.jpg", content)}, **options)


def test_a_shared_picture_is_given_out_once_and_as_it_was(tiny_app: str) -> None:
    answer = share(tiny_app, headers=BY_MENU)
    assert answer.status_code == 303, answer.text
    place = str(httpx.URL(tiny_app).join(answer.headers["location"].replace("?shared=", "shared/")))
    given, again = httpx.get(place), httpx.get(place)
    assert given.content == JPEG
    assert given.headers["content-disposition"] == "attachment"
    assert given.headers["x-content-type-options"] == "nosniff"
    assert (again.status_code, again.text) == (404, "The picture is no longer kept. Add it again.")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {**BY_MENU, "Host": "evil.example"},
    ],
)
def test_other_sites_cannot_share(tiny_app: str, headers: dict[str, str]) -> None:
    assert share(tiny_app, headers=headers).status_code in {403, 421}


def test_what_is_no_picture_is_not_kept_and_the_person_is_told(tiny_app: str) -> None:
    answer = share(tiny_app, b"<script>alert(1)</script>", headers=BY_MENU | {"Accept-Language": "de"})
    assert answer.status_code == 415
    assert answer.headers["content-type"].startswith("text/html")
    assert '<html lang="de"' in answer.text
    assert "script" not in answer.text.replace("description", "")
    assert '<a href="./">' in answer.text
    two = httpx.post(f"{tiny_app}share", files=[("picture", JPEG), ("picture", JPEG)], headers=BY_MENU)
    assert (two.status_code, "one picture at a time" in two.text) == (400, True)
    address = httpx.post(f"{tiny_app}share", data={"picture": "https://example.org/x.jpg"}, headers=BY_MENU)
    assert address.status_code == 415
    assert httpx.post(f"{tiny_app}share", headers=BY_MENU, content=b"x").status_code == 415
    large = share(tiny_app, b"\xff\xd8\xff" + bytes(MAX_BYTES + 2**17), headers=BY_MENU)
    assert (large.status_code, "20 MB" in large.text) == (413, True)


def test_nothing_else_is_there(tiny_app: str) -> None:
    assert httpx.get(f"{tiny_app}shared/{'a' * 43}").status_code == 404
    assert httpx.get(f"{tiny_app}shared/..%2f..%2fetc%2fpasswd").status_code == 404
    assert httpx.get(f"{tiny_app}share").status_code == 404
    assert httpx.get(f"{tiny_app}icon-193.png").status_code == 404
    assert httpx.get(f"{tiny_app}icon-192.png").headers["content-type"] == "image/png"


@pytest.fixture
def kept() -> Iterator[tuple[Shares, TestClient]]:
    shares = Shares(life=0.3)
    with TestClient(Starlette(routes=webapp_routes(shares)), follow_redirects=False) as client:
        yield shares, client


def test_few_are_kept_and_none_for_long(kept: tuple[Shares, TestClient]) -> None:
    shares, client = kept
    statuses = [client.post("/share", files={"picture": JPEG}).status_code for _ in range(AN_ADDRESS + 1)]
    assert statuses == [303] * AN_ADDRESS + [503]
    assert len(shares.kept) == AN_ADDRESS
    client.portal.call(asyncio.sleep, 0.5)  # type: ignore[union-attr]
    assert not shares.kept
    shares.kept |= {str(n): (f"192.0.2.{n % 2}", JPEG) for n in range(MOST - FREE)}
    assert client.post("/share", files={"picture": JPEG}).status_code == 303  # others still have room
    assert client.post("/share", files={"picture": JPEG}).status_code == 503
    shares.kept |= {str(n): (f"192.0.2.{n}", JPEG) for n in range(MOST)}
    assert client.post("/share", files={"picture": JPEG}).status_code == 503
    shares.kept.clear()
    assert client.post("/share", files={"picture": b"x"}).status_code == 415
    assert client.post("/share", files={"picture": JPEG}).status_code == 303
