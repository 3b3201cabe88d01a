"""Graphics that carry meaning have a contrast of 3:1 with the surface, in both themes.

That is what WCAG 1.4.11 asks for, computed from the colours of the theme and of the style sheets.
"""

import re

import pytest

from causalclip.paths import shipped_folder
from ui.serving import theme

LEAST = 3.0
SHEETS = [shipped_folder("assets") / f"{name}.css" for name in ("style", "review", "reviewer")]
# what is seen of each mark or band: its fill, or the line around it
GRAPHICS = {
    ".cc-zone": "box-shadow",
    ".cc-point": "background",
    ".cc-mini": "box-shadow",
    ".cc-mini i": "background",
    ".cc-share-0": "fill",
    ".cc-share-1": "fill",
    ".cc-share-2": "fill",
    ".cc-share-3": "stroke",
    ".cc-fall-0": "fill",
    ".cc-fall-1": "fill",
    ".cc-bar": "fill",
    ".cc-rule": "stroke",
    ".cc-a": "fill",
    ".cc-b": "fill",
    ".cc-c": "fill",
    ".cc-mask-open rect": "fill",
}
TONES = ("--cc-generated", "--cc-inconclusive", "--cc-not-generated")  # what --cc-tone may be
Colours = dict[str, str]


def rules() -> list[tuple[list[str], str]]:
    """The selectors and the declarations of every rule outside of @media."""
    text = "".join(sheet.read_text(encoding="utf-8") for sheet in SHEETS)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"@[^{]*\{(?:[^{}]*\{[^}]*\})*[^}]*\}", "", text)
    found = re.findall(r"([^{}]+)\{([^}]*)\}", text)
    return [([s.strip() for s in selectors.split(",")], body) for selectors, body in found]


def tokens(*, dark: bool) -> Colours:
    """The colours of a theme by their names. A token that another one names is looked up where it
    stands: that of :root does not change with the theme."""
    made = theme()
    surface = made.body_background_fill_dark if dark else made.body_background_fill
    while surface.startswith("*"):
        suffix = "_dark" if dark and hasattr(made, f"{surface[1:]}_dark") else ""
        surface = getattr(made, surface[1:] + suffix)
    found: Colours = {}
    for theirs in (":root", ".dark") if dark else (":root",):
        inherited = dict(found)
        for selectors, body in rules():
            if theirs in selectors:
                inherited |= dict(re.findall(r"(--cc-[\w-]+):\s*([^;]+);", body))
        resolved = {name: resolve(value, inherited) for name, value in inherited.items()}
        found = resolved | {"--cc-surface": "#ffffff" if surface == "white" else surface}
    return found


def resolve(value: str, colours: Colours) -> str:
    return re.sub(r"var\((--cc-[\w-]+)\)", lambda m: colours.get(m[1], m[0]), value.strip())


def shown(selector: str, name: str, colours: Colours) -> tuple[str, float]:
    """The colour, and how opaque it is, that a rule gives to a property."""
    colour, opacity = "", 1.0
    for selectors, body in rules():
        if selector not in selectors:
            continue
        declared = dict(re.findall(r"(?:^|[;\s])([a-z-]+):\s*([^;]+)", body))
        if name in declared:
            [colour] = re.findall(r"#[0-9a-f]{6}", resolve(declared[name], colours))
        opacity = float(declared.get("opacity", opacity))
    assert colour, f"{selector} sets no {name}"
    return colour, opacity


def contrast(colour: str, surface: str, opacity: float = 1.0) -> float:
    """By WCAG 2: of the relative luminances, 1 to 21."""

    def channels(text: str) -> list[float]:
        return [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]

    def luminance(values: list[float]) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ground = channels(surface)
    drawn = [opacity * c + (1 - opacity) * g for c, g in zip(channels(colour), ground, strict=True)]
    low, high = sorted((luminance(drawn), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_a_channel_has_the_colour_that_it_is_said_to_have(*, dark: bool) -> None:
    colours = tokens(dark=dark)
    for series, tone in (("b", "--cc-generated"), ("c", "--cc-not-generated")):
        assert shown(f"[id$=-channels] .cc-{series}", "fill", colours)[0] == colours[tone]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("selector", GRAPHICS)
def test_a_graphic_is_seen(selector: str, *, dark: bool) -> None:
    colours = tokens(dark=dark)
    for tone in TONES:
        drawn = shown(selector, GRAPHICS[selector], colours | {"--cc-tone": colours[tone]})
        found = contrast(drawn[0], colours["--cc-surface"], drawn[1])
        assert found >= LEAST, (selector, tone, drawn, round(found, 2))
