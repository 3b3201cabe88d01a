"""IPTC's vocabulary of digital source types: how a picture came about."""

from dataclasses import dataclass
from typing import Literal

from causalclip.languages import N_

SourceKind = Literal["generated", "part generated", "captured", "copied", "made", "unknown"]

_TYPES: dict[str, tuple[SourceKind, str]] = {
    "trainedAlgorithmicMedia": ("generated", N_("made by a generative AI model")),
    "compositeWithTrainedAlgorithmicMedia": (
        "part generated",
        N_("edited with, or composed with, generative AI"),
    ),
    "compositeSynthetic": (
        "part generated",
        N_("composed of elements of which some were made by software"),
    ),
    "algorithmicMedia": ("made", N_("made by an algorithm that was not trained on data")),
    "algorithmicallyEnhanced": ("made", N_("changed by an algorithm, without generative AI")),
    "digitalCapture": ("captured", N_("captured by a digital camera")),
    "computationalCapture": ("captured", N_("captured by a camera that merges several shots")),
    "negativeFilm": ("captured", N_("scanned from a film negative")),
    "positiveFilm": ("captured", N_("scanned from a film positive")),
    "print": ("copied", N_("scanned from a print")),
    "screenCapture": ("copied", N_("captured from a screen")),
    "composite": ("made", N_("composed of several pictures")),
    "compositeCapture": ("made", N_("composed of several captured pictures")),
    "humanEdits": ("made", N_("edited by a person")),
    "minorHumanEdits": ("captured", N_("captured, with small edits by a person")),
    "digitalArt": ("made", N_("drawn by a person with software")),
    "digitalCreation": ("made", N_("made by a person with software")),
    "softwareImage": ("made", N_("made by software")),
    "dataDrivenMedia": ("made", N_("drawn from data")),
    "virtualRecording": ("made", N_("recorded in a virtual world")),
}


@dataclass(frozen=True, slots=True)
class SourceType:
    """A claim about how the picture came about.

    Attributes:
        where: "XMP", "Content Credentials" or "Content Credentials of an earlier version or a
            part".
        code: of the vocabulary, as it was read.
        kind: what it amounts to; "copied" from a screen or a print, which may have shown a
            generated picture.
        words: completes "says that it was ...".
    """

    where: str
    code: str
    kind: SourceKind
    words: str

    @property
    def of_part(self) -> bool:
        """Return whether it is a claim about an earlier version or a part of the picture."""
        return self.where.endswith("part")

    @property
    def names_origin(self) -> bool:
        """Return whether it names an origin other than a generator: a capture, or, of the whole
        picture, a copy or another program."""
        return self.kind == "captured" or (self.kind in ("copied", "made") and not self.of_part)


def source_type(where: str, value: str) -> SourceType | None:
    """Return the claim that a vocabulary address or a bare code makes; None for what is not of the
    vocabulary."""
    code = value.strip().rstrip("/").rpartition("/")[2]
    if code not in _TYPES:
        return None
    kind, words = _TYPES[code]
    return SourceType(where, code, kind, words)
