"""Services whose invisible marks only they can read, and where they answer anybody.

The sources of each service are named in docs/using.md. Nothing is asked from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from causalclip.languages import N_, _, in_turn

ASK = N_(
    "Ask whoever can read invisible marks: {services}. The picture then leaves this computer. That "
    "no mark is found proves nothing."
)
NEVER_MARKED = ("DALL-E 2",)  # older than these marks


@dataclass(frozen=True, slots=True)
class Owner:
    """Who puts an invisible mark into pictures, and answers whether it is in one.

    Attributes:
        name: of the owner.
        generators: how names of their generators begin.
        service: where to ask, for which pictures, and what it takes; in English, for `_`.
        addresses: the pages to ask at, by their names.
    """

    name: str
    generators: tuple[str, ...]
    service: str
    addresses: tuple[tuple[str, str], ...]


OWNERS = {
    "openai": Owner(
        "OpenAI",
        ("OpenAI", "ChatGPT", "GPT", "DALL-E"),
        N_("openai.com/verify for pictures of OpenAI (PNG, JPEG or WebP)"),
        (("OpenAI", "https://openai.com/verify"),),
    ),
    "google": Owner(
        "Google",
        ("Google", "Gemini", "Imagen"),
        N_("the Gemini app or Google Lens for SynthID in pictures of Google"),
        (("Gemini", "https://gemini.google.com/"), ("Google Lens", "https://lens.google.com/")),
    ),
}


def owners_of(generator: str) -> tuple[Owner, ...]:
    """Return who can read an invisible mark of a generator; all of them where it has no name."""
    if generator.startswith(NEVER_MARKED):
        return ()
    return tuple(
        owner
        for owner in OWNERS.values()
        if not generator or generator.startswith(owner.generators)
    )


def services(owners: Iterable[Owner]) -> str:
    """Return where to ask them, in the reader's language."""
    return in_turn(_(owner.service) for owner in owners)
