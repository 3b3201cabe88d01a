"""The docs' figures, in the page's colours: NAME.png, and NAME-dark.png for a dark page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from benchmarks.common import ROOT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = ROOT / "assets" / "figures"
DPI = 110
COLOURS = 64  # few make the files small: Mask carries them in its page


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of assets/style.css.

    Attributes:
        ink, quiet: of text and axes, and of what is compared with.
        series: of lines and markers.
        named: of groups that have a name.
        generated, real: as everywhere on the page.
        surface: the page's own.
    """

    ink: str
    quiet: str
    series: tuple[str, ...]
    named: tuple[str, ...]
    generated: str
    real: str
    surface: str

    @property
    def settings(self) -> dict[Any, str]:
        """Settings of matplotlib, whose stubs list every key by name."""
        ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        surface = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
        return dict.fromkeys(ink, self.ink) | dict.fromkeys(surface, self.surface)


LIGHT = Theme(
    ink="#1c1917",
    quiet="#57534e",
    series=("#0f766e", "#57534e", "#44403c", "#0369a1"),
    named=("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b"),
    generated="#9a4a06",
    real="#54308c",
    surface="#ffffff",
)
DARK = Theme(
    ink="#fafaf9",
    quiet="#b5afa9",
    series=("#2dd4bf", "#b5afa9", "#e7e5e4", "#7dd3fc"),
    named=("#7dd3fc", "#fdba74", "#86efac", "#fda4af", "#d8b4fe", "#d6d3d1"),
    generated="#fdb863",
    real="#c9bdea",
    surface="#0f0e0d",
)


def save(name: str, draw: "Callable[[Theme], Figure]") -> None:
    """Write a figure for each theme. draw: draws it with the theme's colours."""
    import matplotlib

    matplotlib.use("agg")
    FIGURES.mkdir(parents=True, exist_ok=True)
    for suffix, theme in (("", LIGHT), ("-dark", DARK)):
        path = FIGURES / f"{name}{suffix}.png"
        with matplotlib.rc_context(theme.settings):
            draw(theme).savefig(path, dpi=DPI)
        with Image.open(path) as image:
            image.convert("RGB").quantize(COLOURS).save(path, optimize=True)
