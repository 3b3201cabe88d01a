"""python -m benchmarks.rightclick: from a right-click on a web page's picture to the answer in the extension's panel.

The app runs as a user starts it, with the shipped model. Chromium has the extension, and its panel open in a tab. A
test cannot click a browser's own menu: time runs from the event that such a click brings, to the verdict and to its
check of stability, which the panel asks for after it. Where the load is more than the cores, seconds on the wall are
of a busy machine: the app's processor seconds stand beside them. What came of it is kept in measured.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psutil
from PIL import Image
from skimage import data

from tests.serving import ROOT, Served, served

KEPT = Path(__file__).parent / "measured.json"
PICTURES = {"astronaut, 512 x 512": data.astronaut, "coffee, 600 x 400": data.coffee}  # photographs, and both JPEG
Row = tuple[float, float, float, float]  # until the verdict and until its check: seconds, processor seconds
TOKEN, PATIENCE = "of-this-benchmark", 180_000
CLICK = """async ({ url, page }) => {
    await chrome.storage.session.remove("state");
    const [tab] = (await chrome.tabs.query({})).filter((one) => one.url === page);
    const info = { menuItemId: "check-picture", srcUrl: url, pageUrl: page, frameId: 0 };
    chrome.contextMenus.onClicked.dispatch(info, tab);
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=10, help="of each picture, after two that are not counted")
    given = parser.parse_args()
    os.environ["CAUSALCLIP_TOKEN"] = TOKEN
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app:
        found = measure(app, Path(name), clicks=given.clicks)
    KEPT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def measure(app: Served, folder: Path, *, clicks: int) -> dict[str, Any]:
    """Seconds and the app's processor seconds of every click."""
    from playwright.sync_api import sync_playwright

    while httpx.get(f"{app.address}healthz", timeout=60).status_code != 200:
        time.sleep(1)
    site = _site(folder / "site")
    with sync_playwright() as playwright:
        context, worker, panel = _browser(playwright, folder, app, site)
        rows = {}
        for name in PICTURES:
            page = context.new_page()
            page.goto(f"{site}/{name.partition(',')[0]}.html")
            rows[name] = _summary([_click(app, worker, panel, page) for _ in range(clicks + 2)][2:])
        context.close()
    about = {"date": date.today().isoformat(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    about["niceness"] = os.nice(0)  # below 0: before what else the machine does
    return about | _detector() | {"pictures": rows}


def _site(folder: Path) -> str:
    """A page a picture; its address."""
    folder.mkdir()
    for name, picture in PICTURES.items():
        short = name.partition(",")[0]
        Image.fromarray(picture()).save(folder / f"{short}.jpg", quality=90)
        (folder / f"{short}.html").write_text(f"<!doctype html><title>{short}</title><img src={short}.jpg>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def _browser(playwright: Any, folder: Path, app: Served, site: str) -> tuple[Any, Any, Any]:
    """With the extension, which may read from the site as after a click there, and knows the app."""
    extension = folder / "extension"
    shutil.copytree(ROOT / "extension", extension, ignore=shutil.ignore_patterns("node_modules"))
    manifest = json.loads((extension / "manifest.json").read_text())
    (extension / "manifest.json").write_text(json.dumps(manifest | {"host_permissions": [f"{site}/*"]}))
    loads = [f"--disable-extensions-except={extension}", f"--load-extension={extension}"]
    arguments = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox", "--disable-gpu", *loads]}
    context = playwright.chromium.launch_persistent_context(str(folder / "profile"), **arguments)
    worker = context.service_workers[0] if context.service_workers else context.wait_for_event("serviceworker")
    panel = context.new_page()
    panel.goto(f"chrome-extension://{worker.url.split('/')[2]}/panel.html")
    panel.get_by_label("Address").fill(app.address)
    panel.get_by_label("Token").fill(TOKEN)
    panel.get_by_role("button", name="Keep").click()
    return context, worker, panel


def _click(app: Served, worker: Any, panel: Any, page: Any) -> Row:
    panel.evaluate("() => (document.querySelector('#said').dataset.step = '')")  # the answer before it is not this one
    before, began = _spent(app), time.monotonic()
    worker.evaluate(CLICK, {"url": page.evaluate("document.images[0].currentSrc"), "page": page.url})
    panel.locator("#said[data-step='answered']").wait_for(state="attached", timeout=PATIENCE)
    verdict, spent = time.monotonic() - began, _spent(app) - before
    panel.locator("#said[data-step='answered'][data-checking='']").wait_for(state="attached", timeout=PATIENCE)
    return verdict, spent, time.monotonic() - began, _spent(app) - before


def _spent(app: Served) -> float:
    times = psutil.Process(app.pid).cpu_times()
    return float(times.user + times.system)


def _summary(rows: list[Row]) -> dict[str, Any]:
    verdict, spent, checked, spent_in_all = ([row[i] for row in rows] for i in range(4))
    return {
        "clicks": len(rows),
        "verdict": _seconds(verdict, spent),
        "checked": _seconds(checked, spent_in_all),
    }


def _seconds(wall: list[float], spent: list[float]) -> dict[str, float]:
    return {
        "seconds": round(statistics.median(wall), 2),
        "fastest": round(min(wall), 2),
        "slowest": round(max(wall), 2),
        "processor_seconds": round(statistics.median(spent), 2),
    }


def _detector() -> dict[str, Any]:
    from causalclip.clip.runtime import choose_runtime

    config = json.loads((ROOT / "assets" / "models" / "detector" / "config.json").read_text())
    return {"revision": config["revision"], "runtime": choose_runtime()}


if __name__ == "__main__":
    main()
