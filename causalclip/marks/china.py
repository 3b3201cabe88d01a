"""China's mandatory label of generated content (GB 45438-2025): JSON in a file's metadata.

{"AIGC": {"Label": "1", "ContentProducer": ..., "ProduceID": ..., "ContentPropagator": ...}} or what stands inside,
sometimes encoded twice, in any of six places. Only Label is sure to be there: 1 says that the content is generated, 2
that it may be, 3 that a platform suspects it.
"""

import json
from typing import Any

from causalclip.languages import N_
from causalclip.marks.mark import Says

LONGEST = 16_384  # characters that are parsed
LABELS: dict[str, Says] = {"1": "is", "2": "may be", "3": "is suspected"}
# Characters 5 to 22 of a producer's code: the company, by China's register. Others may sign by its service.
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
UNKNOWN = N_("a service that is labelled by Chinese law")


def read_label(text: str) -> tuple[str, Says] | None:
    """The producer's name, and what the label says; None if the text holds no label."""
    start = text.find("{")
    if start < 0 or len(text) > LONGEST or not any(word in text for word in ("AIGC", "Label", "aigc_")):
        return None
    whole = text[start - 1 : text.rfind("}") + 1].strip() if text[start - 1 : start] == '"' else text[start:]
    label = _parse(whole) or _parse(text)
    if label is None:
        return None
    label = label.get("AIGC", label)
    if isinstance(label, str):
        label = _parse(label)
    if not isinstance(label, dict):
        return None
    if label.get("exportType") == "generation" or str(_inside(label, "aigc_info").get("aigc_label_type")) in ("1", "2"):
        return "ByteDance", "is"
    producer = label.get("ContentProducer") or label.get("ServiceProvider") or ""
    said = LABELS.get(str(label.get("Label", "")).strip())
    if said is None and not producer:
        return None
    return _name(str(producer)), said or "is"


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


def _name(producer: str) -> str:
    """A company's name by its code; the words that some write there instead; else that it is not known."""
    if producer[4:22] in COMPANIES:
        return COMPANIES[producer[4:22]]
    words = producer.strip()
    return words[:60] if words and not any(digit.isdigit() for digit in words) else UNKNOWN
