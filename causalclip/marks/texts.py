"""Marks in what a file's metadata say, beside those of local generators (provenance/generators.py).

Every rule is of files that were seen, or of a maker's documentation; a caption that names a generator is no mark.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from causalclip.languages import N_
from causalclip.marks.china import read_label
from causalclip.marks.mark import Certainty, Kind, Mark


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
    Rule("Grok", COMMENT, _matches(r"signature: [A-Za-z0-9+/=]{200,}")),
    Rule("Grok", ("grokimageprompt",), bool),
    Rule(N_("Google AI"), CREDIT, _matches(r"ai-generated with google\b")),
    Rule(N_("Google AI"), CREDIT, _matches(r"edited with google ai\b"), edited=True),
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
    Rule(
        N_("an image generator"), ("description",), lambda value: '"EnhancedPrompt"' in value and '"ModelId"' in value
    ),
    Rule("Topaz", ("software",), _matches(r"topaz (?:gigapixel|photo|sharpen|denoise)"), "hint", edited=True),
    Rule("Luminar Neo", ("software",), _matches(r"luminar neo\b"), "hint", edited=True),
)


def find_text_marks(texts: Iterable[Text]) -> tuple[Mark, ...]:
    """The marks in the texts of one file, each generator once a place."""
    found = {(mark.generator, mark.where): mark for text in texts for mark in _of(text)}
    return tuple(found.values())


def _of(text: Text) -> Iterator[Mark]:
    key, where, excerpt = text.key.strip().lower(), f"{text.where}, {text.key}", text.value[:160]
    label = read_label(text.value)
    if label:
        generator, certain = label
        kind: Kind = "label"
        yield Mark(generator, where, excerpt, kind, "claim" if certain == "is" else "hint")
        return
    for rule in RULES:
        if key in rule.keys and rule.says(text.value):
            yield Mark(rule.generator, where, excerpt, "metadata", rule.certainty, edited=rule.edited)
            return
