"""The extension in Chromium: the very bytes of a picture reach the app, however a page holds it, and nothing else."""

import base64
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, expect

from causalclip.evidence.examination import Examination
from causalclip.evidence.words import CHECKING_STABILITY
from tests.browser.extension.conftest import Extended, pair
from tests.conftest import ROOT
from ui.api import Examine, Form

pytestmark = pytest.mark.full

Sites = tuple[Path, str, str]
TRUE = "default-src 'none'; img-src 'self' data: blob:; script-src 'unsafe-inline'; connect-src 'none'"
BLOB = """<img><script>
const bytes = Uint8Array.from(atob("{data}"), (c) => c.charCodeAt(0));
document.querySelector("img").src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
</script>"""
PAGES = {  # what the page holds, and which file is to be read
    "plain": ("<img src='small.jpg'>", "small"),
    "data address": ("<img src='data:image/jpeg;base64,{data}'>", "small"),
    "blob": (BLOB, "small"),
    "srcset": ("<img src='small.jpg' srcset='small.jpg 320w, large.jpg 640w' sizes='320px'>", "large"),
    "lazy": ("<img src='small.jpg' loading='lazy'>", "small"),
    "lazy by script": ("<img width=300 src='data:image/gif;base64,{dot}' data-src='small.jpg'>", "small"),
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


@pytest.mark.parametrize("policy", ["", TRUE], ids=["open", "CSP"])
@pytest.mark.parametrize("kind", PAGES)
def test_the_very_bytes_are_checked(extended: Extended, sites: Sites, kind: str, policy: str) -> None:
    body, file = PAGES[kind]
    folder, site, _ = sites
    name = f"{kind.replace(' ', '-')}-{len(policy)}"
    page = extended.open(f"{site}/{write(folder, name, body, policy=policy)}")
    shown = page.evaluate("async () => { const i = document.images[0]; await i.decode(); return i.currentSrc; }")
    extended.click("check-picture", page, shown)
    extended.step("answered")
    said = extended.panel.locator("#said")
    expect(said).to_contain_text(digest(folder, file))
    expect(said).to_contain_text(page.url)
    assert ("largest version" in said.inner_text()) is (kind in {"srcset", "lazy by script"})
    page.close()


def test_another_hosts_picture_is_asked_for_and_never_taken_from_the_screen_unasked(
    extended: Extended, extended_with: Callable[..., Extended], sites: Sites, tiny_app: str
) -> None:
    folder, site, other = sites
    page = extended.open(f"{site}/{write(folder, 'elsewhere', f'<img src={other}/small.jpg>')}")
    extended.click("check-picture", page, f"{other}/small.jpg")
    extended.step("out of reach")
    expect(extended.panel.get_by_role("button", name=f"Let the extension read from {other}")).to_be_visible()
    expect(extended.panel.get_by_role("button", name="screenshot")).to_be_visible()
    page.close()
    allowed = extended_with([f"{site}/*", f"{other}/*"])
    pair(allowed, tiny_app)
    page = allowed.open(f"{site}/elsewhere.html")
    allowed.click("check-picture", page, f"{other}/small.jpg")
    allowed.step("answered")
    expect(allowed.panel.locator("#said")).to_contain_text(digest(folder, "small"))


@pytest.fixture(scope="module")
def seeing(extended_with: Callable[..., Extended], tiny_app: str) -> Extended:
    """One that may see every page, as activeTab lets it after a real click."""
    browser = extended_with(["<all_urls>"])
    pair(browser, tiny_app)
    return browser


def test_a_screenshot_is_cut_where_the_picture_is_now(seeing: Extended, sites: Sites) -> None:
    """The page may be scrolled between the click on a picture and the one on the panel."""
    folder, site, _ = sites
    page = seeing.open(f"{site}/{write(folder, 'long', '<p style=height:3000px>x</p><img src=small.jpg>')}")
    ask = """async ([page, url]) => {
        const [tab] = (await chrome.tabs.query({})).filter((one) => one.url === page);
        await chrome.tabs.update(tab.id, { active: true });
        const rect = { x: 8, y: 8, width: 320, height: 240, ratio: 1 };
        const given = { tab: tab.id, frame: 0, window: tab.windowId, foundAt: page, url, rect };
        await chrome.runtime.sendMessage({ work: "screenshot", given });
    }"""
    page.evaluate("scrollTo(0, 9999)")
    seeing.panel.evaluate(ask, [page.url, f"{site}/small.jpg"])
    seeing.step("answered")
    small = seeing.panel.evaluate("async () => (await chrome.storage.session.get('state')).state.small")
    seen = Image.open(io.BytesIO(base64.b64decode(small.partition(",")[2]))).convert("RGB")
    theirs = Image.open(folder / "small.jpg").convert("RGB").resize(seen.size)
    assert seen.size == (240, 180)
    assert np.abs(np.asarray(seen, float) - np.asarray(theirs, float)).mean() < 10
    page.evaluate("scrollTo(0, 0)")
    seeing.panel.evaluate(ask, [page.url, f"{site}/small.jpg"])
    seeing.step("failed")
    expect(seeing.panel.locator("#said")).to_contain_text("The picture cannot be seen now. Scroll to it")


NONE, LARGE = "<source type=image/none srcset='large.jpg 9x'>", "srcset='small.jpg 320w, large.jpg 640w' sizes=320px"
PORTRAIT = "<source media='(max-width: 99px)' srcset='small.jpg 1x, large.jpg 9x'>"
DARK = "<source media='(prefers-color-scheme: dark)' srcset='large.jpg 640w' sizes=640px>"
OFFERED = {  # what the page holds, and what it offers larger than the small picture that is shown
    "another crop": (f"<picture>{PORTRAIT}<img src=small.jpg></picture>", []),
    "dark mode": (f"<picture>{DARK}<img src=small.jpg></picture>", []),
    "a type that no browser takes": (f"<picture>{NONE}<img src=small.jpg></picture>", []),
    "a later source": (f"<picture><source srcset=small.jpg><source {LARGE}><img src=large.jpg></picture>", []),
    "the source that was taken": (f"<picture>{PORTRAIT}<source {LARGE}><img src=large.jpg></picture>", ["large.jpg"]),
    "its own, beside sources": (f"<picture>{DARK}{NONE}<img src=small.jpg {LARGE}></picture>", ["large.jpg"]),
    "a width among densities": ("<img srcset='small.jpg, large.jpg 2x, c.jpg 1.5x, d.jpg 9w'>", ["large.jpg", "c.jpg"]),
}


def test_another_crop_is_never_the_largest_version(new_context: Callable[..., BrowserContext], sites: Sites) -> None:
    folder, site, _ = sites
    page = new_context().new_page()
    page.goto(f"{site}/{write(folder, 'crops', ''.join(body for body, _ in OFFERED.values()))}")
    code = (ROOT / "extension" / "page.js").read_text(encoding="utf-8").replace("export ", "")
    shown, found = f"{site}/small.jpg", {}
    for kind in OFFERED:  # the first picture that shows this address is found: one at a time
        page.wait_for_function(f"document.images[0].currentSrc === '{shown}'")
        found[kind] = page.evaluate(f"url => {{ {code} return locate(url).offered; }}", shown)
        page.evaluate("() => (document.images[0].closest('picture') ?? document.images[0]).remove()")
    assert found == {kind: [f"{site}/{name}" for name in offered] for kind, (_, offered) in OFFERED.items()}


def test_the_verdict_comes_before_its_check(extended: Extended, sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    free, first = Event(), Examine._examined

    def examined(it: Examine, sent: Form) -> Examination:
        if sent.stability:
            free.wait(300)
        return first(it, sent)

    monkeypatch.setattr(Examine, "_examined", examined)
    folder, site, _ = sites
    page = extended.open(f"{site}/{write(folder, 'first', '<img src=small.jpg>')}")
    extended.click("check-picture", page, f"{site}/small.jpg")
    extended.step("answered")
    said = extended.panel.locator("#said")
    expect(said).to_contain_text(CHECKING_STABILITY)
    expect(said).to_contain_text("Score")
    expect(said).not_to_contain_text("was not checked")
    keep = extended.panel.get_by_role("button", name="Keep the whole report")
    keep.focus()
    free.set()
    expect(said).to_have_attribute("data-checking", "")
    expect(said).not_to_contain_text(CHECKING_STABILITY)
    expect(said).to_contain_text("saved as JPEG of quality 90")
    expect(keep).to_be_focused()
    page.close()


def test_an_earlier_pictures_check_does_not_take_the_place_of_the_next(
    extended: Extended, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, first = Event(), Examine._examined
    folder, site, _ = sites
    slow = (folder / "small.jpg").read_bytes()

    def examined(it: Examine, sent: Form) -> Examination:
        if sent.stability and sent.picture == slow:
            free.wait(300)
        return first(it, sent)

    monkeypatch.setattr(Examine, "_examined", examined)
    page = extended.open(f"{site}/{write(folder, 'two', '<img src=small.jpg><img src=large.jpg>')}")
    extended.click("check-picture", page, f"{site}/small.jpg")
    said = extended.panel.locator("#said")
    expect(said).to_contain_text(CHECKING_STABILITY)
    extended.click("check-picture", page, f"{site}/large.jpg")
    expect(said).to_contain_text(digest(folder, "large"))
    expect(said).to_have_attribute("data-checking", "")
    extended.click("check-page", page)
    extended.step("choose")
    free.set()
    extended.panel.wait_for_timeout(1500)  # in which the earlier one's check comes
    extended.step("choose")
    page.close()


def test_without_a_pairing_it_says_what_to_do(
    extended_with: Callable[..., Extended], sites: Sites, tiny_app: str
) -> None:
    folder, site, _ = sites
    stranger = extended_with([f"{site}/*"])
    stranger.panel.get_by_label("Address").fill(tiny_app)
    stranger.panel.get_by_role("button", name="Keep").click()
    page = stranger.open(f"{site}/{write(folder, 'stranger', '<img src=small.jpg>')}")
    stranger.click("check-picture", page, f"{site}/small.jpg")
    stranger.step("failed")
    expect(stranger.panel.locator("#said")).to_contain_text("or pair with it")
    expect(stranger.panel.get_by_label("Code")).to_be_visible()


def test_the_report_is_kept(extended: Extended, sites: Sites) -> None:
    folder, site, _ = sites
    page = extended.open(f"{site}/{write(folder, 'report', '<img src=small.jpg>')}")
    extended.click("check-picture", page, f"{site}/small.jpg")
    extended.step("answered")
    with extended.panel.expect_download() as kept:
        extended.panel.get_by_role("button", name="Keep the whole report").click()
    text = Path(kept.value.path()).read_text(encoding="utf-8")
    assert digest(folder, "small") in text
    assert page.url in text
    page.close()


def test_it_asks_for_no_more_than_is_said() -> None:
    manifest = json.loads((ROOT / "extension" / "manifest.json").read_text())
    assert set(manifest["permissions"]) == {"contextMenus", "activeTab", "scripting", "sidePanel", "storage"}
    assert "host_permissions" not in manifest
    assert "content_scripts" not in manifest
    scripts = "".join(path.read_text() for path in (ROOT / "extension").glob("*.js"))
    assert "innerHTML" not in scripts
    assert scripts.count("fetch(") == 4  # the app, the page's picture, the worker's, and data addresses
