"""Files of more than 20 MB are refused by a sentence of the app's, in the reader's language."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from causalclip.images.formats import MAX_BYTES, TOO_LARGE, too_many_bytes
from causalclip.languages import _, speaking
from tests.browser.conftest import Open

pytestmark = pytest.mark.full


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
        page.wait_for_timeout(2500)  # longer than a failed upload is waited for
        expect(said).to_have_count(1)
        page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
        expect(said).to_have_count(0)
        expect(page.locator("#status")).to_be_visible()
