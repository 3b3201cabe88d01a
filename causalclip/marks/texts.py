"""Marks in what a file's metadata say: settings, workflows, names, labels. Anybody can write or strip them.

Every rule is of files that were seen, or of a maker's documentation; a caption that names a generator is no mark.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from causalclip.images.formats import clean
from causalclip.languages import N_
from causalclip.marks.china import read_label
from causalclip.marks.mark import Certainty, Mark


class Text(Protocol):
    """A text of a file: where it is stored, its key there, its value."""

    @property
    def where(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """keys: in lower case, in which the mark is looked for; none: in all. says: whether a value is the mark."""

    generator: str
    keys: tuple[str, ...]
    says: Callable[[str], bool]
    certainty: Certainty = "claim"
    edited: bool = False


def _matches(pattern: str) -> Callable[[str], bool]:
    found = re.compile(pattern, re.IGNORECASE)
    return lambda value: bool(found.match(value.strip()))


def _holds(*names: str) -> Callable[[str], bool]:
    """Whether a value is a JSON object that has all of these names."""

    def says(value: str) -> bool:
        if not value.lstrip().startswith("{") or not all(f'"{name}"' in value for name in names):
            return False
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and all(name in found for name in names)

    return says


PROGRAM = ("software", "camera maker", "camera", "artist")
CREDIT = ("credit",)
COMMENT = ("comment", "description", "usercomment", "parameters")
RULES = (
    Rule("Grok", COMMENT, _matches(r"signature: [A-Za-z0-9+/=]{80,}")),
    Rule("Grok", ("grokimageprompt",), bool),
    Rule("Google AI", CREDIT, _matches(r"ai-generated with google\b")),
    Rule("Google AI", CREDIT, _matches(r"edited with google ai\b"), edited=True),
    Rule("Apple Photos Clean Up", CREDIT, _matches(r"apple photos clean up\b"), edited=True),
    Rule("Canva Magic Media", ("ai-generation-source",), bool),
    Rule("Ideogram", PROGRAM, _matches(r"ideogram\b")),
    Rule("FLUX", PROGRAM, _matches(r"black forest labs\b|ai generated;.*\bflux\b")),
    Rule("FLUX", ("flux:model",), bool),
    Rule("mflux", COMMENT, _holds("mflux_version")),
    Rule("pollinations.ai", COMMENT, _holds("prompt", "model", "nologo")),
    Rule("Civitai", COMMENT, lambda value: "Civitai resources: [{" in value),
    Rule("Reve", (*PROGRAM, "creatortool"), _matches(r"(?:https?://)?(?:www\.)?reve\.com\b")),
    Rule("Aphrodite AI", PROGRAM, _matches(r"aphrodite ai\b")),
    Rule(N_("an image generator"), PROGRAM, _matches(r"ai generated\b")),
    Rule("Recraft", ("crft",), lambda value: "recraft" in value[:400].lower()),
    Rule(
        N_("an image generator"), ("description",), lambda value: '"EnhancedPrompt"' in value and '"ModelId"' in value
    ),
    Rule("Topaz", ("software",), _matches(r"topaz (?:gigapixel|photo|sharpen|denoise)"), "hint", edited=True),
    Rule("Luminar Neo", ("software",), _matches(r"luminar neo\b"), "hint", edited=True),
)


SEARCHED = 256 * 2**10  # characters of a text
LOWEST = N_("lowest bits of the pixels")
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
    (re.compile(r"\b(?:leonardo\.ai|draw things|fooocus|swarmui|grok)\b", re.I), N_("an image generator")),
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


_LOCAL: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
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


def find_text_marks(texts: Iterable[Text]) -> tuple[Mark, ...]:
    """The marks in the texts of one file, each generator once a text."""
    found: dict[tuple[str, str], Mark] = {}
    for text in texts:
        mark = _mark(text)
        if mark:
            found.setdefault((mark.generator, mark.where), mark)
    return tuple(found.values())


def find_hidden_marks(text: str, *, signed: bool) -> tuple[Mark, ...]:
    """The marks in a text that was hidden in the lowest bits: NovelAI's JSON, or a web UI's settings. signed: whether
    NovelAI signed it with the pixels."""
    if signed:
        return (Mark("NovelAI", LOWEST, clean(text, limit=160), "signature", "proof"),)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = {"parameters": text}
    said = found.items() if isinstance(found, dict) else ()
    return find_text_marks(_Hidden(key, value) for key, value in said if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class _Hidden:
    key: str
    value: str
    where: str = LOWEST


def _mark(text: Text) -> Mark | None:
    key = text.key.strip().lower()
    where, excerpt = clean(f"{text.where}, {text.key}", limit=80), clean(text.value, limit=160)
    label = read_label(text.value)
    if label:
        return Mark(label[0], where, excerpt, "label", says=label[1])
    for rule in RULES:
        if key in rule.keys and rule.says(text.value[:SEARCHED]):
            return Mark(rule.generator, where, excerpt, certainty=rule.certainty, edited=rule.edited)
    generator = _generator(text)
    return Mark(generator, where, excerpt) if generator else None


def _generator(text: Text) -> str | None:
    key, value = text.key.strip().lower(), text.value[:SEARCHED]
    for generator, rule in _LOCAL:
        if rule(key, value):
            return generator
    if key in _PROGRAMS:
        return next((generator for name, generator in _NAMES if name.search(value[:1000])), None)
    if key in _OWNERS:
        return next((generator for phrase, generator in _PHRASES if phrase.match(value[:1000])), None)
    return None
