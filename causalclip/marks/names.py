"""Names of generators, as programs, services and signers write them."""

import re
from collections.abc import Iterable

# Patterns, whatever the case, and the generator that each names.
NAMES = (
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
    (r"\bhunyuan|混元", "Tencent Hunyuan"),
    (r"\byuanbao\b|元宝", "Tencent Yuanbao"),
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
KNOWN = frozenset(generator for _pattern, generator in NAMES)


def generator_of(name: str) -> str | None:
    """Return the generator that a program's, a service's or a signer's name stands for, or None."""
    return first_match(NAMES, name[:1000])


def first_match(patterns: Iterable[tuple[str, str]], text: str) -> str | None:
    """Return the generator of the first pattern that a text has, whatever its case, or None."""
    return next((name for pattern, name in patterns if re.search(pattern, text, re.I)), None)
