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

from causalclip.languages import N_
from causalclip.marks.mark import UNKNOWN_SERVICE, UNNAMED, Certainty, Field, Mark, Says
from causalclip.text import clean


@dataclass(frozen=True, slots=True)
class Rule:
    """keys: in lower case, in which the mark is looked for; none: in all. says: whether a value is
    the mark."""

    generator: str
    keys: tuple[str, ...]
    says: Callable[[str], bool]
    certainty: Certainty = "declared"
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
    Rule("Leonardo", PROGRAM, _matches(r"leonardo[. ]?(?:ai|interactive)\b")),
    Rule("Stability AI", PROGRAM, _matches(r"stability[. ]?ai\b")),
    Rule("Adobe Firefly", PROGRAM, _matches(r"adobe firefly\b")),  # Firefly alone is a camera
    Rule("Midjourney", PROGRAM, _matches(r"midjourney\b")),
    Rule("OpenAI", PROGRAM, _matches(r"openai\b|chatgpt\b")),
    Rule("Kling", PROGRAM, _matches(r"kling ?ai\b")),
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
        "hinted",
        edited=True,
    ),
    Rule("Luminar Neo", ("software",), _matches(r"luminar neo\b"), "hinted", edited=True),
)


SEARCHED = 256 * 2**10  # characters of a text
LOWEST = N_("lowest bits of the pixels")
_STEPS = re.compile(r"\bSteps: ?\d{1,4}, ")
_SETTINGS = re.compile(r"\b(?:Sampler|CFG scale|Seed): ?\S")
_JOB = re.compile(r"\bJob ID: ?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_FLAGS = re.compile(r"\s--(?:ar|v|niji|stylize|chaos|sref) ?\d")
_NAMES = tuple(
    (re.compile(pattern, re.IGNORECASE), generator)
    for pattern, generator in (
        (r"\bmid-?journey\b", "Midjourney"),
        (r"\bDALL[-·\N{BULLET} ]?E\b", "DALL-E"),
        (r"\b(?:gpt-?image|gpt-?4o|chatgpt|openai)|\bsora\b", "OpenAI"),
        (r"\bcomfy ?ui\b", "ComfyUI"),
        (r"\binvoke ?ai\b", "InvokeAI"),
        (r"\bnovel ?ai\b", "NovelAI"),
        (r"\bfooocus|ruined ?fooocus", "Fooocus"),
        (r"\bswarm ?ui\b", "SwarmUI"),
        (r"\bdraw ?things\b", "Draw Things"),
        (r"\bstability ?ai\b|\bdream ?studio\b|\bstable image\b", "Stability AI"),
        (r"\bstable[- ]?diffusion\b|\bautomatic1111\b|\bsd[- ]?xl\b", "Stable Diffusion"),
        (r"\bfirefly\b", "Adobe Firefly"),
        (
            r"\bmade with google ai\b|\bgoogle[ _]?(?:generative )?ai\b"
            r"|\bgoogle[ _]?(?:imagen|gemini)|\bnano ?banana\b",
            "Google AI",
        ),
        (r"\bimagined with ai\b|\bmeta ai\b", "Meta AI"),
        (r"\bleonardo[. ]?(?:ai|interactive)\b", "Leonardo"),
        (r"\bideogram\b", "Ideogram"),
        (r"\bgrok\b|\bx\.?ai\b|\baurora imagine\b", "Grok"),
        (r"\bblack forest labs\b|\bflux[-._ ]?(?:[12]\b|dev|pro|schnell|kontext|api)", "FLUX"),
        (r"\bimage playground\b|\bgenmoji\b", "Apple Image Playground"),
        (r"\bpixel studio\b", "Google Pixel Studio"),
        (
            r"\bmicrosoft (?:responsible ai|designer)|\bbing image creator\b|\bpaint cocreator\b",
            "Microsoft",
        ),
        (r"\b(?:amazon )?(?:nova canvas|titan image)|\bamazon bedrock\b", "Amazon"),
        (r"\bmagic media\b", "Canva Magic Media"),
        (r"\bkling(?: ?ai)?\b|\bkolors\b|可灵", "Kling"),
        (r"\bhailuo|\bminimax\b|海螺", "MiniMax"),
        (r"\bhunyuan|混元|元宝", "Tencent Hunyuan"),
        (r"\bqwen\b|\btongyi\b|\bwanx(?:iang)?\b|通义", "Qwen"),
        (r"\bdreamina\b|\bjimeng\b|即梦", "Jimeng"),
        (r"\bdoubao\b|豆包", "Doubao"),
        (r"\bseedream\b|\bseedance\b|\bbyteplus\b|\bvolcengine\b", "Seedream"),
        (r"\brecraft\b", "Recraft"),
        (r"\bkrea(?:\.ai| ai)\b", "Krea"),
        (r"\breve\.com\b|\breve (?:image|ai)\b", "Reve"),
        (r"\bplayground(?:ai\b| ai\b| v\d)", "Playground"),
        (r"\bfal(?:\.ai|-ai)\b", "fal.ai"),
        (r"\bfreepik (?:ai|mystic|pikaso)\b|\bmystic\b.{0,20}\bfreepik\b", "Freepik"),
        (r"\bmflux\b", "mflux"),
    )
)
# Names count only where a program signs: a caption about Midjourney is no mark of it, and OpenAI is
# credited for the photographs that it hands out. Where an owner signs, only the phrases count that
# generators themselves write there.
_PROGRAMS = {"software", "generator"}
# IPTC has no other use for these
_DECLARED = {"ai system used", "version of the ai system", "ai prompt"}
_PROMPT_KEYS = {"prompt", "negative_prompt", "negative prompt"}  # of a PNG text
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


SETTINGS_KEYS = ("parameters", "comment", "usercomment", "description", "prompt")
_LOCAL: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("SwarmUI", lambda key, value: "sui_image_params" in value[:400]),
    (
        "InvokeAI",
        lambda key, value: key in ("invokeai_metadata", "invokeai_graph", "sd-metadata", "dream"),
    ),
    ("Fooocus", lambda key, value: key == "fooocus_scheme"),
    ("ComfyUI", lambda key, value: key == "workflow" and '"nodes"' in value),
    ("ComfyUI", lambda key, value: _is_workflow(value)),
    ("Midjourney", lambda key, value: bool(_JOB.search(value)) or len(_FLAGS.findall(value)) >= 2),
    (
        N_("Stable Diffusion web UI (Automatic1111, Forge or a program that writes the same)"),
        lambda key, value: key in SETTINGS_KEYS and _has_settings(value),
    ),
)


_GRAPH = re.compile(r"\bclass_type\b\W{1,4}\w"), re.compile(r"\binputs\b\W{1,4}[{\w]")


def _is_workflow(value: str) -> bool:
    """Return whether a text holds ComfyUI's graph of nodes.

    ComfyUI writes it to PNG texts; nodes that save JPEG and WebP put it into any text field of
    EXIF, as `prompt:{...}` or `Workflow: {...}`, some without the quotation marks.
    """
    if "{" not in value[:40]:
        return False
    graph = all(pattern.search(value) for pattern in _GRAPH)
    return graph or ('"nodes"' in value and '"links"' in value and '"last_node_id"' in value)


# Names of settings of an image generator in a JSON object, in lower case, without spaces and
# underscores.
_PROMPTS = {"prompt", "positiveprompt", "fullprompt", "c"}
_SAMPLING = {
    *(
        "seed",
        "steps",
        "cfg",
        "cfgscale",
        "guidance",
        "guidancescale",
        "sampler",
        "samplername",
        "scheduler",
    ),
    *(
        "negative",
        "negativeprompt",
        "uc",
        "basemodel",
        "basemodelname",
        "model",
        "modelname",
        "loras",
        "denoise",
    ),
}
LEAST_SETTINGS = 3  # beside the prompt


def read_settings(text: str) -> str | None:
    """Return the program that wrote a JSON object of a generator's settings, or None if the text is
    none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None

    names = {re.sub(r"[ _]", "", name.lower()) for name in found}
    if not names & _PROMPTS or len(names & _SAMPLING) < LEAST_SETTINGS:
        return None
    program = next(
        (str(value) for name, value in found.items() if name.lower() in ("software", "version")), ""
    )
    by_program = next((generator for name, generator in _NAMES if name.search(program)), None)
    return by_program or UNNAMED


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
        return (Mark("NovelAI", LOWEST, clean(text, limit=160), "signature", "signed"),)
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
        return name_of(value)
    if key in _DECLARED or (field.where == "PNG text" and key in _PROMPT_KEYS):
        return read_settings(value) or name_of(value if key in _DECLARED else "") or UNNAMED
    if key in _OWNERS:
        return next(
            (generator for phrase, generator in _PHRASES if phrase.match(value[:1000])), None
        )
    return read_settings(value)


def name_of(program: str) -> str | None:
    """Return the generator that a program's, a service's or a signer's name belongs to, or None."""
    return next((generator for name, generator in _NAMES if name.search(program[:1000])), None)


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
    if program := _exported_by(label):
        return program, "is"
    producer = label.get("ContentProducer") or label.get("ServiceProvider") or ""
    said = LABELS.get(str(label.get("Label", "")).strip())
    if said is None and not producer:
        return None
    return _producer_name(str(producer)), said or "is"


def _exported_by(label: dict[str, Any]) -> str | None:
    """Return ByteDance's program that exported what it generated, or None.

    Dreamina writes {"aigc_info": {"aigc_label_type": 0, "source_info": "dreamina"}, "data":
    {"exportType": "generation", ...}}. A label type of 0 alone, and a product alone, stand on
    edited photographs, too.
    """
    info, data = (
        part if isinstance(part := label.get(key), dict) else {} for key in ("aigc_info", "data")
    )
    exports = label.get("exportType"), data.get("exportType")
    if "generation" not in exports and str(info.get("aigc_label_type", "")) not in ("1", "2"):
        return None
    named = " ".join(
        str(part.get(key, "")) for part in (info, data, label) for key in ("source_info", "product")
    )
    return name_of(named) or "ByteDance"


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
        yield Mark(named, "file name", name, kind="file name", certainty="hinted")
    if sized:
        yield Mark(sized, "size", f"{width} x {height}", kind="size", certainty="hinted")


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
