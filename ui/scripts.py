"""The browser's scripts with their settings, and what the page shows before the server has heard of
a file."""

import json
from typing import Any

from causalclip.images.formats import MAX_BYTES, SMALLER, TOO_LARGE, too_many_bytes
from causalclip.languages import N_, _
from causalclip.paths import shipped_folder
from causalclip.report.card import failure
from causalclip.report.templates import render

LEFT_OUT = N_("Left out, with more than {mb} MB: {names}.")
LEFT_UNREADABLE = N_("Left out, of a kind that is not read here: {names}.")
NO_PICTURE = N_(
    "There is none in the clipboard, or the browser does not let this page read it. Copy a "
    "picture, or choose its file."
)
UNPACK = N_("Unpack the zip, and choose its folder.")


def script(name: str, before: str = "", **settings: Any) -> str:
    """Return a script in assets/ for a component's `js_on_load`.

    Args:
        name: of its file, without the ending.
        before: other code that comes before it.
        settings: what the script and that code find as constants.
    """
    constants = f"const {{ {', '.join(settings)} }} = {json.dumps(settings)};\n" if settings else ""
    return constants + before + _read(name)


def sending_script() -> str:
    """Return what the browser does with many files: assets/files.js."""
    return _read("files").replace("BIGGEST", str(MAX_BYTES))


def sending_words() -> dict[str, str]:
    """Return what `leftOut` says, in the reader's language."""
    return {
        "large": _(LEFT_OUT, mb=MAX_BYTES >> 20, names="{names}"),
        "unreadable": _(LEFT_UNREADABLE, names="{names}"),
        "smaller": _(SMALLER),
        "unpack": _(UNPACK),
    }


def sending_cards() -> str:
    """Return what the page itself shows until the server has heard of a file, as HTML:
    assets/stale.js copies it.

    The size from which a file is refused stands there, too: the field's own refusal is in English,
    and goes after some seconds.
    """
    cards = {
        "one": render("on_its_way"),
        "many": render("coming"),
        "large": failure(_(TOO_LARGE), str(too_many_bytes())),
        "none": failure(_("No picture was pasted"), _(NO_PICTURE)),
    }
    return "".join(
        f"<div data-card='{name}' data-bytes='{MAX_BYTES}'>{card}</div>"
        for name, card in cards.items()
    )


def _read(name: str) -> str:
    return (shipped_folder("assets") / f"{name}.js").read_text(encoding="utf-8")
