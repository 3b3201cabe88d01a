"""The extension in Chromium: the very bytes of a picture reach the app, however a page holds it,
and nothing else."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, Worker, expect

from causalclip.examination.result import Examination
from tests.browser.conftest import ARGUMENTS, PATIENCE
from tests.conftest import CHROMIUM, ROOT
from tests.makers.metadata_files import unjudged_files
from tests.makers.pictures import encode, photo, starred
from ui.api import Examine, Form
from ui.jobs import Job
from ui.server.token import token


class _Site(SimpleHTTPRequestHandler):
    """Files of a folder; a page's own Content-Security-Policy stands in a file beside it."""

    def end_headers(self) -> None:
        policy = Path(self.translate_path(self.path)).with_suffix(".csp")
        if policy.is_file():
            self.send_header("Content-Security-Policy", policy.read_text())
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    """A folder, and two origins that serve it: for a page, and for what it takes from another
    host."""
    folder = tmp_path_factory.mktemp("site")
    for name, width in (("small", 320), ("large", 640)):
        (folder / f"{name}.jpg").write_bytes(encode(photo(width, width * 3 // 4), "JPEG"))
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), partial(_Site, directory=str(folder)))
        for _ in range(2)
    ]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    yield folder, *(f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Extended:
    """A browser with the extension. panel: its page, opened as a tab. worker: its background
    script."""

    context: BrowserContext
    worker: Worker
    panel: Page

    def open(self, address: str) -> Page:
        page = self.context.new_page()
        page.goto(address)
        return page

    def click(self, menu: str, page: Page, url: str | None = None) -> None:
        """What the browser does when somebody chooses from the menu; it takes no click from a
        test."""
        script = """async ({ menu, url, page }) => {
            await chrome.storage.session.remove("state");
            const [tab] = (await chrome.tabs.query({})).filter((one) => one.url === page);
            await chrome.tabs.update(tab.id, { active: true });
            const info = { menuItemId: menu, srcUrl: url, pageUrl: page, frameId: 0 };
            chrome.contextMenus.onClicked.dispatch(info, tab);
        }"""
        self.worker.evaluate(script, {"menu": menu, "url": url, "page": page.url})

    def step(self, name: str) -> None:
        expect(self.panel.locator(f"#said[data-step='{name}']")).to_be_attached()


@pytest.fixture(scope="session")
def extended(
    playwright: Playwright,
    tmp_path_factory: pytest.TempPathFactory,
    sites: tuple[Path, str, str],
    tiny_app: str,
) -> Iterator[Extended]:
    """With its token; of the pages it may read the first site alone, as after a click there."""
    folder = tmp_path_factory.mktemp("extended")
    extension = folder / "extension"
    shutil.copytree(ROOT / "extension", extension, ignore=shutil.ignore_patterns("node_modules"))
    manifest = json.loads((extension / "manifest.json").read_text())
    # No test can click on the browser's own question whether an address may be reached.
    reached = [f"{sites[1]}/*", f"{tiny_app}*", "http://127.0.0.1:9/*"]
    (extension / "manifest.json").write_text(json.dumps(manifest | {"host_permissions": reached}))
    loads = [f"--disable-extensions-except={extension}", f"--load-extension={extension}"]
    # what the browser asks for; all that the panel shows is English
    german = "--accept-lang=de-DE,de"
    context = playwright.chromium.launch_persistent_context(
        folder / "profile", executable_path=CHROMIUM, args=[*ARGUMENTS, german, *loads]
    )
    context.set_default_timeout(PATIENCE)
    worker = (
        context.service_workers[0]
        if context.service_workers
        else context.wait_for_event("serviceworker")
    )
    panel = context.new_page()
    panel.goto(f"chrome-extension://{worker.url.split('/')[2]}/panel.html")
    panel.get_by_label("Address").fill(tiny_app)
    panel.get_by_label("Token").fill(token())
    panel.get_by_role("button", name="Keep").click()
    expect(panel.locator("#kept")).to_have_text("Kept. Check a picture.")
    yield Extended(context, worker, panel)
    context.close()


Sites = tuple[Path, str, str]
TRUE = (
    "default-src 'none'; img-src 'self' data: blob:; script-src 'unsafe-inline'; connect-src 'none'"
)
BLOB = """<img><script>
const bytes = Uint8Array.from(atob("{data}"), (c) => c.charCodeAt(0));
document.querySelector("img").src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
</script>"""
PAGES = {  # what the page holds, and which file is to be read
    "plain": ("<img src='small.jpg'>", "small"),
    "data address": ("<img src='data:image/jpeg;base64,{data}'>", "small"),
    "blob": (BLOB, "small"),
    "srcset": (
        "<img src='small.jpg' srcset='small.jpg 320w, large.jpg 640w' sizes='320px'>",
        "large",
    ),
    "lazy by script": (
        "<img width=300 src='data:image/gif;base64,{dot}' data-src='small.jpg'>",
        "small",
    ),
    "picture": ("<picture><source srcset='large.jpg 2x'><img src='small.jpg'></picture>", "large"),
}
DOT = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def digest(folder: Path, name: str) -> str:
    return hashlib.sha256((folder / f"{name}.jpg").read_bytes()).hexdigest()


def write(folder: Path, name: str, body: str, *, policy: str = "") -> str:
    data = base64.b64encode((folder / "small.jpg").read_bytes()).decode()
    held = body.replace("{data}", data).replace("{dot}", DOT)
    (folder / f"{name}.html").write_text(f"<!doctype html><title>x</title>{held}")
    if policy:
        (folder / f"{name}.csp").write_text(policy)
    return f"{name}.html"


@pytest.mark.parametrize("kind", PAGES)
def test_the_very_bytes_are_checked(extended: Extended, sites: Sites, kind: str) -> None:
    body, file = PAGES[kind]
    folder, site, _ = sites
    page = extended.open(f"{site}/{write(folder, kind.replace(' ', '-'), body, policy=TRUE)}")
    shown = page.evaluate(
        "async () => { const i = document.images[0]; await i.decode(); return i.currentSrc; }"
    )
    extended.click("check-picture", page, shown)
    extended.step("answered")
    said = extended.panel.locator("#said")
    expect(said).to_contain_text(digest(folder, file))
    expect(said).to_contain_text(page.url)
    assert ("largest version" in said.inner_text()) is (kind in {"srcset", "lazy by script"})
    page.close()


def test_a_visible_mark_is_enlarged_and_a_refused_picture_says_what_its_file_says(
    extended: Extended, sites: Sites
) -> None:
    folder, site, _ = sites
    (folder / "starred.jpg").write_bytes(encode(starred(), "JPEG"))
    (folder / "tiny.png").write_bytes(unjudged_files()["too small"])
    body = "<img src=starred.jpg><img src=tiny.png>"
    page, said = (
        extended.open(f"{site}/{write(folder, 'marks', body)}"),
        extended.panel.locator("#said"),
    )
    extended.click("check-picture", page, f"{site}/starred.jpg")
    extended.step("answered")
    expect(said.locator("h1")).to_have_text("Gemini's mark is on it")
    mark = said.get_by_alt_text("The mark, enlarged")
    expect(mark).to_be_visible()
    assert mark.evaluate("one => one.naturalWidth === one.naturalHeight && one.naturalWidth > 200")
    extended.click("check-picture", page, f"{site}/tiny.png")
    extended.step("failed")
    expect(said.locator("h1")).to_have_text("The file says that it was made with Ideogram")
    expect(said).to_contain_text("Its pixels were not judged.")
    expect(said).to_contain_text("Ideogram (metadata): “Ideogram AI”")
    page.close()


def test_another_hosts_picture_is_asked_for_and_never_taken_from_the_screen_unasked(
    extended: Extended, sites: Sites
) -> None:
    folder, site, other = sites
    page = extended.open(f"{site}/{write(folder, 'elsewhere', f'<img src={other}/small.jpg>')}")
    extended.click("check-picture", page, f"{other}/small.jpg")
    extended.step("out of reach")
    expect(
        extended.panel.get_by_role("button", name=f"Let the extension read from {other}")
    ).to_be_visible()
    expect(extended.panel.get_by_role("button", name="screenshot")).to_be_visible()
    page.close()


def test_an_earlier_pictures_check_does_not_take_the_place_of_the_next(
    extended: Extended, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, first = Event(), Examine._work
    folder, site, _ = sites
    slow = (folder / "small.jpg").read_bytes()

    def work(it: Examine, job: Job[Examination], form: Form) -> Iterator[Examination]:
        if form.stability == "yes" and form.picture.size == len(slow):
            free.wait(300)
        yield from first(it, job, form)

    monkeypatch.setattr(Examine, "_work", work)
    page = extended.open(f"{site}/{write(folder, 'two', '<img src=small.jpg><img src=large.jpg>')}")
    extended.click("check-picture", page, f"{site}/small.jpg")
    said = extended.panel.locator("#said")
    expect(said).to_contain_text("Testing 8 re-saved copies")
    extended.click("check-picture", page, f"{site}/large.jpg")
    expect(said).to_contain_text(digest(folder, "large"))
    expect(said).to_have_attribute("data-checking", "")
    extended.click("check-page", page)
    extended.step("choose")
    free.set()
    extended.panel.wait_for_timeout(1500)  # in which the earlier one's check comes
    extended.step("choose")
    page.close()


def test_another_address_gets_no_token_of_this_one(extended: Extended) -> None:
    kept = "() => chrome.storage.local.get(['address', 'token'])"
    before, form = extended.worker.evaluate(kept), extended.panel
    setup = form.locator("#setup")
    setup.evaluate("one => { one.open = true }")

    def keep(address: str, token: str = "") -> dict[str, str]:
        form.get_by_label("Address").fill(address)
        form.get_by_label("Token").fill(token)
        form.locator("#kept").evaluate("one => { one.textContent = '' }")
        form.get_by_role("button", name="Keep", exact=True).click()
        expect(form.locator("#kept")).to_have_text("Kept. Check a picture.")
        return dict(extended.worker.evaluate(kept))

    try:
        assert before["token"]
        assert keep(f"{before['address']}/")["token"] == before["token"]
        assert keep("http://127.0.0.1:9") == {"address": "http://127.0.0.1:9", "token": ""}
        assert keep(before["address"])["token"] == ""
        assert keep("http://127.0.0.1:9", "of-that-one")["token"] == "of-that-one"
    finally:
        extended.worker.evaluate("kept => chrome.storage.local.set(kept)", before)


def test_it_asks_for_no_more_than_is_said() -> None:
    manifest = json.loads((ROOT / "extension" / "manifest.json").read_text())
    assert set(manifest["permissions"]) == {
        "contextMenus",
        "activeTab",
        "scripting",
        "sidePanel",
        "storage",
    }
    assert "host_permissions" not in manifest
    assert "content_scripts" not in manifest
    scripts = "".join(path.read_text() for path in (ROOT / "extension").glob("*.js"))
    assert "innerHTML" not in scripts
    # the app, the page's picture, the worker's, and data addresses
    assert scripts.count("fetch(") == 4
