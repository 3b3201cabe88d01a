"""The templates in assets/: Jinja's environment, which escapes what a file says, and what every
template can name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from causalclip.examination import messages
from causalclip.examination.cautions import history_words, in_short
from causalclip.languages import (
    _,
    bracketed,
    decimal,
    ended,
    in_turn,
    is_rtl,
    number,
    paragraph,
    percent,
)
from causalclip.maps import captions
from causalclip.paths import shipped_folder
from causalclip.provenance.result import OF_WHOLE

if TYPE_CHECKING:
    from jinja2 import Environment

SHOWN_FIELDS = 24  # fields of metadata on the page
FUNCTIONS = (
    _,
    bracketed,
    decimal,
    ended,
    in_turn,
    is_rtl,
    number,
    paragraph,
    percent,
    history_words,
    in_short,
    messages.score_text,
    messages.score_texts,
    messages.bar_place,
)
CONSTANTS: dict[str, Any] = {
    "messages": messages,
    "captions": captions,
    "EMPTY": messages.EMPTY,
    "OF_WHOLE": OF_WHOLE,
    "SHOWN": SHOWN_FIELDS,
}


def render(macro: str, /, *, template: str = "card.html", **values: Any) -> str:
    """Render a macro of a template in assets/, in the reader's language.

    values: the macro's arguments, escaped unless they are Markup.
    """
    return str(getattr(environment().get_template(template).module, macro)(**values)).strip()


def render_page(name: str, /, **values: Any) -> str:
    """Render a whole template of assets/."""
    return environment().get_template(name).render(values)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return Jinja's environment, with what every template can name."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    jinja = Environment(
        loader=FileSystemLoader(shipped_folder("assets")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals |= {function.__name__: function for function in FUNCTIONS} | CONSTANTS
    jinja.filters["_"] = _
    return jinja
