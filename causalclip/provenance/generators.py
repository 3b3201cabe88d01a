"""Marks that image generators leave in a file's texts: settings, workflows, names. Anybody can write or strip them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from causalclip.languages import N_
from causalclip.pictures.plaintext import clean
from causalclip.provenance.blocks import Text

SEARCHED = 256 * 2**10  # characters of a text


@dataclass(frozen=True, slots=True)
class Mark:
    """generator: whose mark it is. where: in which text it was found. excerpt: its beginning, cleaned, not escaped."""

    generator: str
    where: str
    excerpt: str


_STEPS = re.compile(r"\bSteps: ?\d{1,4}, ")
_SETTINGS = re.compile(r"\b(?:Sampler|CFG scale|Seed): ?\S")
_JOB = re.compile(r"\bJob ID: ?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_FLAGS = re.compile(r"\s--(?:ar|v|niji|stylize|chaos|sref) ?\d")
_NAMES = (
    (re.compile(r"\bmidjourney\b", re.I), "Midjourney"),
    (re.compile(r"\bDALL[-·\N{BULLET} ]?E\b", re.I), "DALL-E"),
    (re.compile(r"\b(?:gpt-image|chatgpt|openai)", re.I), "OpenAI"),
    (re.compile(r"\bcomfy ?ui\b", re.I), "ComfyUI"),
    (re.compile(r"\binvoke ?ai\b", re.I), "InvokeAI"),
    (re.compile(r"\bnovel ?ai\b", re.I), "NovelAI"),
    (re.compile(r"\bstable[- ]?diffusion\b|\bautomatic1111\b|\bsd[- ]?xl\b", re.I), "Stable Diffusion"),
    (re.compile(r"\bfirefly\b", re.I), "Adobe Firefly"),
    (re.compile(r"\bmade with google ai\b|\bgoogle (?:imagen|gemini)\b", re.I), "Google AI"),
    (re.compile(r"\bimagined with ai\b|\bmeta ai\b", re.I), "Meta AI"),
    (re.compile(r"\b(?:ideogram|leonardo\.ai|draw things|fooocus|swarmui|grok)\b", re.I), N_("an image generator")),
)
# Names count only where a program signs: a caption about Midjourney is no mark of it, and OpenAI is credited for the
# photographs that it hands out. Where an owner signs, only the phrases count that generators themselves write there.
_PROGRAMS = {"software", "generator", "ai system used"}
_OWNERS = {"credit", "source"}
_PHRASES = (
    (re.compile(r"\s*made with google ai\b", re.I), "Google AI"),
    (re.compile(r"\s*imagined with ai\b", re.I), "Meta AI"),
)


def _has_settings(value: str) -> bool:
    """Whether a line of the web UI's settings is in a text; of hostile ones, only the first places are looked at."""
    starts = (found.end() for found in islice(_STEPS.finditer(value), 20))
    return any(_SETTINGS.search(value[at : at + 300].split("\n", 1)[0]) for at in starts)


_RULES: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("SwarmUI", lambda key, value: "sui_image_params" in value[:400]),
    ("InvokeAI", lambda key, value: key in ("invokeai_metadata", "invokeai_graph", "sd-metadata", "dream")),
    ("Fooocus", lambda key, value: key == "fooocus_scheme"),
    ("ComfyUI", lambda key, value: key == "prompt" and '"class_type"' in value),
    ("ComfyUI", lambda key, value: key == "workflow" and '"nodes"' in value),
    ("Midjourney", lambda key, value: bool(_JOB.search(value)) or len(_FLAGS.findall(value)) >= 2),
    (
        N_("Stable Diffusion web UI (Automatic1111, Forge or a program that writes the same)"),
        lambda key, value: key in ("parameters", "comment", "usercomment") and _has_settings(value),
    ),
)


def find_marks(texts: Iterable[Text]) -> tuple[Mark, ...]:
    """The marks in the texts of one file, each generator once a text."""
    found: dict[tuple[str, str], Mark] = {}
    for text in texts:
        generator = _generator(text)
        if generator:
            where = clean(f"{text.where}, {text.key}", limit=80)
            found.setdefault((generator, where), Mark(generator, where, clean(text.value, limit=160)))
    return tuple(found.values())


def _generator(text: Text) -> str | None:
    key, value = text.key.strip().lower(), text.value[:SEARCHED]
    for generator, rule in _RULES:
        if rule(key, value):
            return generator
    if key in _PROGRAMS:
        return next((generator for name, generator in _NAMES if name.search(value[:1000])), None)
    if key in _OWNERS:
        return next((generator for phrase, generator in _PHRASES if phrase.match(value[:1000])), None)
    return None
