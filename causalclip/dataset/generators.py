"""How many pictures and owners the table has of each of the newest generators."""

import re
from collections.abc import Iterable

from causalclip.dataset.table import SPLITS, Picture

NEWEST = {
    "GPT Image 2": r"GPT Image 2\b",
    "GPT Image 1, 1.5 or not stated": r"GPT[- ]Image(?! 2\b)|GPT-4o|ChatGPT image",
    "Nano Banana 2": r"Nano Banana 2\b",
    "Nano Banana Pro (Gemini 3 Pro Image)": r"Nano Banana Pro|Gemini 3 Pro Image",
    "Nano Banana (Gemini 2.5 Flash Image)": r"Nano Banana(?! Pro| 2\b)|Gemini 2\.5 Flash Image",
    "Gemini, version not stated": r"Gemini(?! [23]\b| 2\.5)(?!.*Nano Banana)(?!.*Imagen)",
    "Imagen 4": r"Imagen 4\b",
    "FLUX.2": r"FLUX\.2\b",
    "Seedream 4": r"Seedream 4\b",
    "Seedream 5": r"Seedream 5\b",
    "Midjourney 7": r"Midjourney v?7\b",
    "Ideogram 3": r"Ideogram v?3\b",
    "Ideogram, version not stated": r"Ideogram(?! v?\d)",
    "Grok": r"\bGrok\b",
    "Firefly": r"\bFirefly\b",
    "Qwen-Image": r"Qwen[- ]Image",
    "Hunyuan Image 3": r"Hunyuan ?(Image )?3\b",
    "Recraft": r"\bRecraft\b",
    "Z-Image": r"\bZ-Image\b",
    "Sora": r"\bSora\b(?! web)",  # GPT Image was used on Sora's pages, too
}
_UNSURE = re.compile(r"\bor\b|\bmostly\b|\bunknown\b|\bunsure\b|not stated|\?|, | / |(?<!4o)/GPT", re.IGNORECASE)


def generator_of(name: str) -> str:
    """Which of NEWEST a generator's name in the table says, and says alone; nothing if none or more than one."""
    if _UNSURE.search(name):
        return ""
    return next((newest for newest, words in NEWEST.items() if re.search(words, name, re.IGNORECASE)), "")


def count_newest(pictures: Iterable[Picture]) -> dict[str, dict[str, tuple[int, int]]]:
    """Of each of NEWEST and each split: how many generated pictures, and of how many owners."""
    of: dict[tuple[str, str], list[str]] = {(name, split): [] for name in NEWEST for split in SPLITS}
    for p in pictures:
        name = generator_of(p.generator) if p.label == "fake" else ""
        if name:
            of[name, p.split].append(p.owner)
    return {name: {s: (len(of[name, s]), len(set(of[name, s]))) for s in SPLITS} for name in NEWEST}
