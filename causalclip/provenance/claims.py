"""What a file claims of how its picture came about: IPTC's digital source types, and marks of generators and editors.

The vocabulary is http://cv.iptc.org/newscodes/digitalsourcetype/ (IPTC Photo Metadata 2025.1); C2PA uses the same.
Anybody can write or strip marks.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from causalclip.images.text import clean
from causalclip.languages import N_
from causalclip.marks.mark import Mark
from causalclip.provenance.blocks import Text

Kind = Literal["generated", "part generated", "captured", "copied", "made", "unknown"]

_TYPES: dict[str, tuple[Kind, str]] = {
    "trainedAlgorithmicMedia": ("generated", N_("made by a generative AI model")),
    "compositeWithTrainedAlgorithmicMedia": ("part generated", N_("edited with, or composed with, generative AI")),
    "compositeSynthetic": ("part generated", N_("composed of elements of which some were made by software")),
    "algorithmicMedia": ("made", N_("made by an algorithm that was not trained on data")),
    "algorithmicallyEnhanced": ("made", N_("changed by an algorithm, without generative AI")),
    "digitalCapture": ("captured", N_("captured by a digital camera")),
    "computationalCapture": ("captured", N_("captured by a camera that merges several shots")),
    "negativeFilm": ("captured", N_("scanned from a film negative")),
    "positiveFilm": ("captured", N_("scanned from a film positive")),
    "print": ("copied", N_("scanned from a print")),
    "screenCapture": ("copied", N_("captured from a screen")),
    "composite": ("made", N_("composed of several pictures")),
    "compositeCapture": ("made", N_("composed of several captured pictures")),
    "humanEdits": ("made", N_("edited by a person")),
    "minorHumanEdits": ("captured", N_("captured, with small edits by a person")),
    "digitalArt": ("made", N_("drawn by a person with software")),
    "digitalCreation": ("made", N_("made by a person with software")),
    "softwareImage": ("made", N_("made by software")),
    "dataDrivenMedia": ("made", N_("drawn from data")),
    "virtualRecording": ("made", N_("recorded in a virtual world")),
}


@dataclass(frozen=True, slots=True)
class SourceType:
    """A claim about how the picture came about.

    where: "XMP", "Content Credentials" or "Content Credentials of an earlier version or a part".
    code: of the vocabulary, as found. kind: what it amounts to; "copied" from a screen or a print, which may have shown
    a generated picture. words: completes "says that it was ...".
    """

    where: str
    code: str
    kind: Kind
    words: str


def source_type(where: str, value: str) -> SourceType | None:
    """The claim that a vocabulary address or a bare code makes; None for what is not of the vocabulary."""
    code = value.strip().rstrip("/").rpartition("/")[2]
    if code not in _TYPES:
        return None
    kind, words = _TYPES[code]
    return SourceType(where, code, kind, words)


SEARCHED = 256 * 2**10  # characters of a text


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


def generators_in_texts(_data: bytes, texts: Iterable[Text]) -> Iterator[Mark]:
    """Marks that image generators leave in a file's texts: settings, workflows, names. Anybody can write them."""
    for text in texts:
        if generator := _generator(text):
            yield Mark(generator, clean(f"{text.where}, {text.key}", limit=80), clean(text.value, limit=160))


Reader = Callable[[bytes, Iterable[Text]], Iterable[Mark]]
READERS: tuple[Reader, ...] = (generators_in_texts,)


def find_marks(data: bytes, texts: Iterable[Text]) -> tuple[Mark, ...]:
    """What a file says of generators and editors: whose mark, of which kind, and how sure; each once a place.

    Another reader of a file's bytes or texts is added to READERS. It runs in the sandbox.
    """
    marks = (mark for reader in READERS for mark in reader(data, texts))
    return tuple({(mark.generator, mark.where): mark for mark in reversed([*marks])}.values())[::-1]


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
