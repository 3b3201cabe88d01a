"""Marks in a file's metadata (settings, workflows, labels), name and size. Anybody can write or
strip them.

Every rule is of files that were seen, or of a maker's documentation; a caption that names a
generator is no mark.
"""

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from causalclip.images.formats import clean
from causalclip.languages import N_
from causalclip.marks.mark import UNKNOWN_SERVICE, UNNAMED, Certainty, Field, Mark, Says


@dataclass(frozen=True, slots=True)
class Rule:
    """keys: in lower case, in which the mark is looked for; none: in all. says: whether a value is
    the mark."""

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
    Rule(UNNAMED, PROGRAM, _matches(r"ai generated\b")),
    Rule("Recraft", ("crft",), lambda value: "recraft" in value[:400].lower()),
    Rule(
        UNNAMED,
        ("description",),
        lambda value: '"EnhancedPrompt"' in value and '"ModelId"' in value,
    ),
    Rule(
        "Topaz",
        ("software",),
        _matches(r"topaz (?:gigapixel|photo|sharpen|denoise)"),
        "hint",
        edited=True,
    ),
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
    (
        re.compile(r"\bstable[- ]?diffusion\b|\bautomatic1111\b|\bsd[- ]?xl\b", re.I),
        "Stable Diffusion",
    ),
    (re.compile(r"\bfirefly\b", re.I), "Adobe Firefly"),
    (re.compile(r"\bmade with google ai\b|\bgoogle (?:imagen|gemini)\b", re.I), "Google AI"),
    (re.compile(r"\bimagined with ai\b|\bmeta ai\b", re.I), "Meta AI"),
    (re.compile(r"\bleonardo\.ai\b", re.I), "Leonardo"),
    (re.compile(r"\bdraw things\b", re.I), "Draw Things"),
    (re.compile(r"\bfooocus\b", re.I), "Fooocus"),
    (re.compile(r"\bswarmui\b", re.I), "SwarmUI"),
    (re.compile(r"\bgrok\b", re.I), "Grok"),
)
# Names count only where a program signs: a caption about Midjourney is no mark of it, and OpenAI is
# credited for the photographs that it hands out. Where an owner signs, only the phrases count that
# generators themselves write there.
_PROGRAMS = {"software", "generator", "ai system used"}
_OWNERS = {"credit", "source"}
_PHRASES = (
    (re.compile(r"\s*made with google ai\b", re.I), "Google AI"),
    (re.compile(r"\s*imagined with ai\b", re.I), "Meta AI"),
)


def _has_settings(value: str) -> bool:
    """Whether a line of the web UI's settings is in a text; of hostile ones, only the first places
    are looked at."""
    starts = (found.end() for found in islice(_STEPS.finditer(value), 20))
    return any(_SETTINGS.search(value[at : at + 300].split("\n", 1)[0]) for at in starts)


_LOCAL: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("SwarmUI", lambda key, value: "sui_image_params" in value[:400]),
    (
        "InvokeAI",
        lambda key, value: key in ("invokeai_metadata", "invokeai_graph", "sd-metadata", "dream"),
    ),
    ("Fooocus", lambda key, value: key == "fooocus_scheme"),
    ("ComfyUI", lambda key, value: key == "prompt" and '"class_type"' in value),
    ("ComfyUI", lambda key, value: key == "workflow" and '"nodes"' in value),
    ("Midjourney", lambda key, value: bool(_JOB.search(value)) or len(_FLAGS.findall(value)) >= 2),
    (
        N_("Stable Diffusion web UI (Automatic1111, Forge or a program that writes the same)"),
        lambda key, value: key in ("parameters", "comment", "usercomment") and _has_settings(value),
    ),
)


def find_text_marks(fields: Iterable[Field]) -> tuple[Mark, ...]:
    """The marks in the metadata of one file, each generator once a field."""
    found: dict[tuple[str, str], Mark] = {}
    for field in fields:
        mark = _mark(field)
        if mark:
            found.setdefault((mark.generator, mark.where), mark)
    return tuple(found.values())


def find_hidden_marks(text: str, *, signed: bool) -> tuple[Mark, ...]:
    """The marks in a text that was hidden in the lowest bits: NovelAI's JSON, or a web UI's
    settings. signed: whether NovelAI signed it with the pixels."""
    if signed:
        return (Mark("NovelAI", LOWEST, clean(text, limit=160), "signature", "proof"),)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = {"parameters": text}
    said = found.items() if isinstance(found, dict) else ()
    return find_text_marks(
        Field(LOWEST, key, value) for key, value in said if isinstance(value, str)
    )


def _mark(field: Field) -> Mark | None:
    key = field.name.strip().lower()
    where, excerpt = clean(f"{field.where}, {field.name}", limit=80), clean(field.value, limit=160)
    label = read_label(field.value)
    if label:
        return Mark(label[0], where, excerpt, "label", says=label[1])
    for rule in RULES:
        if key in rule.keys and rule.says(field.value[:SEARCHED]):
            return Mark(
                rule.generator, where, excerpt, certainty=rule.certainty, edited=rule.edited
            )
    generator = _generator(field)
    return Mark(generator, where, excerpt) if generator else None


def _generator(field: Field) -> str | None:
    key, value = field.name.strip().lower(), field.value[:SEARCHED]
    for generator, rule in _LOCAL:
        if rule(key, value):
            return generator
    if key in _PROGRAMS:
        return next((generator for name, generator in _NAMES if name.search(value[:1000])), None)
    if key in _OWNERS:
        return next(
            (generator for phrase, generator in _PHRASES if phrase.match(value[:1000])), None
        )
    return None


# China's mandatory label (GB 45438-2025): JSON, sometimes encoded twice, in any of six places of a
# file's metadata: {"AIGC": {"Label": "1", "ContentProducer": ..., "ProduceID": ..., ...}} or what
# stands inside. Only Label is sure to be there: 1 says that the content is generated, 2 that it may
# be, 3 that a platform suspects it.
LONGEST_LABEL = 16_384  # characters that are parsed
LABELS: dict[str, Says] = {"1": "is", "2": "may be", "3": "is suspected"}
# Characters 5 to 22 of a producer's code: the company, by China's register. Others may sign by its
# service.
COMPANIES = {
    "91110102MACQD9K640": "Doubao",
    "9144030008867405X2": "Jimeng",
    "91330106MA2CFLDG4R": N_("Alibaba's image service"),
    "91110108MA01KP2T5U": "Z.ai",
    "91110108335469089C": "Kling",
    "91440101MA9Y9T4H7A": "Qwen",
    "91440300708461136T": "Tencent Yuanbao",
    "91110000802100433B": "Baidu",
    "91110105MACJ6K1C8A": "LibLib",
    "91340100MAEB4N8H76": "RunningHub",
}


def read_label(text: str) -> tuple[str, Says] | None:
    """The producer's name, and what the label says; None if the text holds no label."""
    start = text.find("{")
    if (
        start < 0
        or len(text) > LONGEST_LABEL
        or not any(word in text for word in ("AIGC", "Label", "aigc_"))
    ):
        return None
    whole = (
        text[start - 1 : text.rfind("}") + 1].strip()
        if text[start - 1 : start] == '"'
        else text[start:]
    )
    label = _parse(whole) or _parse(text)
    if label is None:
        return None
    label = label.get("AIGC", label)
    if isinstance(label, str):
        label = _parse(label)
    if not isinstance(label, dict):
        return None
    if label.get("exportType") == "generation" or str(
        _inside(label, "aigc_info").get("aigc_label_type")
    ) in ("1", "2"):
        return "ByteDance", "is"
    producer = label.get("ContentProducer") or label.get("ServiceProvider") or ""
    said = LABELS.get(str(label.get("Label", "")).strip())
    if said is None and not producer:
        return None
    return _producer_name(str(producer)), said or "is"


def _inside(label: dict[str, Any], key: str) -> dict[str, Any]:
    inside = label.get(key)
    return inside if isinstance(inside, dict) else {"aigc_label_type": "none"}


def _parse(text: str) -> dict[str, Any] | None:
    """A JSON object; also one that was encoded twice, or has other text after it."""
    for _ in range(3):
        try:
            found, _end = json.JSONDecoder().raw_decode(text.strip())
        except (ValueError, RecursionError):
            return None
        if isinstance(found, dict):
            return found
        if not isinstance(found, str):
            return None
        text = found
    return None


def _producer_name(producer: str) -> str:
    """A company's name by its code; the words that some write there instead; else that it is not
    known."""
    if producer[4:22] in COMPANIES:
        return COMPANIES[producer[4:22]]
    words = producer.strip()
    return words[:60] if words and not any(digit.isdigit() for digit in words) else UNKNOWN_SERVICE


# Samsung's trailer behind a picture's end, little-endian: blocks, then "SEFH", u32 version, u32
# count, count entries (u16 0, u16 type, u32 distance back from SEFH, u32 length), u32 length of the
# directory, "SEFT". A block: 4 bytes, u32 length of its name, name, value. EDITOR_BLOCK holds JSON
# whose genAIType is above 0 where generative AI took part.
EDITOR_BLOCK = b"PEg_Info"
MAX_ENTRIES = 64  # of a directory
LONGEST_BLOCK = 65_536  # bytes of a block


def edited_with_galaxy_ai(data: bytes) -> bool:
    """Whether Samsung's trailer says that Galaxy AI edited the picture; never raises."""
    if data[-4:] != b"SEFT" or len(data) < 24:
        return False
    (length,) = struct.unpack("<I", data[-8:-4])
    start = len(data) - 8 - length
    if start < 0 or data[start : start + 4] != b"SEFH" or length < 12:
        return False
    (count,) = struct.unpack("<I", data[start + 8 : start + 12])
    for entry in range(min(count, MAX_ENTRIES)):
        at = start + 12 + 12 * entry
        if at + 12 > len(data) - 8:
            break
        _zero, _type, back, size = struct.unpack("<HHII", data[at : at + 12])
        block = (
            data[max(0, start - back) : max(0, start - back) + min(size, LONGEST_BLOCK)]
            if back <= start
            else b""
        )
        if block[8 : 8 + len(EDITOR_BLOCK)] == EDITOR_BLOCK and _says_generative(
            block[8 + len(EDITOR_BLOCK) :]
        ):
            return True
    return False


def _says_generative(value: bytes) -> bool:
    try:
        found = json.loads(value.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return False
    kind = found.get("genAIType") if isinstance(found, dict) else None
    return isinstance(kind, int) and kind > 0


_ID = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_FILE_NAMES = tuple(
    (re.compile(pattern, re.IGNORECASE), generator)
    for pattern, generator in (
        (r"^chatgpt image .+\d{1,2}[_:]\d{2}[_:]\d{2}", "ChatGPT"),
        (r"^file_00000000[0-9a-f]{8,}", "ChatGPT"),
        (r"^dall.e \d{4}-\d{2}-\d{2} \d{2}[.:]\d{2}[.:]\d{2} - ", "DALL-E"),
        (rf"^[^_]+_.+_{_ID}(?:_[0-3])?\.", "Midjourney"),
        (r"^whisk_[0-9a-f]{32}", "Google Whisk"),
        (r"^image_fx_", "Google ImageFX"),
        (r"^generated image [a-z]+ \d{1,2}, \d{4} - \d{1,2}_\d{2}[ap]m", "Google AI Studio"),
        (r"^freepik__.+__\d+", "Freepik"),
        (rf"^grok-image-{_ID}|^grok_image_\d{{10,}}", "Grok"),
        (r"^(?:leonardo|flux)_(?:dev|phoenix|schnell|kino|diffusion|vision)_", "Leonardo"),
        (r"^firefly .+ \d{3,}\.", "Adobe Firefly"),
        (r"^comfyui_\d{5}_", "ComfyUI"),
        (r"^copilot_\d{8}_\d{6}", "Microsoft Copilot"),
        (rf"^hf_\d{{8}}_\d{{6}}_{_ID}", "Higgsfield"),
    )
)
_GEMINI = re.compile(
    r"^gemini_generated_image_(([a-z0-9]{4})[a-z0-9]{2})\1\2(?![a-z0-9])", re.IGNORECASE
)

# Sizes that none of 16,133 photographs has, while a generator writes no other or few others.
SIZES = {
    "Gemini": (
        (1408, 768),
        (1376, 768),
        (864, 1184),
        (1248, 832),
        (896, 1200),
        (2752, 1536),
        (2816, 1536),
    ),
    "GPT Image": ((1122, 1402), (1448, 1086), (1672, 941), (1254, 1254)),
    "DALL-E 3": ((1792, 1024),),
    "Midjourney": ((1456, 816), (2912, 1632), (1232, 928)),
    "Grok": ((784, 1168),),
    "Qwen": ((1328, 1328),),
    "Leonardo": ((1368, 768),),
    "Ideogram": ((1312, 736),),
    "Replit": ((1280, 896),),
}
_SIZES = {frozenset(size): generator for generator, sizes in SIZES.items() for size in sizes}


def find_hints(name: str, width: int, height: int) -> Iterator[Mark]:
    """What a file's name and its picture's size hint at."""
    named, sized = by_name(name), by_size(width, height)
    if named:
        yield Mark(named, "file name", name, kind="file name", certainty="hint")
    if sized:
        yield Mark(sized, "size", f"{width} x {height}", kind="size", certainty="hint")


def by_name(name: str) -> str | None:
    """The generator that names files like this one; None for no such name.

    Gemini's names repeat six characters and then their first four: 44 of 44 do, and made-up names
    do not.
    """
    if _GEMINI.match(name):
        return "Gemini"
    return next((generator for pattern, generator in _FILE_NAMES if pattern.search(name)), None)


def by_size(width: int, height: int) -> str | None:
    """The generator whose pictures have this size, in either orientation, and photographs do
    not."""
    return _SIZES.get(frozenset((width, height)))
