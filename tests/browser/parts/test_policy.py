"""The page needs nothing from elsewhere, and whatever script came to run in it could load or send nothing there."""

from pathlib import Path

from playwright.sync_api import BrowserContext

from tests.browser.conftest import Open, open_tab
from tests.browser.test_detect import give, verdict

ESCAPE = """async () => {
    const refused = new Set();
    document.addEventListener('securitypolicyviolation', (event) => refused.add(event.effectiveDirective));
    const elsewhere = 'http://127.0.0.1:9/x';
    await fetch(elsewhere, {method: 'POST', mode: 'no-cors', body: 'a picture'}).catch(() => 0);
    new Image().src = elsewhere;
    const script = Object.assign(document.createElement('script'), {src: elsewhere});
    const frame = Object.assign(document.createElement('iframe'), {src: elsewhere});
    document.body.append(script, frame);
    for (let i = 0; refused.size < 4 && i < 1200; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    return [...refused].sort();
}"""


def test_the_page_works_within_its_policy(visitor: BrowserContext, files: dict[str, Path], whole_app: str) -> None:
    page = visitor.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(whole_app)
    page.locator("html[data-renames]").wait_for(state="attached")
    give(page, files["photo.jpg"])
    verdict(page)
    for name in ("Batch", "Explore", "Purify", "Accuracy"):
        open_tab(page, name)
        page.wait_for_timeout(500)
    assert refused == []


def test_nothing_leaves_the_page_for_another_place(open_page: Open) -> None:
    assert open_page().evaluate(ESCAPE) == ["connect-src", "frame-src", "img-src", "script-src-elem"]
