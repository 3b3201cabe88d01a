"""What a person can do now, chosen by what was found; the same on the page, in the report and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from causalclip.examine.kind import WHAT_TO_DO
from causalclip.languages import N_, _

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.examine.cautions import Caution
    from causalclip.examine.headline import Headline
    from causalclip.head.kinds import PictureKind
    from causalclip.provenance.reading import Provenance

Kind = Literal["signer", "sender", "original", "larger", "crop", "copies", "magnify", "report"]


@dataclass(frozen=True, slots=True)
class Step:
    """kind: what the page adds a link or a button for. sentence: what to do."""

    kind: Kind
    sentence: str


COPIES: dict[str, str] = {
    "likely generated": N_(
        "Look for earlier copies: a site or a person that names the generator tells more than a score."
    ),
    "inconclusive": N_("Look for earlier copies: who showed it first, and what did they say of it?"),
    "likely not generated": N_(
        "Look for earlier copies: an old or a staged photograph, or one of another place, gets this answer, too."
    ),
}
ORIGINAL: dict[str, str] = {
    "likely generated": N_("Ask who sent it how the picture was made, and for the file as it was made."),
    "inconclusive": N_("Ask for the original file: a forwarded copy has lost traces, and what the file said."),
    "likely not generated": N_("Ask for the original file, and for others that were taken before and after it."),
}
REPORT = N_("Download the report and pass it on with the picture.")


def next_steps(
    headline: Headline,
    band: Band,
    provenance: Provenance,
    cautions: tuple[Caution, ...],
    kind: PictureKind = "photograph",
) -> tuple[Step, ...]:
    """At most six, the most telling first."""
    steps = (
        *_evidence(headline, provenance),
        *_by_kind(kind, cautions),
        *(() if kind == "blank" else _usual(headline, band)),
        Step("report", _(REPORT)),
    )
    return steps[:6]


def _evidence(headline: Headline, provenance: Provenance) -> Iterator[Step]:
    signer = provenance.credentials.signer
    if provenance.credentials.state == "trusted":
        named = _("Ask the signer, {signer}, whether the signature is theirs, and when they signed.", signer=signer)
        unnamed = _("Ask the signer whether the signature is theirs, and when they signed.")
        yield Step("signer", named if signer else unnamed)
    if provenance.credentials.state == "invalid":
        yield Step("signer", _("Ask who sent it for the file as it was signed: this one was changed afterwards."))
    if headline.source == "file":
        yield Step("sender", _("Ask who sent it whether they made it with a generator, as the file says."))


def _by_kind(kind: PictureKind, cautions: tuple[Caution, ...]) -> Iterator[Step]:
    if kind == "photograph":
        yield from _quality(cautions)
    else:
        yield Step("crop" if kind == "page" else "sender", _(WHAT_TO_DO[kind]))


def _quality(cautions: tuple[Caution, ...]) -> Iterator[Step]:
    kinds = {caution.kind for caution in cautions}
    if kinds & {"small", "recompressed"}:
        yield Step("larger", _("Find a larger or less compressed copy, and examine that one."))
    if kinds & {"text", "graphic"}:
        yield Step("crop", _("If there is a photograph in it, crop it out and examine that part alone."))


def _usual(headline: Headline, band: Band) -> Iterator[Step]:
    if headline.source == "pixels":
        yield Step("original", _(ORIGINAL.get(band, ORIGINAL["inconclusive"])))
    found = band if headline.source == "pixels" else "inconclusive"
    yield Step("copies", _(COPIES.get(found, COPIES["inconclusive"])))
    if headline.source == "pixels" and band != "likely not generated":
        said = _("Magnify the picture and look for visible marks of generators, and at hands and text.")
        yield Step("magnify", said)
