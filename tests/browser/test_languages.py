"""The page in other languages as a person meets it: on a phone, from right to left, and after the switch."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from causalclip.languages import LANGUAGES, _, is_rtl, number, speaking
from tests.browser.conftest import Open, open_tab, themes
from tests.browser.test_detect import overflow
from ui.explore.words import NONE
from ui.languages import LITERALS

Window = Callable[..., BrowserContext]


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_every_tab_fits_a_phone_with_its_results(
    visitor: BrowserContext, whole_app: str, files: dict[str, Path], language: str
) -> None:
    page = visitor.new_page()
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
        expect(page.locator("#batch-table thead")).to_contain_text(_("Survives re-encoding"))
        assert overflow(page) <= 0
        open_tab(page, _("Explore"))
        page.locator("#explore-a input[type=file]").set_input_files(files["photo.jpg"])
        expect(page.locator("#explore-a-removal")).to_contain_text(_(NONE))
        assert overflow(page) <= 0
        slider = page.locator("#explore-opacity input[type=range]")
        assert slider.evaluate("(field) => getComputedStyle(field).direction") == "ltr"  # or its fill is its rest
        open_tab(page, _("Purify"))
        page.locator("#purify-picture input[type=file]").set_input_files(files["photo.jpg"])
        expect(page.locator("#purify-answers")).to_contain_text(_("As given"))
        assert overflow(page) <= 0
        open_tab(page, _("How good is it?"))
        expect(page.locator("#measured")).to_contain_text(_("These tables are in English."))
        assert overflow(page) <= 0
        side = page.locator("#purify-headline .cc-card").evaluate("(card) => getComputedStyle(card).direction")
        assert side == ("rtl" if is_rtl() else "ltr")
    assert not faults


def _answers(page: Page, files: dict[str, Path]) -> None:
    """In Detect, in the language that is spoken."""
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    page.locator("#status .cc-scale").wait_for()
    page.locator("#stability table").wait_for()
    expect(page.locator("#steps h2")).to_have_text(_("What you can do now"))
    assert page.locator("html").get_attribute("dir") == ("rtl" if is_rtl() else "ltr")
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
    assert context.cookies() == []
    page.locator("#languages select").select_option("en")
    page.wait_for_url("**lang=en**")
    expect(page.locator("#status h2")).to_contain_text("No picture yet")


def test_the_switch_has_the_colours_of_the_page(open_page: Open) -> None:
    page = open_page()
    switch = page.locator("#languages select")
    for theme in themes(page):
        ink, ground = (switch.evaluate(f"(s) => getComputedStyle(s).{name}") for name in ("color", "backgroundColor"))
        shades = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in (ink, ground)]
        assert abs(shades[0] - shades[1]) > 150, (theme, ink, ground)


def test_gradios_own_labels_follow_the_pages_language(
    new_context: Window, tiny_app: str, files: dict[str, Path]
) -> None:
    page = new_context(locale="en-US").new_page()
    page.goto(f"{tiny_app}?lang=de")
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    with speaking("de"):
        expect(page.get_by_role("button", name=_("Fullscreen")).first).to_be_attached()
        expect(page.get_by_role("button", name=_("Use via API or MCP"))).to_be_visible()
    for literal in LITERALS:
        expect(page.get_by_role("button", name=literal, exact=True)).to_have_count(0)


def test_a_link_within_the_page_keeps_the_answer_where_the_address_names_a_language(
    visitor: BrowserContext, whole_app: str, files: dict[str, Path]
) -> None:
    """The page was loaded anew, and the answer was gone."""
    page = visitor.new_page()
    page.goto(f"{whole_app}?lang=de")
    with speaking("de"):
        page.locator("#status a[href='#public-pictures']").click()
        expect(page.locator(".cc-gallery article").first).to_be_visible()
        page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
        for _again in range(2):
            page.locator("#status a[href='#report-label']").click()  # there once the report is
            expect(page.locator("#report-label")).to_be_in_viewport()
            page.evaluate("scrollTo(0, 0)")
        expect(page.locator("#status .cc-scale")).to_be_visible()
        expect(page).to_have_url(re.compile(r"\?lang=de#report-label$"))
