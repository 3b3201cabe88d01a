"""Chromium with the extension loaded and paired, and pages that make it hard to get at a picture."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, Worker, expect

from tests.browser.conftest import ARGUMENTS, PATIENCE
from tests.conftest import CHROMIUM, ROOT
from tests.makers.pictures import encode, photo
from ui.pairing import PAIRINGS


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
    """A folder, and two origins that serve it: for a page, and for what it takes from another host."""
    folder = tmp_path_factory.mktemp("site")
    for name, width in (("small", 320), ("large", 640)):
        (folder / f"{name}.jpg").write_bytes(encode(photo(width, width * 3 // 4), "JPEG"))
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), partial(_Site, directory=str(folder))) for _ in range(2)]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    yield folder, *(f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Extended:
    """A browser with the extension. panel: its page, opened as a tab. worker: its background script."""

    context: BrowserContext
    worker: Worker
    panel: Page

    def open(self, address: str) -> Page:
        page = self.context.new_page()
        page.goto(address)
        return page

    def click(self, menu: str, page: Page, url: str | None = None) -> None:
        """What the browser does when somebody chooses from the menu; it takes no click from a test."""
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
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory, sites: tuple[Path, str, str], tiny_app: str
) -> Iterator[Extended]:
    """Paired; of the pages it may read the first site alone, as after a click there."""
    folder = tmp_path_factory.mktemp("extended")
    extension = folder / "extension"
    shutil.copytree(ROOT / "extension", extension, ignore=shutil.ignore_patterns("node_modules"))
    manifest = json.loads((extension / "manifest.json").read_text())
    (extension / "manifest.json").write_text(json.dumps(manifest | {"host_permissions": [f"{sites[1]}/*"]}))
    loads = [f"--disable-extensions-except={extension}", f"--load-extension={extension}"]
    german = "--accept-lang=de-DE,de"  # what the browser asks for; all that the panel shows is English
    context = playwright.chromium.launch_persistent_context(
        folder / "profile", executable_path=CHROMIUM, args=[*ARGUMENTS, german, *loads]
    )
    context.set_default_timeout(PATIENCE)
    worker = context.service_workers[0] if context.service_workers else context.wait_for_event("serviceworker")
    panel = context.new_page()
    panel.goto(f"chrome-extension://{worker.url.split('/')[2]}/panel.html")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PAIRINGS, "_file", folder / "paired.json")
        patch.setattr(PAIRINGS, "_known", [])
        code = PAIRINGS.new_code("127.0.0.1")
        panel.get_by_label("Address").fill(tiny_app)
        panel.get_by_label("Code").fill(f"{code[:4]} {code[4:]}")
        panel.get_by_role("button", name="Keep").click()
        expect(panel.locator("#kept")).to_have_text("Paired. Check a picture.")
        yield Extended(context, worker, panel)
    context.close()
