"""The templates of the page's cards and of the reports, as one Jinja environment that escapes whatever a file says."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from causalclip.evidence import words
from causalclip.evidence.cautions import SHORT
from causalclip.evidence.regions import REGION_DIFFERS
from causalclip.languages import _, decimal, ended, in_turn, is_rtl, number
from causalclip.maps import words as map_words
from causalclip.paths import shipped_folder
from causalclip.provenance.reading import CAVEAT, OF_WHOLE, history_words

if TYPE_CHECKING:
    from jinja2 import Environment

SAID = (_, decimal, ended, in_turn, is_rtl, number, history_words, words.score_text, words.score_texts, words.bar_place)
CONSTANTS: dict[str, Any] = {
    "words": words,
    "map_words": map_words,
    "CAVEAT": CAVEAT,
    "EMPTY": "\N{WHITE CIRCLE}",
    "OF_WHOLE": OF_WHOLE,
    "REGION_DIFFERS": REGION_DIFFERS,
    "SHORT": SHORT,
    "SHOWN": 24,  # fields of metadata on the page
}


def render(macro: str, /, *, template: str = "card.html", **values: Any) -> str:
    """A macro of a template in assets/, in the reader's language. values: escaped, unless they are Markup."""
    return str(getattr(environment().get_template(template).module, macro)(**values)).strip()


def render_page(name: str, /, **values: Any) -> str:
    """A whole template of assets/."""
    return environment().get_template(name).render(values)


@lru_cache(maxsize=1)
def environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(shipped_folder("assets")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {function.__name__: function for function in SAID} | CONSTANTS
    made.filters["_"] = _
    return made
