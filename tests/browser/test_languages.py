"""The page in other languages as a person meets it: on a phone, from right to left, and after the switch."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from causalclip.languages import _, is_rtl, number, speaking
from tests.browser.conftest import open_tab
from tests.browser.test_detect import overflow
from ui.explore.words import HOW_TO_READ
from ui.measured import UNKNOWN

Window = Callable[..., BrowserContext]


def test_every_tab_fits_a_phone_with_its_results(
    visitor: BrowserContext, whole_app: str, files: dict[str, Path]
) -> None:
    language, page = "ar", visitor.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(reduced_motion="reduce")
    agent = {"userAgent": page.evaluate("navigator.userAgent"), "acceptLanguage": language}
    visitor.new_cdp_session(page).send("Emulation.setUserAgentOverride", agent)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(whole_app)
    with speaking(language):
        expect(page.locator("#status h2")).to_contain_text(_("No picture yet"))
        _answers(page, files)
        open_tab(page, _("Batch"))
        page.locator("#batch-files input[type=file]").set_input_files([files["photo.jpg"], files["broken.jpg"]])
        finished = _("Finished: {done} examined, {refused} could not be.", done=number(1), refused=number(1))
        expect(page.locator("#batch-status")).to_contain_text(finished)
        expect(page.locator("#batch-table thead")).to_contain_text(_("Copies"))
        assert overflow(page) <= 0
        open_tab(page, _("Explore"))
        page.locator("#explore-a input[type=file]").set_input_files(files["photo.jpg"])
        expect(page.locator("#explore-a-removal")).to_contain_text(_(HOW_TO_READ))
        assert overflow(page) <= 0
        slider = page.locator("#explore-opacity input[type=range]")
        assert slider.evaluate("(field) => getComputedStyle(field).direction") == "ltr"  # or its fill is its rest
        open_tab(page, _("Purify"))
        page.locator("#purify-picture input[type=file]").set_input_files(files["photo.jpg"])
        expect(page.locator("#purify-adversarial")).to_contain_text(_("As given"))
        arrows = page.locator("#purify-slider .image-container")
        assert arrows.evaluate("(field) => getComputedStyle(field).direction") == "ltr"  # or they point inwards
        assert overflow(page) <= 0
        open_tab(page, _("Accuracy"))
        expect(page.locator("#measured")).to_contain_text(_(UNKNOWN[0]))
        assert overflow(page) <= 0
        side = page.locator("#purify-headline .cc-card").evaluate("(card) => getComputedStyle(card).direction")
        assert side == ("rtl" if is_rtl() else "ltr")
    assert not faults


def _answers(page: Page, files: dict[str, Path]) -> None:
    """In Detect, in the language that is spoken."""
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    page.locator("#status .cc-scale").wait_for()
    page.locator("#status .cc-final").wait_for()
    expect(page.locator("#steps h2")).to_have_text(_("What you can do now"))
    assert page.locator("html").get_attribute("dir") == ("rtl" if is_rtl() else "ltr")
    folds = "(fold) => getComputedStyle(fold, '::before').transform"
    ways = [page.locator(fold).first.evaluate(folds) for fold in ("#steps .cc-fold > summary", "#part .label-wrap")]
    assert ways[0] == ways[1]  # every fold points the same way
    side = page.locator("#status .cc-card").evaluate("(card) => getComputedStyle(card).direction")
    assert side == ("rtl" if is_rtl() else "ltr")
    assert overflow(page) <= 0


def test_the_switch_is_remembered_by_the_browser_alone(new_context: Window, tiny_app: str) -> None:
    context = new_context(locale="en")
    page = context.new_page()
    page.goto(tiny_app)
    page.locator("#languages select").select_option("fr")
    page.wait_for_url("**lang=fr**")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    page.goto(tiny_app)
    page.wait_for_url("**lang=fr**")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    assert page.evaluate("localStorage.getItem('language')") == "fr"
    assert {cookie["name"] for cookie in context.cookies()} <= {"visitor"}
    page.locator("#languages select").select_option("en")
    page.wait_for_url("**lang=en**")
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
