"""The page's frame: its head, the switch of languages, what the open tab is for, and words on privacy and limits.

As HTML it is in assets/frame.html.
"""

from __future__ import annotations

from functools import partial

from causalclip.evidence.words import error_rates
from causalclip.languages import LANGUAGES, current
from causalclip.report.templates import render
from ui.purify.words import PURPOSE

# Of the switch: the choice goes into the address, and stays in the browser's own storage.
CHOOSE = """const select = element.querySelector("select");
select.addEventListener("change", () => {
  try { localStorage.setItem("language", select.value); } catch { /* a browser may keep nothing */ }
  const address = new URL(location);
  address.searchParams.set("lang", select.value);
  location.assign(address);
});"""
_render = partial(render, template="frame.html")


def introduction(measured_as: str | None) -> str:
    """What this is, and the two numbers that matter: the benchmark's, left out where there is none of that revision."""
    return _render("introduction", rates=error_rates(measured_as))


def languages() -> str:
    """The switch; each language by its own name."""
    return _render("languages", codes=LANGUAGES, spoken=current())


def heads() -> str:
    """The sentences of all tabs but Detect's and Batch's; one at most is shown."""
    return _render("heads", purpose=PURPOSE)


def privacy() -> str:
    """What is promised about a picture, what the app cannot tell of it, and how its maps are read, as Markdown."""
    return _render("privacy")
