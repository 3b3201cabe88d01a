"""The page in other languages as a person meets it: on a phone, from right to left, and after the switch."""

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from causalclip.languages import LANGUAGES, _, is_rtl, number, speaking
from tests.browser.conftest import open_tab
from tests.browser.test_detect import overflow
from ui.explore.view import NONE
from ui.languages import LITERALS


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_an_answer_fits_a_phone(browser: Browser, tiny_app: str, files: dict[str, Path], language: str) -> None:
    context = browser.new_context(locale=language, viewport={"width": 390, "height": 844})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(tiny_app)
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#status .cc-scale")).to_be_visible(timeout=60_000)
    expect(page.locator("#stability table")).to_be_visible(timeout=60_000)
    with speaking(language):
        expect(page.locator("#steps h2")).to_have_text(_("What you can do now"))
        assert page.locator("html").get_attribute("dir") == ("rtl" if is_rtl() else "ltr")
        side = page.locator("#status .cc-card").evaluate("(card) => getComputedStyle(card).direction")
        assert side == ("rtl" if is_rtl() else "ltr")
    assert overflow(page) <= 0
    assert not faults
    context.close()


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_every_tab_fits_a_phone_with_its_results(
    browser: Browser, whole_app: str, files: dict[str, Path], language: str
) -> None:
    context = browser.new_context(locale=language, viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(whole_app)
    with speaking(language):
        expect(page.locator("#status h2")).to_contain_text(_("No picture yet"), timeout=60_000)
        open_tab(page, _("Batch"))
        page.locator("#batch-files input[type=file]").set_input_files([files["photo.jpg"], files["broken.jpg"]])
        finished = _("Finished: {done} examined, {refused} could not be.", done=number(1), refused=number(1))
        expect(page.locator("#batch-status")).to_contain_text(finished, timeout=60_000)
        expect(page.locator("#batch-table thead")).to_contain_text(_("Survives re-encoding"))
        assert overflow(page) <= 0
        open_tab(page, _("Explore"))
        page.locator("#explore-a input[type=file]").set_input_files(files["photo.jpg"])
        expect(page.locator("#explore-a-removal")).to_contain_text(_(NONE), timeout=60_000)
        assert overflow(page) <= 0
        slider = page.locator("#explore-opacity input[type=range]")
        assert slider.evaluate("(field) => getComputedStyle(field).direction") == "ltr"  # or its fill is its rest
        open_tab(page, _("Purify"))
        page.locator("#purify-picture input[type=file]").set_input_files(files["photo.jpg"])
        expect(page.locator("#purify-answers")).to_contain_text(_("As given"), timeout=60_000)
        assert overflow(page) <= 0
        open_tab(page, _("How good is it?"))
        expect(page.locator("#measured")).to_contain_text(_("These tables are in English."), timeout=60_000)
        assert overflow(page) <= 0
        side = page.locator("#purify-headline .cc-card").evaluate("(card) => getComputedStyle(card).direction")
        assert side == ("rtl" if is_rtl() else "ltr")
    assert not faults
    context.close()


def test_the_switch_is_remembered_by_the_browser_alone(browser: Browser, tiny_app: str) -> None:
    context = browser.new_context(locale="en")
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
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_switch_has_the_colours_of_the_page(
    browser: Browser, tiny_app: str, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(locale="en", color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{tiny_app}?__theme={scheme}")
    switch = page.locator("#languages select")
    expect(switch).to_be_visible()
    ink, ground = (switch.evaluate(f"(s) => getComputedStyle(s).{name}") for name in ("color", "backgroundColor"))
    shades = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in (ink, ground)]
    assert abs(shades[0] - shades[1]) > 150, (ink, ground)
    context.close()


def test_gradios_own_labels_follow_the_pages_language(browser: Browser, tiny_app: str, files: dict[str, Path]) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(f"{tiny_app}?lang=de")
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    with speaking("de"):
        expect(page.get_by_role("button", name=_("Fullscreen")).first).to_be_attached(timeout=60_000)
        expect(page.get_by_role("button", name=_("Use via API or MCP"))).to_be_visible()
    for literal in LITERALS:
        expect(page.get_by_role("button", name=literal, exact=True)).to_have_count(0)
    context.close()
