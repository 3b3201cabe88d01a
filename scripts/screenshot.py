"""Takes the pictures of the app's screens in docs/, with the shipped models: python
scripts/screenshot.py [NAME ...]

Needs requirements-dev.txt and Chromium. Screens: app, batch, mask, purify.
"""

import argparse
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from purifier.models import Models, weights_are_shipped  # noqa: E402
from ui.app import SHIPPED, LazyDetector, build, launch  # noqa: E402
from ui.tabs.check.examples import write_examples  # noqa: E402

COLOURS = 256
# of all colours that there are, or purple turns grey; in a screen of photographs the commonest ones
RANGE, COMMONEST = Image.Quantize.MAXCOVERAGE, Image.Quantize.MEDIANCUT
PHOTOGRAPHS = {"app", "mask", "purify"}
WIDTH = 1280
# What a screen ends before: README shows the answer, its map, and what to do now.
ENDS = dict.fromkeys(("app", "batch"), ".tabs + .block")


def check(page: Page, files: list[Path]) -> None:
    """A judged example, by a generator."""
    page.locator("#examples button").nth(1).click()
    page.locator("#layer .cc-map-layer").wait_for()
    page.locator("#status .cc-final").wait_for()  # the copies are judged


def batch(page: Page, files: list[Path]) -> None:
    """Three pictures and a broken one."""
    broken = files[0].with_name("cut-short.jpg")
    broken.write_bytes(files[0].read_bytes()[:900])
    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-files input[type=file]").set_input_files([*files[:3], broken])
    page.locator("#batch-status").get_by_text("Finished").wait_for()


def mask(page: Page, files: list[Path]) -> None:
    """An example, with what is left without its strongest channels."""
    page.get_by_role("tab", name="Mask").click()
    page.locator("#mask-examples button").nth(1).click()
    page.locator("#mask-removal input").wait_for()


def purify(page: Page, files: list[Path]) -> None:
    """An example, attacked and purified."""
    page.get_by_role("tab", name="Purify").click()
    page.locator("#purify-examples button").first.click()
    page.locator("#purify-purified-said").wait_for()
    page.locator("#purify-slider img").first.wait_for()


SCREENS: dict[str, Callable[[Page, list[Path]], None]] = {
    "app": check,
    "batch": batch,
    "mask": mask,
    "purify": purify,
}


def take(address: str, name: str, files: list[Path], *, dark: bool) -> Image.Image:
    """The page at `address` once it has been brought to a screen, from the top to its end, or to an
    element."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": 1000}, color_scheme="dark" if dark else "light"
        )
        page.set_default_timeout(120_000)
        page.goto(address)
        page.locator("#status h2").wait_for()
        SCREENS[name](page, files)
        page.wait_for_timeout(2000)  # fonts and layout
        end = (
            page.locator(ENDS[name]).evaluate("e => e.getBoundingClientRect().top + scrollY")
            if name in ENDS
            else None
        )
        picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        browser.close()
    return picture.crop((0, 0, picture.width, round(end))) if end else picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", choices=[[], *SCREENS], help="which screens; all by default"
    )
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    detector = LazyDetector(SHIPPED)
    # before the page is opened: libraries that import lazily fail where two threads import them at
    # once
    detector()
    page = build(detector, models=Models(detector=detector) if weights_are_shipped() else None)
    address = launch(page)
    options.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        files = [example.path for example in write_examples(folder)]
        for name in options.names or [
            name for name in SCREENS if name != "purify" or weights_are_shipped()
        ]:
            picture = take(address, name, files, dark=options.dark)
            chosen = COMMONEST if name in PHOTOGRAPHS else RANGE
            palette = picture.quantize(COLOURS, method=chosen)
            few = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
            few.save(options.out / f"{name}.png", optimize=True)
    page.close(verbose=False)


if __name__ == "__main__":
    main()
