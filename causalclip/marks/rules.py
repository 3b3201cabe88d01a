"""Rules that tell a generator by one field of the metadata; a maker's documentation, or files that
were seen, stand behind each."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from causalclip.marks.mark import UNNAMED, Certainty
from causalclip.text import is_prose, json_object

PROGRAM = ("software", "camera maker", "camera", "artist")
CREDIT = ("credit",)
COMMENT = ("comment", "description", "usercomment", "parameters")


@dataclass(frozen=True, slots=True)
class Rule:
    """One generator's mark in one field of the metadata.

    Attributes:
        generator: whose mark it is.
        keys: names of the fields that may hold it, in lower case.
        matches: whether a field's text is the mark.
        certainty: of the mark.
        edited: whether it says that a picture was edited with generative AI, not generated.
    """

    generator: str
    keys: tuple[str, ...]
    matches: Callable[[str], bool]
    certainty: Certainty = "declared"
    edited: bool = False


def _starts(pattern: str) -> Callable[[str], bool]:
    """Make a test whether a text starts with a pattern, whatever its case."""
    expression = re.compile(pattern, re.IGNORECASE)
    return lambda value: bool(expression.match(value.strip()))


def _has_names(*names: str) -> Callable[[str], bool]:
    """Make a test whether a text is a JSON object that has all of these names."""

    def test(value: str) -> bool:
        if not all(f'"{name}"' in value for name in names):
            return False
        settings = json_object(value)
        return settings is not None and all(name in settings for name in names)

    return test


RULES = (
    Rule("Grok", COMMENT, _starts(r"signature: [A-Za-z0-9+/=]{80,}")),
    Rule("Grok", ("grokimageprompt",), is_prose),
    Rule("Google AI", CREDIT, _starts(r"ai-generated with google\b")),
    Rule("Google AI", CREDIT, _starts(r"edited with google ai\b"), edited=True),
    Rule("Apple Photos Clean Up", CREDIT, _starts(r"apple photos clean up\b"), edited=True),
    Rule("Canva Magic Media", ("ai-generation-source",), is_prose),
    Rule("Ideogram", PROGRAM, _starts(r"ideogram\b")),
    Rule("FLUX", PROGRAM, _starts(r"black forest labs\b|ai generated;.*\bflux\b")),
    Rule("FLUX", ("flux:model",), is_prose),
    Rule("Leonardo", PROGRAM, _starts(r"leonardo[. ]?(?:ai|interactive)\b")),
    Rule("Stability AI", PROGRAM, _starts(r"stability[. ]?ai\b")),
    Rule("Adobe Firefly", PROGRAM, _starts(r"adobe firefly\b")),  # Firefly alone is a camera
    Rule("Midjourney", PROGRAM, _starts(r"midjourney\b")),
    Rule("OpenAI", PROGRAM, _starts(r"openai\b|chatgpt\b")),
    Rule("Kling", PROGRAM, _starts(r"kling ?ai\b")),
    Rule("mflux", COMMENT, _has_names("mflux_version")),
    Rule("pollinations.ai", COMMENT, _has_names("prompt", "model", "nologo")),
    Rule("Civitai", COMMENT, lambda value: "Civitai resources: [{" in value),
    Rule("Reve", (*PROGRAM, "creatortool"), _starts(r"(?:https?://)?(?:www\.)?reve\.com\b")),
    Rule("Aphrodite AI", PROGRAM, _starts(r"aphrodite ai\b")),
    Rule(UNNAMED, PROGRAM, _starts(r"ai generated\b")),
    Rule("Recraft", ("crft",), lambda value: "recraft" in value[:400].lower()),
    Rule(
        UNNAMED,
        ("description",),
        lambda value: '"EnhancedPrompt"' in value and '"ModelId"' in value,
    ),
    Rule(
        "Topaz",
        ("software",),
        _starts(r"topaz (?:gigapixel|photo|sharpen|denoise)"),
        "hinted",
        edited=True,
    ),
    Rule("Luminar Neo", ("software",), _starts(r"luminar neo\b"), "hinted", edited=True),
)
