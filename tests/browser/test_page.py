"""The page as a whole: keys, themes, policy, large files, a part of a picture, languages."""

import json
from collections.abc import Callable
from pathlib import Path

from markupsafe import escape
from PIL import Image
from playwright.sync_api import BrowserContext, Dialog, Locator, Page, expect
from skimage import data

from causalclip.images.formats import MAX_BYTES, TOO_LARGE, too_many_bytes
from causalclip.languages import _, is_rtl, number, speaking
from tests.browser.conftest import Open, open_tab
from tests.browser.test_check import give, overflow, verdict
from tests.browser.test_tabs import download
from tests.makers.pictures import starred
from ui.tabs.accuracy import UNKNOWN
from ui.tabs.mask.rendering import HOW_TO_READ


def selected(page: Page, name: str) -> None:
    tab = page.get_by_role("tab", name=name)
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(tab).to_be_focused()
    expect(
        page.locator("[role=tablist] > [role=tab][tabindex='0']").filter(visible=True)
    ).to_have_count(1)


def test_arrow_keys_go_from_tab_to_tab_and_each_says_what_it_is_for(
    open_page: Open, whole_app: str
) -> None:
    page = open_page(whole_app)
    page.get_by_role("tab", name="Check").focus()
    head = page.locator(".cc-lead").filter(visible=True)
    expect(head).to_contain_text("Was this picture generated?")
    page.keyboard.press("ArrowRight")
    selected(page, "Batch")
    page.keyboard.press("ArrowRight")
    selected(page, "Compare")
    head = page.locator(".cc-lead").filter(visible=True)
    expect(head).to_have_count(1)
    expect(head).to_contain_text("copies of one")
    page.keyboard.press("End")
    selected(page, "Accuracy")
    page.keyboard.press("ArrowRight")
    selected(page, "Check")
    page.keyboard.press("ArrowLeft")
    selected(page, "Accuracy")


def test_the_page_opens_with_an_examples_result_until_there_is_a_picture(
    open_page: Open, whole_app: str, files: dict[str, Path]
) -> None:
    page = open_page(whole_app)
    example = page.locator("#showcase")
    expect(example.locator("h2")).to_be_visible()
    expect(example.locator(".cc-scale")).to_be_visible()
    assert example.locator("img").evaluate("one => one.naturalWidth") > 100
    give(page, files["photo.jpg"])
    verdict(page)
    expect(example).to_be_hidden()
    expect(page.locator("#examples button").first).to_be_visible()


def test_the_first_stop_leads_to_the_result_of_the_open_tab(
    open_page: Open, whole_app: str
) -> None:
    page = open_page(whole_app)
    open_tab(page, "Compare")
    link = page.get_by_role("link", name="Skip to the result")
    link.focus()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#compare-answer h2")).to_be_focused()


def test_the_open_tab_stands_in_the_address_and_back_goes_to_the_one_before(
    open_page: Open, tiny_app: str
) -> None:
    page = open_page(f"{tiny_app}?lang=en#compare")
    opened = page.get_by_role("tab", selected=True)
    expect(opened).to_have_text("Compare")
    expect(page).to_have_title("Compare - CausalCLIP")
    open_tab(page, "Accuracy")
    assert page.url.endswith("?lang=en#accuracy")
    open_tab(page, "Batch")
    page.go_back()
    expect(opened).to_have_text("Accuracy")
    page.go_back()
    expect(opened).to_have_text("Compare")
    page.go_forward()
    expect(opened).to_have_text("Accuracy")
    page.reload()
    expect(opened).to_have_text("Accuracy")


def test_a_link_opens_a_tab_that_stands_in_a_phones_menu(open_page: Open, whole_app: str) -> None:
    page = open_page(whole_app, width=390)
    opened = page.get_by_role("tab", selected=True)
    for name in ("Purify", "Accuracy"):
        expect(page.get_by_role("tab", name=name)).to_have_count(0)
        page.evaluate("(name) => { location.hash = name }", name.lower())
        expect(opened).to_have_text(name)


def test_the_title_says_the_answer_and_another_picture_takes_its_place(
    open_page: Open, files: dict[str, Path]
) -> None:
    page = open_page()
    expect(page).to_have_title("CausalCLIP")
    expect(page.locator(".cc-another")).to_be_hidden()
    give(page, files["photo.jpg"])
    expect(page).to_have_title(f"{verdict(page)} - CausalCLIP")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Another picture").click()
    chooser.value.set_files(files["broken.jpg"])
    expect(page).to_have_title("This file could not be read - CausalCLIP")


def test_what_a_fact_checker_found_out_is_in_report_json_and_sentence(
    open_page: Open, tmp_path: Path
) -> None:
    """Of a picture with Gemini's star, from the step that sends them to Google."""
    # 1. A picture, and the fields that its step leads to
    Image.fromarray(starred()).save(tmp_path / "starred.png")
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    give(page, tmp_path / "starred.png")
    verdict(page)
    page.locator("#report-html").wait_for()
    page.locator("#steps").get_by_role("link", name="Enter what they said").click()
    found = page.locator("#reply-google input[value='found']")
    asked, since, address, who = (
        page.locator(f"#{name} :is(textarea, input)")
        for name in ("reply-google-day", "earliest-day", "earliest-address", "earliest-who")
    )
    left_out = page.locator("#left-out li")

    # 2. What cannot be is left out with a sentence
    for day in (asked, since):
        day.focus()
        expect(day).to_have_attribute("type", "date")
    asked.fill("2026-12-01")
    since.fill("9999-12-31")
    address.fill("Eve's <b>phone</b>")
    expect(left_out).to_have_count(3)
    expect(left_out.nth(1)).to_contain_text("“Eve's <b>phone</b>” is left out")

    # 3. All of it, in the sentence and both files
    found.check()
    since.fill("2021-05-03")
    address.fill("https://example.org/<b>")
    who.fill("Eve & <i>Bob</i>")
    expect(left_out).to_have_count(0)
    said = (
        "OpenAI was not asked, Google found its mark (1 December 2026), earliest copy known: "
        "https://example.org/<b>, 3 May 2021, shown by Eve & <i>Bob</i>."
    )
    expect(page.locator("#quote blockquote")).to_contain_text(said)
    page.get_by_role("button", name="Copy the sentence").click()
    expect(page.locator("#quote .cc-done")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").endswith(said)
    report = download(page, "#report-html")
    assert str(escape(said)) in report
    assert "<i>Bob" not in report
    plain = json.loads(download(page, "#report-json"))
    assert plain["quote"].endswith(said)
    inquiries = plain["report"]["label"]["inquiries"]
    assert {"owner": "google", "answer": "found", "day": "2026-12-01"} in inquiries["replies"]
    assert inquiries["earliest"]["shown_by"] == "Eve & <i>Bob</i>"


def test_what_was_found_out_of_one_picture_is_never_said_of_the_next(
    open_page: Open, files: dict[str, Path]
) -> None:
    page = open_page()
    note, address, who = (
        page.locator(f"#{name} :is(textarea, input)")
        for name in ("report-note", "earliest-address", "earliest-who")
    )
    found = page.locator("#reply-google input[value='found']")
    quote = page.locator("#quote")
    give(page, files["photo.jpg"])
    verdict(page)
    page.locator("#report-html").wait_for()
    page.locator("#report-label .label-wrap").click()
    note.fill("A note on the first picture.")
    page.locator("#inquiries .label-wrap").click()
    found.check()
    asked_on = page.locator("#reply-google-day input")
    asked_on.fill("2026-12-01")
    address.fill("https://example.org/first")
    who.fill("Somebody")
    expect(quote).to_contain_text("earliest copy known")

    for next_picture in (
        lambda: give(page, files["phone.heic"]),
        lambda: page.locator("#examples button").first.click(),
    ):
        note.fill("A note on one picture.")
        address.fill("https://example.org/one")
        asked_on.fill("9999-12-31")
        found.check()
        expect(page.locator("#left-out")).to_contain_text("left out")
        next_picture()
        verdict(page)
        page.locator("#report-html").wait_for()
        for field in (note, address, who, asked_on):
            expect(field).to_have_value("")
        expect(page.locator("#reply-google input[value='not asked']")).to_be_checked()
        expect(page.locator("#left-out")).not_to_contain_text("left out")
        expect(quote).not_to_be_empty()
        expect(quote).not_to_contain_text("earliest copy known")


def test_who_would_lose_an_answer_is_asked_first(open_page: Open, files: dict[str, Path]) -> None:
    """Not where it was kept, nor where it can be had again."""
    page, asked = open_page(), list[str]()

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    for own, keeps, expected in (
        (True, False, ["beforeunload"]),
        (True, True, []),
        (False, False, []),
    ):
        page.locator("h1").click()  # a browser asks nobody who has done nothing
        if own:
            give(page, files["photo.jpg"])
        else:
            page.locator("#examples button").first.click()
        verdict(page)
        if keeps:
            with page.expect_download():
                page.locator("#report-json").click()
        asked.clear()
        page.reload()
        page.locator("html[data-renames]").wait_for(state="attached")
        expect(page.locator("#status h2")).to_contain_text("Try one of these")
        assert asked == expected


def test_a_chosen_theme_is_kept_by_the_browser_alone(open_page: Open, tiny_app: str) -> None:
    page = open_page()
    page.get_by_role("button", name="Light or dark").press("Enter")
    expect(page.locator("body.dark")).to_have_count(1)
    page.goto(tiny_app)
    expect(page.locator("body.dark")).to_have_count(1)


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
}"""  # noqa: E501


def test_the_page_works_within_its_policy(
    visitor: BrowserContext, files: dict[str, Path], whole_app: str
) -> None:
    page = visitor.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    refused: list[str] = []
    page.on(
        "console",
        lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.goto(whole_app)
    page.locator("html[data-renames]").wait_for(state="attached")
    give(page, files["photo.jpg"])
    verdict(page)
    for name in ("Batch", "Mask", "Purify", "Accuracy"):
        open_tab(page, name)
        page.wait_for_timeout(500)
    assert refused == []


def test_nothing_leaves_the_page_for_another_place(open_page: Open) -> None:
    assert open_page().evaluate(ESCAPE) == [
        "connect-src",
        "frame-src",
        "img-src",
        "script-src-elem",
    ]


def test_a_field_says_what_to_do_with_what_is_too_large(
    open_page: Open, whole_app: str, tmp_path: Path, files: dict[str, Path]
) -> None:
    """Where the answer would stand, until another picture is given."""
    large, page = tmp_path / "large.tif", open_page(whole_app, width=390)
    large.write_bytes(bytes(MAX_BYTES + 1))
    with speaking("de"):
        page.goto(f"{whole_app}?lang=de")
        page.locator("html[data-renames]").wait_for(state="attached")
        said = page.get_by_role("alert").filter(has_text=_(TOO_LARGE))
        page.locator("#picture input[type=file]").set_input_files(large)
        expect(said).to_contain_text(str(too_many_bytes()))
        expect(said).to_be_in_viewport()
        expect(page.locator("#status")).to_be_hidden()
        # above the field, as what is said of a file that cannot be read; the examples stay
        top, field = (one.bounding_box() for one in (said, page.locator("#picture")))
        assert top["y"] + top["height"] < field["y"] < top["y"] + top["height"] + 40
        expect(page.locator("#examples button").first).to_be_visible()
        page.wait_for_timeout(2500)  # longer than a failed upload is waited for
        expect(said).to_have_count(1)
        page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
        expect(said).to_have_count(0)
        expect(page.locator("#status")).to_be_visible()


Window = Callable[..., BrowserContext]


def coffee(page: Page, folder: Path) -> None:
    """A picture of 600 x 400 pixels is judged, and the section opened."""
    Image.fromarray(data.coffee()).save(folder / "coffee.png")
    page.locator("#picture input[type=file]").set_input_files(folder / "coffee.png")
    expect(page.locator("#facts")).to_contain_text("600 × 400 pixels")
    page.get_by_role("button", name="Judge only a part of it").click()
    expect(page.locator("#part-said")).to_contain_text("No picture was found inside this one")
    expect(page.locator("#report-html")).to_be_visible()  # from here on, nothing moves
    page.locator(".cc-crop").evaluate("crop => crop.scrollIntoView({block: 'center'})")


def at(crop: Locator, across: float, down: float) -> tuple[float, float]:
    box = crop.bounding_box()
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def test_a_part_is_dragged_with_the_mouse(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    coffee(page, tmp_path)
    crop, said, mouse = page.locator(".cc-crop"), page.locator("#part-said"), page.mouse
    mouse.move(*at(crop, 0.75, 0.25))
    mouse.down()
    mouse.move(*at(crop, 0.25, 0.75), steps=4)
    mouse.up()
    expect(page.locator("#part-at")).to_have_text("Across: 25 to 75%; down: 25 to 75%")
    expect(said).to_contain_text(
        "The part from (150, 100) to (450, 300) of a picture of 600 x 400 pixels"
    )
    mouse.move(*at(crop, 0.5, 0.5))  # the frame is moved, and then its lower left corner
    mouse.down()
    mouse.move(*at(crop, 0.6, 0.4), steps=4)
    mouse.up()
    expect(said).to_contain_text("The part from (210, 60) to (510, 260)")
    mouse.move(*at(crop, 0.35, 0.65))
    mouse.down()
    mouse.move(*at(crop, 0.1, 0.9), steps=4)
    mouse.up()
    expect(said).to_contain_text("The part from (60, 60) to (510, 360)")
    mouse.click(*at(crop, 0.95, 0.95))  # a click is no part
    expect(page.locator("#part-right input[type=number]")).to_have_value("85")
    page.locator("#part-judge").click()
    expect(page.locator("#facts")).to_contain_text("450 × 300 pixels")
    expect(page.locator("#provenance")).to_contain_text(
        "from (60, 60) to (510, 360) of a picture of 600 x 400 pixels"
    )
    expect(page.locator("#status h2")).to_be_focused()
    # the whole is still there: another part can be judged
    page.locator("#part-right input[type=range]").focus()
    page.keyboard.press("End")
    expect(said).to_contain_text(
        "The part from (60, 60) to (600, 360) of a picture of 600 x 400 pixels"
    )
    page.locator("#part-judge").click()
    expect(page.locator("#facts")).to_contain_text("540 × 300 pixels")


def test_a_part_is_chosen_on_the_picture_with_the_keyboard(open_page: Open, tmp_path: Path) -> None:
    page = open_page(dark=True)
    coffee(page, tmp_path)
    choose, frame, key = page.locator(".cc-choose"), page.locator(".cc-frame"), page.keyboard
    choose.focus()
    key.press("Enter")
    expect(frame).to_be_focused()
    expect(frame).to_have_attribute("role", "application")
    for _step in range(5):
        key.press("ArrowLeft")
        key.press("Shift+ArrowDown")
    expect(page.locator("#part-at")).to_have_text("Across: 20 to 70%; down: 25 to 80%")
    expect(page.locator("#part-left input[type=number]")).to_have_value("20")
    key.press("Escape")
    expect(choose).to_be_focused()
    expect(choose).to_have_attribute("aria-pressed", "false")
    key.press("Enter")
    key.press("ArrowUp")
    key.press("Enter")  # at once: what was chosen last counts
    expect(page.locator("#provenance")).to_contain_text(
        "from (120, 96) to (420, 316) of a picture of 600 x 400 pixels"
    )
    expect(page.locator("#status h2")).to_be_focused()


def test_a_picture_in_a_screenshot_is_one_press_away_and_so_is_the_whole(
    open_page: Open, post: Path
) -> None:
    page = open_page()
    give(page, post)
    inside, facts = page.locator("#inside"), page.locator("#facts")
    inside.get_by_role("button", name="Judge this photo").click()
    expect(inside).to_contain_text("Part of your picture, 600 × 400 pixels")
    expect(facts).to_contain_text("600 × 400 pixels")
    expect(page.locator("#provenance")).to_contain_text(
        "from (240, 300) to (840, 700) of a picture of 1080 x 1500 pixels"
    )
    expect(page.locator("#status h2")).to_be_focused()
    inside.get_by_role("button", name="Back to the whole").click()
    expect(inside.get_by_role("button", name="Judge this photo")).to_be_visible()
    expect(facts).to_contain_text("1,080 × 1,500 pixels")
    numbers = page.locator("#part-sides")  # for the keyboard
    page.locator("#part .label-wrap").click()
    page.locator(".cc-crop img").wait_for()
    assert numbers.evaluate("(row) => row.offsetHeight") <= 1
    page.locator("#part-left input[type=range]").focus()
    assert numbers.evaluate("(row) => row.offsetHeight") > 20


def test_another_picture_takes_the_place_of_the_one_that_parts_were_cut_from(
    open_page: Open, files: dict[str, Path], tmp_path: Path
) -> None:
    page = open_page()
    coffee(page, tmp_path)
    slider = page.locator("#part-left input[type=range]")
    slider.focus()
    slider.press("PageUp")
    expect(page.locator("#part-said")).to_contain_text("of a picture of 600 x 400 pixels")
    before = page.locator(".cc-crop img").get_attribute("src") or ""
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("Try one of these")
    expect(page.locator(".cc-crop")).to_have_count(0)
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator(".cc-crop img")).not_to_have_attribute("src", before)
    expect(page.locator("#part-left input[type=number]")).to_have_value("0")


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
        expect(page.locator("#status h2")).to_contain_text(_("Try one of these"))
        _answers(page, files)
        open_tab(page, _("Batch"))
        page.locator("#batch-files input[type=file]").set_input_files(
            [files["photo.jpg"], files["broken.jpg"]]
        )
        finished = _(
            "Finished: {done} examined, {refused} could not be.", done=number(1), refused=number(1)
        )
        expect(page.locator("#batch-status")).to_contain_text(finished)
        expect(page.locator("#batch-table thead")).to_contain_text(_("Copies"))
        assert overflow(page) <= 0
        open_tab(page, _("Mask"))
        page.locator("#mask-picture input[type=file]").set_input_files(files["photo.jpg"])
        slider = page.locator("#mask-removal input[type=range]")
        slider.wait_for()
        assert overflow(page) <= 0
        # or its fill is its rest
        assert slider.evaluate("(field) => getComputedStyle(field).direction") == "ltr"
        page.get_by_role("button", name=_("For researchers")).click()
        expect(page.locator("#mask-curve")).to_contain_text(_(HOW_TO_READ))
        assert overflow(page) <= 0
        open_tab(page, _("Purify"))
        page.locator("#purify-picture input[type=file]").set_input_files(files["photo.jpg"])
        expect(page.locator("#purify-adversarial")).to_contain_text(_("As given"))
        arrows = page.locator("#purify-slider .image-container")
        # or they point inwards
        assert arrows.evaluate("(field) => getComputedStyle(field).direction") == "ltr"
        assert overflow(page) <= 0
        open_tab(page, _("Accuracy"))
        expect(page.locator("#measured")).to_contain_text(_(UNKNOWN[0]))
        assert overflow(page) <= 0
        side = page.locator("#purify-headline .cc-card").evaluate(
            "(card) => getComputedStyle(card).direction"
        )
        assert side == ("rtl" if is_rtl() else "ltr")
    assert not faults


def _answers(page: Page, files: dict[str, Path]) -> None:
    """In Check, in the language that is spoken."""
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    page.locator("#status .cc-scale").wait_for()
    page.locator("#status .cc-final").wait_for()
    expect(page.locator("#steps h2")).to_have_text(_("What you can do now"))
    assert page.locator("html").get_attribute("dir") == ("rtl" if is_rtl() else "ltr")
    folds = "(fold) => getComputedStyle(fold, '::before').transform"
    ways = [
        page.locator(fold).first.evaluate(folds)
        for fold in ("#steps .cc-fold > summary", "#part .label-wrap")
    ]
    assert ways[0] == ways[1]  # every fold points the same way
    # the words at the ends of the slider stand where it shows what they name
    ends = page.locator("#layer .cc-opacity").evaluate("(ends) => getComputedStyle(ends).direction")
    assert ends == "ltr"
    side = page.locator("#status .cc-card").evaluate("(card) => getComputedStyle(card).direction")
    assert side == ("rtl" if is_rtl() else "ltr")
    assert overflow(page) <= 0


def test_a_language_that_is_not_there_is_said_to_be_missing_and_others_have_their_fonts(
    new_context: Window, tiny_app: str
) -> None:
    """Also after Gradio has written the language into the page."""
    page = new_context().new_page()
    page.goto(f"{tiny_app}?lang=nl")
    line = page.locator(".cc-unknown-language")
    expect(line).to_contain_text("日本語 (ja)")
    expect(line).to_be_in_viewport()
    title = page.locator("#status h2")
    for language, font in (("ja", "Noto Sans CJK JP"), ("zh", "PingFang SC")):
        page.goto(f"{tiny_app}?lang={language}")
        expect(title).to_be_visible()
        expect(line).to_have_count(0)
        assert font in title.evaluate("(title) => getComputedStyle(title).fontFamily")


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
    expect(page.locator("#status h2")).to_contain_text("Try one of these")
