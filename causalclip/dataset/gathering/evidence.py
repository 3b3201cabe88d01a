"""What speaks for a label: what a file, its name and its date say. A person confirms it, or does not."""

import re
from dataclasses import dataclass
from typing import Literal

from causalclip.pictures.formats import sniff
from causalclip.provenance.reading import read_provenance

BEFORE = "2022-07"  # pictures that came in before could not be by a generator of the newer kinds
_NAMES = (
    (r"Gemini_Generated_Image|nano-?banana", "Google Gemini"),
    (r"ChatGPT[ _-]Image|gpt-image|dalle?[ ·_-]?e?[ _-]20", "OpenAI"),
    (r"DALL·E", "OpenAI DALL-E"),
    (r"freepik__", "Freepik"),
    (r"image_?fx", "Google ImageFX"),
    (r"\bWhisk_", "Google Whisk"),
    (r"Leonardo_", "Leonardo"),
    (r"grok[-_]image", "Grok"),
    (r"seedream", "Seedream"),
    (r"\bflux[-_.]?[12]?", "FLUX"),
    (r"midjourney|^u\d{3,}_|_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}_\d", "Midjourney"),
    (r"generated_images/", "unknown"),
)
_MARKS = tuple((re.compile(pattern, re.IGNORECASE), name) for pattern, name in _NAMES)


@dataclass(frozen=True, slots=True)
class Evidence:
    """words: what was found, for the table. proposed: what it speaks for, empty where it does not. generator: whose."""

    words: str
    proposed: Literal["", "real", "fake"] = ""
    generator: str = ""
    real_by: str = ""


def find_evidence(data: bytes, path: str, added: str) -> Evidence:
    """What a file's bytes, its path, and the day when it was added (YYYY-MM-DD, or empty) say of its label.

    Raises an ImageError for what is no picture.
    """
    claims = read_provenance(data, sniff(data))
    fields = {f"{f.name}": f.value for f in claims.fields if f.where == "EXIF"}
    camera = " ".join(filter(None, (fields.get("Camera maker"), fields.get("Camera"))))
    named = next((name for pattern, name in _MARKS if pattern.search(path)), "")
    words = [f"{t.where}: {t.words}" for t in claims.all_source_types]
    words += [f"mark of {m.generator} in {m.where}" for m in claims.marks]
    words += [f"EXIF camera {camera}"] if camera else []
    words += [f"taken {fields['Taken']}"] if "Taken" in fields else []
    words += [f"software {fields['Software']}"] if "Software" in fields else []
    words += [f"file name of {named}"] if named not in ("", "unknown") else []
    words += [f"added {added}"] if added else []
    text = "; ".join(words)
    generator = claims.marks[0].generator if claims.marks else named
    kinds = {t.kind for t in claims.all_source_types}
    if kinds & {"generated", "part generated"} or claims.marks or named:
        return Evidence(text, "fake", generator or "unknown")
    if camera:
        return Evidence(text, "real", real_by="exif")
    if "captured" in kinds:
        return Evidence(text, "real", real_by="c2pa")
    if added and added < BEFORE:
        return Evidence(text, "real", real_by="date")
    return Evidence(text)
