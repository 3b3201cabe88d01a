"""Counts the words that a visitor sees in Detect, with all folds closed: python -m scripts.words ADDRESS PICTURE

Needs requirements-dev.txt and Chromium. At most BEFORE words stand on the page before there is a picture, and AFTER
once one is judged; it ends with 1 where there are more.
"""

from __future__ import annotations

import shutil
import sys

from playwright.sync_api import Page, sync_playwright

BEFORE, AFTER = 60, 250
COUNT = """() => {
  const unseen = ".cc-hidden, .visually-hidden, .sr-only, script, style, option:not(:checked)";
  const seen = (node) => {
    const parent = node.parentElement, range = document.createRange();
    const drawn = parent.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    if (!drawn || parent.closest(unseen)) return false;
    range.selectNodeContents(node);
    return parent.matches("option") || [...range.getClientRects()].some((box) => box.width > 1 && box.height > 1);
  };
  const walk = document.createTreeWalker(document.querySelector(".gradio-container"), NodeFilter.SHOW_TEXT), found = [];
  while (walk.nextNode()) if (seen(walk.currentNode)) found.push(walk.currentNode.data);
  return found.join(" ").split(/\\s+/).filter((word) => /[\\p{L}\\p{N}]/u.test(word));
}"""


def visible_words(page: Page) -> list[str]:
    """All words with a letter or a digit that are drawn on the page, on screen or below it."""
    words: list[str] = page.evaluate(COUNT)
    return words


def main() -> None:
    address, picture = sys.argv[1:]
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.set_default_timeout(300_000)
        page.goto(address)
        page.locator("html[data-renames]").wait_for(state="attached")
        page.locator("#examples button").first.wait_for()
        counts = [len(visible_words(page))]
        page.locator("#picture input[type=file]").set_input_files(picture)
        page.locator("#report-html").wait_for()
        counts.append(len(visible_words(page)))
    print(f"before a picture: {counts[0]} words of {BEFORE}; after a detection: {counts[1]} of {AFTER}")
    sys.exit(counts[0] > BEFORE or counts[1] > AFTER)


if __name__ == "__main__":
    main()
