"""The page as a web app: Chromium's own checks of its manifest, and a picture that a phone shares with it."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, Playwright

from tests.browser.conftest import PATIENCE
from tests.conftest import CHROMIUM
from tests.makers.pictures import encode, photo

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def phone(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A phone's window that can install pages, which those of other tests cannot."""
    emulated = {name: value for name, value in playwright.devices["Pixel 7"].items() if name != "default_browser_type"}
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path_factory.mktemp("phone")),
        executable_path=CHROMIUM,
        args=["--no-sandbox", "--disable-gpu"],
        **emulated,
    )
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def test_a_shared_picture_arrives_in_detect(phone: Page, tiny_app: str) -> None:
    sent = {"picture": ("IMG_0001.jpg", encode(photo(320, 240), "JPEG"))}
    by_menu = {"Sec-Fetch-Site": "none", "Origin": "null"}  # as a browser sends what its user has shared
    answer = httpx.post(f"{tiny_app}share", files=sent, headers=by_menu)
    assert answer.status_code == 303, answer.text
    phone.goto(str(httpx.URL(tiny_app).join(answer.headers["location"])))
    phone.locator("#status .cc-scale").wait_for()
    phone.locator("#picture img").wait_for()
    assert "shared" not in phone.url
