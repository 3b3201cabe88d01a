"""China's mandatory label of generated content (GB 45438-2025), and ByteDance's own label."""

import json
from typing import Any

from causalclip.languages import N_
from causalclip.marks.mark import UNKNOWN_SERVICE, Says
from causalclip.marks.names import generator_of

# JSON, sometimes encoded twice, in any of six places of a
# file's metadata: {"AIGC": {"Label": "1", "ContentProducer": ..., "ProduceID": ..., ...}} or what
# stands inside. Only Label is sure to be there: 1 says that the content is generated, 2 that it may
# be, 3 that a platform suspects it.
LONGEST_LABEL = 16_384  # characters that are parsed
MEMBERS = {  # of a label, beside Label
    "ContentProducer",
    "ServiceProvider",
    "ProduceID",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode1",
    "ReservedCode2",
}
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


def read_label(text: str, *, is_named: bool = False) -> tuple[str, Says] | None:
    """Return the producer's name, and what the label says; None if the text holds no label.

    is_named: whether the text stands under the label's own name; elsewhere, a member called Label
    alone is anybody's.
    """
    # 1. The JSON object, however it is wrapped
    start = text.find("{")
    if start < 0 or len(text) > LONGEST_LABEL:
        return None
    if not any(name in text for name in ("AIGC", "Label", "aigc_")):
        return None
    if text[start - 1 : start] == '"':
        whole = text[start - 1 : text.rfind("}") + 1].strip()
    else:
        whole = text[start:]
    label = _parse(whole) or _parse(text)
    if label is None:
        return None
    is_named = is_named or "AIGC" in label or "AIGC" in text[:start]
    label = label.get("AIGC", label)
    if isinstance(label, str):
        label = _parse(label)
    if not isinstance(label, dict):
        return None

    # 2. Who produced the picture, and what it is
    program = _exporter(label)
    if program:
        return program, "is"
    producer = label.get("ContentProducer") or label.get("ServiceProvider") or ""
    statement = LABELS.get(str(label.get("Label", "")).strip())
    if statement is None and not producer:
        return None
    if not is_named and not MEMBERS & label.keys():
        return None
    return _producer_name(str(producer)), statement or "is"


def _exporter(label: dict[str, Any]) -> str | None:
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
    names = (
        str(part.get(key, "")) for part in (info, data, label) for key in ("source_info", "product")
    )
    return generator_of(" ".join(names)) or "ByteDance"


def _parse(text: str) -> dict[str, Any] | None:
    """Return a JSON object; also one that was encoded twice, or has other text after it."""
    for _ in range(3):
        try:
            value, _end = json.JSONDecoder().raw_decode(text.strip())
        except (ValueError, RecursionError):
            return None
        if isinstance(value, dict):
            return value
        if not isinstance(value, str):
            return None
        text = value
    return None


def _producer_name(producer: str) -> str:
    """Return the company's name for a code, or the name that some write instead of a code, as
    the generator is named elsewhere; UNKNOWN_SERVICE for any other."""
    if producer[4:22] in COMPANIES:
        return COMPANIES[producer[4:22]]
    name = producer.strip()
    if generator := generator_of(name) or generator_of(_as_gbk(name)):
        return generator
    if not name or any(character.isdigit() for character in name):
        return UNKNOWN_SERVICE
    return name[:60]


def _as_gbk(name: str) -> str:
    """Return a name in GBK that was read as Latin-1; "" for one that was not."""
    try:
        return name.encode("latin-1").decode("gbk")
    except UnicodeError:
        return ""
