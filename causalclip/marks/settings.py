"""Settings and workflows that programs on one's own computer write beside what they generate: web
UI, ComfyUI, InvokeAI, Fooocus, SwarmUI; and Midjourney's command lines."""

import re
from collections.abc import Iterable
from itertools import islice

from causalclip.languages import N_
from causalclip.marks.mark import UNNAMED
from causalclip.marks.names import generator_of
from causalclip.text import json_object

_STEPS = re.compile(r"\bSteps: ?\d{1,4}, ")
_SETTINGS = re.compile(r"\b(?:Sampler|CFG scale|Seed): ?\S")
_JOB = re.compile(r"\bJob ID: ?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_FLAGS = re.compile(r"\s--(ar|v|niji|stylize|chaos|sref) ?\d")
_INVOCATION = re.compile(r'"type": ?"invocation"')
# ComfyUI's graph as it is run, and as it is drawn
_GRAPH = re.compile(r"\bclass_type\b\W{1,4}\w"), re.compile(r"\binputs\b\W{1,4}[{\w]")
_DRAWN_GRAPH = (
    re.compile(r"\blast_?node_?id\b", re.IGNORECASE),
    re.compile(r'\bnodes"?: ?\[\s*\{'),
    re.compile(r'\btype"?: ?"?\w'),
)
_OBJECT = re.compile(r'\s*\{\s*"\w+" ?:')
INVOKE_AI_KEYS = ("invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata")
FOOOCUS_SCHEMES = {"fooocus", "a1111", "simple"}
# of the command line that InvokeAI's first versions wrote
_DREAM_FLAGS = re.compile(r"\s-[sSWHC] ?\d")
WEB_UI = N_("Stable Diffusion web UI (Automatic1111, Forge or a program that writes the same)")
SETTINGS_KEYS = ("parameters", "comment", "usercomment", "description", "prompt")
# Names of settings of an image generator in a JSON object or among a PNG's texts, in lower case,
# without spaces and underscores.
_PROMPTS = {"prompt", "positiveprompt", "fullprompt", "c"}
_SAMPLING = {
    "seed",
    "steps",
    "numinferencesteps",
    "inferencesteps",
    "stepcount",
    "cfg",
    "cfgscale",
    "guidance",
    "guidancescale",
    "sampler",
    "samplername",
    "scheduler",
    "negative",
    "negativeprompt",
    "uc",
    "loras",
    "denoise",
}
_MODELS = {"basemodel", "basemodelname", "model", "modelname"}
MIN_SETTINGS = 3  # beside the prompt


def program_by_settings(key: str, value: str) -> str | None:
    """Return the program whose settings or workflow a field of the metadata holds, or None.

    Args:
        key: the field's name, in lower case.
        value: its text.
    """
    if "{" in value[:40] and '"sui_image_params"' in value[:400]:
        return "SwarmUI"
    if (key in INVOKE_AI_KEYS and _OBJECT.match(value)) or _is_invoke_workflow(value):
        return "InvokeAI"
    if key == "dream" and len(_DREAM_FLAGS.findall(value)) >= 2:
        return "InvokeAI"
    if key == "fooocus_scheme" and value.strip() in FOOOCUS_SCHEMES:
        return "Fooocus"
    if _is_workflow(value):
        return "ComfyUI"
    if _JOB.search(value) or len(set(_FLAGS.findall(value))) >= 2:
        return "Midjourney"
    if key in SETTINGS_KEYS and _has_settings(value):
        return WEB_UI
    return None


def program_by_json(text: str) -> str | None:
    """Return the program that wrote a JSON object of a generator's settings; UNNAMED if the object
    does not name it, None if the text is no such object."""
    settings = json_object(text)
    if settings is None:
        return None
    names = _plain_names(settings)
    if not names & _PROMPTS or len(names & (_SAMPLING | _MODELS)) < MIN_SETTINGS:
        return None
    programs = (str(settings[name]) for name in settings if name.lower() in ("software", "version"))
    return generator_of(next(programs, "")) or UNNAMED


def has_sampling(names: Iterable[str]) -> bool:
    """Return whether fields with these names, each with a text of its own, hold a prompt and how it
    was sampled. A model alone does not count: one that reads pictures has a prompt, too."""
    plain = _plain_names(names)
    return bool(plain & _PROMPTS and plain & _SAMPLING)


def _plain_names(names: Iterable[str]) -> set[str]:
    """Return names in lower case, without spaces and underscores."""
    return {re.sub(r"[ _]", "", name.lower()) for name in names}


def _has_settings(value: str) -> bool:
    """Return whether a text has a line of the web UI's settings; of hostile ones, only the first
    places are looked at."""
    starts = (match.end() for match in islice(_STEPS.finditer(value), 20))
    return any(_SETTINGS.search(value[start : start + 300].split("\n", 1)[0]) for start in starts)


def _is_invoke_workflow(value: str) -> bool:
    """Return whether a text holds InvokeAI's graph, of nodes that are invocations and of edges."""
    if "{" not in value[:40]:
        return False
    return '"edges"' in value and '"nodes"' in value and bool(_INVOCATION.search(value))


def _is_workflow(value: str) -> bool:
    """Return whether a text holds ComfyUI's graph of nodes.

    ComfyUI writes it to PNG texts; nodes that save JPEG and WebP put it into any text field of
    EXIF, as `prompt:{...}` or `Workflow: {...}`, some without the quotation marks.
    """
    if "{" not in value[:40]:
        return False
    return any(
        all(pattern.search(value) for pattern in patterns) for patterns in (_GRAPH, _DRAWN_GRAPH)
    )
