"""By keyboard alone: from tab to tab by arrow keys, and folds that say whether they are open."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open


def selected(page: Page, name: str) -> None:
    tab = page.get_by_role("tab", name=name)
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(tab).to_be_focused()
    expect(page.locator("[role=tablist] > [role=tab][tabindex='0']").filter(visible=True)).to_have_count(1)


def test_arrow_keys_go_from_tab_to_tab_and_each_says_what_it_is_for(open_page: Open, whole_app: str) -> None:
    page = open_page(whole_app)
    page.get_by_role("tab", name="Detect").focus()
    expect(page.locator(".cc-lead").filter(visible=True)).to_contain_text("made by an image generator")
    page.keyboard.press("ArrowRight")
    selected(page, "Batch")
    page.keyboard.press("ArrowRight")
    selected(page, "Purify")
    head = page.locator(".cc-lead").filter(visible=True)
    expect(head).to_have_count(1)
    expect(head).to_contain_text("does not judge whether a picture was generated")
    page.keyboard.press("End")
    selected(page, "Accuracy")
    page.keyboard.press("ArrowRight")
    selected(page, "Detect")
    page.keyboard.press("ArrowLeft")
    selected(page, "Accuracy")


def test_a_chosen_theme_is_kept_by_the_browser_alone(open_page: Open, tiny_app: str) -> None:
    page = open_page()
    page.get_by_role("button", name="Light or dark").press("Enter")
    expect(page.locator("body.dark")).to_have_count(1)
    page.goto(tiny_app)
    expect(page.locator("body.dark")).to_have_count(1)
