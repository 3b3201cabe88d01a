"""Names, shares and layout that the measured sections share."""

from __future__ import annotations

from html import escape
from typing import Any

from ui.charts import Axis

Report = dict[str, Any]
SETS = {
    "broad": "many generators",
    "alike": "like content",
    "fresh": "like content, newer sites",
    "sites": "sites drawn by lot",
    "edits": "edited by generators",
    "all": "all",
}
SOURCES = {
    "camera-exif": "camera files with EXIF",
    "cid22-pexels": "CID22 (Pexels)",
    "dalle2": "DALL·E 2",
    "ffhq": "FFHQ (portraits from Flickr)",
    "flux-dev": "FLUX.1 dev",
    "freepik-ai": "Freepik, AI",
    "imagefx-imagen3": "ImageFX (Imagen 3)",
    "imagenet-sample": "ImageNet",
    "ms-designer-dalle3": "Microsoft Designer (DALL·E 3)",
    "pexels-web": "Pexels",
    "set5-set14": "Set5 and Set14",
    "sun-hays80": "Sun-Hays 80",
    "unsplash-web": "Unsplash",
    "whisk-imagen": "Whisk (Imagen)",
}
SETS_WORDS = (
    "<b>Many generators</b>: real and generated pictures, whatever they show. <b>Like content</b>: real and generated "
    "photographs of the same kinds of thing, from sites whose owners say which is which; this is harder, and nearer to "
    "what a newsroom meets. <b>Newer sites</b>: the same from other sites, whose pictures are newer on the whole. "
    "<b>Sites drawn by lot</b>: owners drawn from those that were added in November 2026; most of them have real "
    "pictures alone or generated ones alone, so that what a picture shows can give it away. "
    "<b>Edited</b>: photographs, some with a part that a generator changed; one verdict on the whole picture is not "
    "expected to find those. <b>All</b>: all of these together."
)
AUC = Axis("AUC", 0.5, 1.0)
HALF = "the line is a coin's 0.5"


def percent(share: float) -> str:
    """Whole percent; a share that is not 0 or 1 is not shown as if it were."""
    text = f"{100 * share:.0f} %"
    return "under 1 %" if text == "0 %" and share > 0 else "over 99 %" if text == "100 %" and share < 1 else text


def sets_of(test: Report) -> list[str]:
    """The sets of a report, those that are known by a name first."""
    return sorted(test["sets"], key=lambda n: list(SETS).index(n) if n in SETS else -1)


def known(row: Report) -> list[str]:
    """The sets that a row has numbers of, in the order of SETS."""
    return [name for name in SETS if name in row]


def set_name(name: str) -> str:
    return SETS.get(name, escape(name))


def source_name(name: str) -> str:
    """A source in words: its known name, or its folder's without prefixes, owners and settings."""
    if name in SOURCES:
        return escape(SOURCES[name])
    plain, kind = name, ""
    for ending, word in (("-real", "real"), ("-ai", "generated")):
        if name.endswith(ending):
            plain, kind = name.removesuffix(ending), f" ({word})"
    if plain.startswith("sds-"):
        plain = plain.removeprefix("sds-").rpartition("_")[2] or plain
    return escape(plain.replace("-", " ").replace("_", " ").strip()) + kind


def repeated(count: int) -> str:
    """How often something was measured anew."""
    return "measured once" if count == 1 else f"{count} repetitions"


def side_by_side(*pieces: str) -> str:
    return f"<div class='cc-beside'>{''.join(pieces)}</div>"
