"""Hints in a file's name and its picture's size; neither proves anything."""

from collections.abc import Iterator

from causalclip.marks.mark import Mark
from causalclip.marks.names import first_match

_ID = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
# Gemini repeats six characters and then their first four: 44 of 44 names do, and made-up ones do
# not.
_GEMINI = r"^gemini_generated_image_(([a-z0-9]{4})[a-z0-9]{2})\1\2(?![a-z0-9])"
# Patterns, whatever the case, and the generator that names its files so.
FILE_NAMES = (
    (_GEMINI, "Gemini"),
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
    """Yield what a file's name, and its picture's size in pixels, hint at."""
    by_name = generator_by_name(name)
    if by_name:
        yield Mark(by_name, "file name", name, kind="file name", certainty="hinted")
    by_size = generator_by_size(width, height)
    if by_size:
        yield Mark(by_size, "size", f"{width} x {height}", kind="size", certainty="hinted")


def generator_by_name(name: str) -> str | None:
    """Return the generator that names files like this one, or None."""
    return first_match(FILE_NAMES, name)


def generator_by_size(width: int, height: int) -> str | None:
    """Return the generator whose pictures have this size, in either orientation, while photographs
    do not; or None."""
    return _SIZES.get(frozenset((width, height)))
