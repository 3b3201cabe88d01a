"""Marks in a file's metadata: settings, workflows, labels. Anybody can write or strip them.

A caption that names a generator is no mark of it.
"""

import json
from collections.abc import Iterable

from causalclip.languages import N_
from causalclip.marks.label import read_label
from causalclip.marks.mark import UNNAMED, Field, Mark
from causalclip.marks.names import first_match, generator_of
from causalclip.marks.rules import RULES
from causalclip.marks.settings import has_sampling, program_by_json, program_by_settings
from causalclip.text import clean, is_prose

SEARCHED = 256 * 2**10  # characters of a text
LOWEST = N_("lowest bits of the pixels")
# Names count only where a program signs: a caption about Midjourney is no mark of it, and OpenAI is
# credited for the photographs that it hands out. Where an owner signs, only the phrases count that
# generators themselves write there.
_PROGRAMS = {"software", "generator"}
_DECLARED = {"ai system used", "version of the ai system", "ai prompt"}  # IPTC: for this alone
_NOTHING_DECLARED = {"none", "no", "n/a", "na", "not applicable"}
_PNG_TEXT = "PNG text"
_PROMPT_KEYS = {"prompt", "negative_prompt", "negative prompt"}  # of a PNG text
_OWNERS = {"credit", "source"}
_PHRASES = (
    (r"^\s*made with google ai\b", "Google AI"),
    (r"^\s*imagined with ai\b", "Meta AI"),
)


def find_text_marks(fields: Iterable[Field]) -> tuple[Mark, ...]:
    """Return the marks in the metadata of one file, each generator once a field."""
    fields = tuple(fields)
    is_sampled = has_sampling(field.name for field in fields if field.where == _PNG_TEXT)
    marks: dict[tuple[str, str], Mark] = {}
    for field in fields:
        mark = _mark(field, is_sampled=is_sampled)
        if mark:
            marks.setdefault((mark.generator, mark.where), mark)
    return tuple(marks.values())


def find_hidden_marks(text: str, *, signed: bool) -> tuple[Mark, ...]:
    """Return the marks in a text that was hidden in the lowest bits of the pixels.

    Args:
        text: NovelAI's JSON object, or a web UI's settings.
        signed: whether NovelAI signed it, with the pixels.
    """
    if signed:
        return (Mark("NovelAI", LOWEST, clean(text, limit=160), "signature", "signed"),)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = {"parameters": text}
    fields = content.items() if isinstance(content, dict) else ()
    return find_text_marks(
        Field(LOWEST, key, value) for key, value in fields if isinstance(value, str)
    )


def _mark(field: Field, *, is_sampled: bool) -> Mark | None:
    """Return the mark that a field holds: a label, what a rule says, or what a program writes.

    is_sampled: whether other texts of the PNG say how a prompt was sampled; a prompt in words alone
    proves nothing.
    """
    key = field.name.strip().lower()
    where = clean(f"{field.where}, {field.name}", limit=80)
    excerpt = clean(field.value, limit=160)
    label = read_label(field.value, is_named=key == "aigc")
    if label:
        producer, statement = label
        return Mark(producer, where, excerpt, "label", says=statement)
    for rule in RULES:
        if key in rule.keys and rule.matches(field.value[:SEARCHED]):
            return Mark(
                rule.generator, where, excerpt, certainty=rule.certainty, edited=rule.edited
            )
    generator = _generator(key, field.value[:SEARCHED])
    if generator:
        return Mark(generator, where, excerpt)
    if field.where == _PNG_TEXT and key in _PROMPT_KEYS and is_prose(field.value):
        return Mark(UNNAMED, where, excerpt, certainty="declared" if is_sampled else "hinted")
    return None


def _generator(key: str, value: str) -> str | None:
    """Return the generator that a field names, in a place where that is its mark, or None."""
    program = program_by_settings(key, value)
    if program:
        return program
    if key in _PROGRAMS:
        return generator_of(value)
    if key in _DECLARED:
        declares = is_prose(value) and value.strip().lower() not in _NOTHING_DECLARED
        return program_by_json(value) or generator_of(value) or (UNNAMED if declares else None)
    if key in _OWNERS:
        return first_match(_PHRASES, value[:1000])
    return program_by_json(value)
