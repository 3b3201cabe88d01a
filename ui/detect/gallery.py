"""What the shipped detector says of public pictures that are not shipped: stored answers and maps, with a link to each.

The pictures are test pictures: the detector learned nothing from them, and they were chosen before it was asked about
them. scripts/gallery.py examines them and writes assets/gallery; a test fails where that is of another revision.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from causalclip.evidence.headline import tone_of
from causalclip.evidence.stability import survives
from causalclip.evidence.words import NO_ANSWER, score_texts
from causalclip.languages import N_, _, ended
from causalclip.paths import shipped_folder
from causalclip.report.card import SIGN
from ui.detect.details import map_sentence

FOLDER = shipped_folder("assets") / "gallery"
LIKELY = "likely generated"
GENERATED, PHOTOGRAPH = N_("generated, {how}"), N_("a photograph")
EDITED, PAGE = N_("a photograph, edited with {how}"), N_("a screenshot")


@dataclass(frozen=True, slots=True)
class Public:
    """A public picture. what: it shows. truth: how it was made, with `how` in it. commit: of `repo` on GitHub."""

    sha256: str
    what: str
    truth: str
    how: str
    repo: str
    commit: str
    path: str

    @property
    def address(self) -> str:
        """Where it can be seen."""
        return f"https://github.com/{self.repo}/blob/{self.commit}/{quote(self.path)}"


PICTURES = (
    Public(
        "03af45b893bc56e43fab61119384ab9c51dad3d17d6d15ca258d89c227c43a1a",
        N_("A restaurant with a wooden table"),
        GENERATED,
        "GPT Image 2",
        "isupplymnl-blip/gpt-image-2-test",
        "e6d7e72ab68b71f65d2daaface15b5c8052b26c8",
        "test-output/safe-step2-setting-1778067100673.jpeg",
    ),
    Public(
        "06d7668db03090d58086206be6daf3c87fa59d1e4c37aa0dd4c29467b4186439",
        N_("A market street on a rainy night"),
        GENERATED,
        "GPT Image 2",
        "mmd19999/gpt-image2-vs-nano-banana2",
        "78aa616502395261c58bdc2e18f066006824c042",
        "public/images/matchups/4-gpt.webp",
    ),
    Public(
        "0b179566ec53db426fd0340c99c236a21add466dc8208b56489fce0e81ea0e4e",
        N_("Folded towels with leaves on them"),
        GENERATED,
        "Gemini",
        "alinest123/Laundry-master",
        "48e7d9fa909586b9cd74a68bdf6f701b073474ec",
        "attached_assets/generated_images/category_sustainability.jpg",
    ),
    Public(
        "02a7e1c1110ad3a1ee0087715e658445323a12383a23fac55fda0e00bbe1fe7e",
        N_("The lobby of a hotel"),
        GENERATED,
        "Replit Agent",
        "ANIKETPROJECTS/InteriorWebsite",
        "ac4dbf577471c09505d365ecd1d6182be79341dd",
        "attached_assets/generated_images/boutique_hotel_lobby.png",
    ),
    Public(
        "08809ff5bcc6e43fc1b6ddf776f48a05f9f7720e94c9f39d89024281c0818671",
        N_("Shoes on a pebble beach"),
        PHOTOGRAPH,
        "",
        "drewnoakes/metadata-extractor-images",
        "4beba640487802442bc9931fb01274e908102d3a",
        "jpg/Apple iPhone 4S.jpg",
    ),
    Public(
        "09a010a826f1705adc2aec60e05a007b2e3f875536e537babde7de87719dcfb0",
        N_("Bowls with fruit on a table"),
        PHOTOGRAPH,
        "",
        "imazen/codec-corpus",
        "55decfe826d350815e3af3b5ac69b882fb2943d3",
        "CID22/CID22-512/training/4099238.png",
    ),
    Public(
        "062896fd7cb2e09fe8129bd477a606f9be1267e7339b0ed5eff235ceecfd878c",
        N_("A lane whose houses were made wooden"),
        EDITED,
        "MAG-Edit (Stable Diffusion)",
        "MAG-Edit/MAG-Edit.github.io",
        "8b028ebeb4b786c1ab61f7cdac1cc6d514d50432",
        "assets/data/editing_type/editing_type/2/wooden.png",
    ),
    Public(
        "0359e2e8cca05218981a2928c34b23ec9c3dc98b019abed91b550976c482afdd",
        N_("A dialog of a desktop program"),
        PAGE,
        "",
        "lxqt/lxqt.github.io",
        "a2066b91566edb45d065ad591be07b155a4eef0e",
        "images/posts/launcher.png",
    ),
)


def gallery() -> str:
    """All of them as HTML, folded; each with its map, its answer and the link."""
    kept = json.loads((FOLDER / "examinations.json").read_text(encoding="utf-8"))
    rows = "".join(_row(public, kept["pictures"][public.sha256]) for public in PICTURES)
    about = _(
        "What the detector (revision {revision}) says of {n} public pictures. It has learned from none of them, and "
        "they were chosen before it was asked. The maps are shown without the pictures, which stand where the links "
        "lead; save one there and add it here to see all of its answer.",
        revision=escape(kept["revision"]),
        n=len(PICTURES),
    )
    title = _("Answers to public pictures, generated ones too")
    begun = f"<p class='cc-small' id='public-pictures'>{about}</p>"
    return f"<details class='cc-gallery'><summary>{title}</summary>{begun}{rows}</details>"


def way_there() -> str:
    """A link into it as HTML, which assets/upload.js unfolds, for who has no picture yet; empty where it has none such.

    By its pixels no example may be likely generated.
    """
    kept = json.loads((FOLDER / "examinations.json").read_text(encoding="utf-8"))["pictures"]
    if not any(kept[public.sha256]["band"] == LIKELY for public in PICTURES):
        return ""
    words = _("See public pictures that it called likely generated")
    return f"<p class='cc-jump-there'><a href='#public-pictures'>{words}</a></p>"


def _row(public: Public, kept: dict[str, Any]) -> str:
    truth = _(public.truth, how=public.how) if public.how else _(public.truth)
    link = f"<a href='{escape(public.address)}' target='_blank' rel='noopener noreferrer'>{_(public.what)}</a>"
    map_words = map_sentence(kept["place"], towards_generated=kept["towards_generated"])
    image = base64.b64encode((FOLDER / f"{public.sha256[:12]}.webp").read_bytes()).decode()
    width, height = kept["size"]
    return (
        f"<article><img loading='lazy' width='{width}' height='{height}' src='data:image/webp;base64,{image}' "
        f"alt='{escape(map_words)}'><div><h3>{link}</h3><p class='cc-small'>{_('In truth: {how}', how=truth)}</p>"
        f"<p>{_answer(kept)}</p>{_said(kept)}</div></article>"
    )


def _answer(kept: dict[str, Any]) -> str:
    tone = tone_of(kept["answer"])
    sign = f"<span aria-hidden='true'>{SIGN[tone]}</span>"
    return f"<span class='cc-answer cc-{tone}'>{sign}\N{NO-BREAK SPACE}{_(kept['answer'])}</span>"


def _said(kept: dict[str, Any]) -> str:
    """What the pixels alone say, the score between its thresholds, and whether that survives."""
    if kept["band"] == NO_ANSWER:
        return ""
    score, low, high = score_texts(kept["probability"], kept["low"], kept["high"])
    words = _(
        "By the pixels: {band}. Score {score}, thresholds {low} and {high}.",
        band=_(kept["band"]),
        score=score,
        low=low,
        high=high,
    )
    held = survives(kept["survives"], tuple(kept["counted"]))
    return f"<p class='cc-small'>{words} {_('Survives re-encoding?')} {escape(ended(held))}</p>"
