"""Takes the README's picture of the app, with the shipped detector: python scripts/screenshot.py [--example 2]

Needs requirements-dev.txt and Chromium.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from app import LazyDetector, build, launch  # noqa: E402

MAX_BYTES = 500_000


def take(address: str, *, example: int, width: int, dark: bool) -> Image.Image:
    """The page at `address` once the example has been judged, from the top to the end of its maps."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        scheme = "dark" if dark else "light"
        page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)  # type: ignore[arg-type]
        page.set_default_timeout(120_000)
        page.goto(address)
        page.locator("#examples button").nth(example).click()
        page.locator("#stability table").wait_for()
        page.locator("#non-causal-map img").wait_for()
        page.wait_for_timeout(2000)  # fonts and layout
        shot = page.screenshot(full_page=True)
        browser.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--example", type=int, default=1, help="which of the page's examples, from 0")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "app.png")
    options = parser.parse_args()
    page = build(LazyDetector())
    picture = take(launch(page), example=options.example, width=options.width, dark=options.dark)
    page.close(verbose=False)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(256, dither=Image.Dither.NONE).save(options.out, optimize=True)
    if options.out.stat().st_size > MAX_BYTES:
        sys.exit(f"The picture has more than {MAX_BYTES // 1000} kB; choose another example.")


if __name__ == "__main__":
    main()
