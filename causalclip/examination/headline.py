"""One headline from all evidence: what a signature proves, what the file claims, what the pixels
say, and whether they agree.

A file that says of itself that it was generated, or that carries a signature of a known signer,
gives the headline; the pixels' answer is then the second line. That a file was captured by a camera
is no headline unless it is signed: anybody can write it, and who wants to deceive has a reason to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from causalclip.examination.messages import (
    NO_ANSWER,
    NO_ANSWER_TITLE,
    NO_TRACES,
    TONE,
    WHAT_TO_DO,
    Tone,
)
from causalclip.languages import N_, _

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.examination.cautions import Caution
    from causalclip.examination.stability import Stability
    from causalclip.image_type import ImageType
    from causalclip.provenance.credentials import Credentials, SourceType
    from causalclip.provenance.reading import Provenance

Source = Literal["signature", "file", "pixels"]
Origin = Literal[
    "generated", "part generated", "marked", "edited", "may be", "is suspected", "captured", ""
]
StepKind = Literal["signer", "sender", "original", "larger", "crop", "copies", "magnify"]
SIGNED = {
    "generated": N_("Signed as generated"),
    "part generated": N_("Signed as partly generated"),
    "captured": N_("Signed as captured"),
}
CLAIMED = {
    "generated": N_("The file says it was generated"),
    "part generated": N_("The file says it was partly generated"),
    "marked": N_("It bears the mark of a generator"),
    "edited": N_("Says that it was edited with generative AI"),
    "may be": N_("The file says it may be generated"),
    "is suspected": N_("A platform suspects that it was generated"),
}
BY_PIXELS = N_("Likely generated"), N_("Inconclusive"), N_("Likely not generated")
ANSWERS = (*SIGNED.values(), *CLAIMED.values(), *BY_PIXELS, NO_ANSWER_TITLE)
BRIEF: dict[str, str] = {  # of ANSWERS, for a row of a table or a line of a terminal
    SIGNED["generated"]: N_("signed as generated"),
    SIGNED["part generated"]: N_("signed as part generated"),
    SIGNED["captured"]: N_("signed as captured"),
    CLAIMED["generated"]: N_("file says generated"),
    CLAIMED["part generated"]: N_("file says part generated"),
    CLAIMED["marked"]: N_("bears a generator's mark"),
    CLAIMED["edited"]: N_("file says edited with AI"),
    **{band.capitalize(): band for band in TONE},
    NO_ANSWER_TITLE: NO_ANSWER,
}
TRACES: dict[str, str] = {
    N_("likely generated"): N_(
        "They carry traces like those of pictures made by image generators."
    ),
    N_("inconclusive"): N_("Their traces point neither way clearly enough."),
    N_("likely not generated"): N_("They carry few traces like those of image generators."),
    NO_ANSWER: NO_TRACES,
}
COPIES: dict[str, str] = {
    "likely generated": N_(
        "Look for earlier copies: a site or a person that names the generator tells more than a "
        "score."
    ),
    "inconclusive": N_(
        "Look for earlier copies: who showed it first, and what did they say of it?"
    ),
    "likely not generated": N_(
        "Look for earlier copies: an old or a staged photograph, or one of another place, gets "
        "this answer, too."
    ),
}
ORIGINAL: dict[str, str] = {
    "likely generated": N_(
        "Ask who sent it how the picture was made, and for the file as it was made."
    ),
    "inconclusive": N_(
        "Ask for the original file: a forwarded copy has lost traces, and what the file said."
    ),
    "likely not generated": N_(
        "Ask for the original file, and for others that were taken before and after it."
    ),
}
OVERTURNED = N_(
    "As the picture is, its pixels would say {band}; that does not survive mild re-encoding, so it "
    "counts for nothing."
)


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer in large print, and a sentence each for what it rests on.

    title: one of ANSWERS, in English; `answer` is the same in the reader's language. source: whose
    word it is. tone: which colour it has.
    proved, claimed, pixels: what each kind of evidence says. agreement: whether they agree; empty
    where there is only one to be heard. silent: whether signature and file say nothing of how the
    picture was made.
    """

    title: str
    source: Source
    tone: Tone
    proved: str
    claimed: str
    pixels: str
    agreement: str
    silent: bool

    @property
    def answer(self) -> str:
        """The title in the reader's language."""
        return _(self.title)

    @property
    def provisional(self) -> str:
        """The answer while copies are judged, which may overturn what the pixels say."""
        band = self.title.lower()
        return _("Probably {answer}", answer=_(band)) if band in TONE else self.answer

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Step:
    """kind: what the page adds a link or a button for. sentence: what to do."""

    kind: StepKind
    sentence: str


def make_headline(
    provenance: Provenance,
    band: Band | None,
    stability: Stability | None = None,
) -> Headline:
    """The headline. band: what the pixels say, after stability where that is known; None before
    they are judged."""
    proved, claimed = _signed(provenance), _claimed(provenance)
    source: Source = "signature" if proved else "file" if claimed in CLAIMED else "pixels"
    title = SIGNED.get(proved) or CLAIMED.get(claimed) or _title(band)
    return Headline(
        title=title,
        source=source,
        tone=tone_of(title),
        proved=_proof(provenance, proved),
        claimed=_claim(provenance, claimed),
        pixels=_pixels(band, stability),
        agreement=_agreement(proved, claimed, band),
        silent=provenance.silent
        and provenance.credentials.state in ("none", "elsewhere", "unreadable"),
    )


def _title(band: Band | None) -> str:
    return NO_ANSWER_TITLE if band == NO_ANSWER else (band or "").capitalize()


def tone_of(title: str) -> Tone:
    """The colour of one of ANSWERS."""
    if title == SIGNED["captured"]:
        return "signed"
    if title in (CLAIMED["may be"], CLAIMED["is suspected"]):
        return "inconclusive"
    said = {*SIGNED.values(), *CLAIMED.values()}
    return "generated" if title in said else TONE.get(title.lower(), "inconclusive")  # type: ignore[call-overload]


def _strongest(types: tuple[SourceType, ...]) -> Origin:
    """What the claims amount to: that something was generated outweighs that it was captured."""
    kinds = {
        ("part generated" if t.where.endswith("part") and t.kind == "generated" else t.kind)
        for t in types
    }
    for said in SIGNED:
        if said in kinds:
            return said  # type: ignore[return-value]
    return ""


def _signed(p: Provenance) -> Origin:
    """What a generator or a signer on the trust list vouches for; of earlier versions only that
    something in them was generated."""
    if p.proof:
        return "generated"
    if p.credentials.state != "trusted":
        return ""
    types = p.credentials.source_types
    return _strongest(
        tuple(t for t in types if not t.where.endswith("part") or "generated" in t.kind)
    )


def _claimed(p: Provenance) -> Origin:
    """What the file says without a signature that counts."""
    credentials = (
        p.credentials.source_types
        if p.credentials.state in ("unknown signer", "unvalidated")
        else ()
    )
    said = _strongest(credentials + p.source_types)
    if said not in ("", "captured"):
        return said
    made = [mark for mark in p.claimed_marks if not mark.edited and mark.says == "is"]
    if made:
        return "marked" if all(mark.on_pixels for mark in made) else "generated"
    if any(mark.edited for mark in p.claimed_marks):
        return "edited"
    return next((mark.says for mark in p.claimed_marks if mark.says != "is"), said)


def _proof(p: Provenance, proved: Origin) -> str:
    if p.proof:
        return p.summary()
    if p.credentials.state == "invalid":
        return _(
            "Nothing: its Content Credentials do not hold. File or credentials were changed after "
            "signing."
        )
    if p.credentials.state == "unvalidated":
        return _("Nothing: its Content Credentials could not be validated.")
    if p.credentials.state != "trusted":
        return _("Nothing: the file carries no signature of a known signer.")
    signer = f" ({p.credentials.signer})" if p.credentials.signer else ""
    own = [t for t in p.credentials.source_types if not t.where.endswith("part")]
    if not proved and not own:
        silent = N_(
            "A signer on C2PA's trust list{signer} signed this file, without saying how the "
            "picture was made."
        )
        return _(silent, signer=signer)
    kinds = {proved} if proved == "captured" else {"generated", "part generated"}
    words = (
        next(t.words for t in p.credentials.source_types if t.kind in kinds)
        if proved
        else own[0].words
    )
    said = (
        N_(
            "A signer on C2PA's trust list{signer} signed that the picture, or a part of it, was "
            "{made}."
        )
        if proved == "part generated"
        else N_("A signer on C2PA's trust list{signer} signed that the picture was {made}.")
    )
    return _(said, signer=signer, made=_(words))


def _claim(p: Provenance, claimed: Origin) -> str:
    if p.credentials.state in ("trusted", "invalid") and not (p.claimed_marks or p.source_types):
        return _("Nothing beside its Content Credentials.")
    if p.proof and not (p.claimed_marks or p.source_types):
        return _("Nothing beside that signature.")
    said = p.summary()
    if p.proof or p.credentials.state in ("trusted", "invalid"):  # the summary is the signature's
        said = (
            _(
                "It carries a mark of an image generator: {generator}.",
                generator=_(p.claimed_marks[0].generator),
            )
            if p.claimed_marks
            else _("Its metadata say that the picture was {made}.", made=_(p.source_types[0].words))
        )
    return (
        f"{said} {_('That can be forged, also to discredit a true picture.')}"
        if claimed in CLAIMED
        else said
    )


def _pixels(band: Band | None, stability: Stability | None) -> str:
    if band is None:
        return _("They are being looked at.")
    overturned = stability is not None and stability.final_band != stability.band
    return _(OVERTURNED, band=_(stability.band)) if stability and overturned else _(TRACES[band])


def _agreement(proved: Origin, claimed: Origin, band: Band | None) -> str:
    said = proved or claimed
    if proved == "captured" and claimed in CLAIMED:
        return _(
            "They do not agree: it is signed as captured, and yet it carries a mark of an image "
            "generator."
        )
    if not said or band is None:
        return ""
    unsure = said in ("may be", "is suspected")
    if (
        said == "edited"
        or band in ("inconclusive", NO_ANSWER)
        or (unsure and band == "likely not generated")
    ):
        return _("The pixels neither support nor contradict that.")
    if (said == "captured") == (band == "likely not generated"):
        return _("The pixels agree.")
    if said == "captured":
        other = (
            _("Ask the signer.")
            if proved
            else _("That it was captured is easily written into a file.")
        )
        return f"{_('They do not agree: it is said to be captured, and the pixels carry traces of a generator.')} {other}"  # noqa: E501
    return _(
        "They do not agree. Traces in pixels are easily lost, so do not take the picture for a "
        "photograph on the strength of this score."
    )


def next_steps(
    headline: Headline,
    band: Band,
    provenance: Provenance,
    cautions: tuple[Caution, ...],
    kind: ImageType = "photograph",
) -> tuple[Step, ...]:
    """What a person can do now: at most three steps, the most telling first."""
    return tuple(
        islice(_steps(headline, band, provenance.credentials, {c.kind for c in cautions}, kind), 3)
    )


def _steps(
    headline: Headline, band: Band, credentials: Credentials, cautions: set[str], kind: ImageType
) -> Iterator[Step]:
    by_pixels = headline.source == "pixels"
    if credentials.state == "trusted" and credentials.signer:
        said = N_(
            "Ask the signer, {signer}, whether the signature is theirs, and when they signed."
        )
        yield Step("signer", _(said, signer=credentials.signer))
    elif credentials.state == "trusted":
        yield Step(
            "signer", _("Ask the signer whether the signature is theirs, and when they signed.")
        )
    if credentials.state == "invalid":
        yield Step(
            "signer",
            _("Ask who sent it for the file as it was signed: this one was changed afterwards."),
        )
    if headline.source == "file":
        yield Step(
            "sender", _("Ask who sent it whether they made it with a generator, as the file says.")
        )
    if kind != "photograph":
        yield Step("crop" if kind == "page" else "sender", _(WHAT_TO_DO[kind]))
    elif cautions & {"small", "recompressed"}:
        yield Step("larger", _("Find a larger or less compressed copy, and examine that one."))
    if kind == "photograph" and cautions & {"text", "graphic"}:
        yield Step(
            "crop", _("If there is a photograph in it, crop it out and examine that part alone.")
        )
    if kind != "blank":
        if by_pixels:
            yield Step("original", _(ORIGINAL.get(band, ORIGINAL["inconclusive"])))
        yield Step(
            "copies", _(COPIES.get(band if by_pixels else "inconclusive", COPIES["inconclusive"]))
        )
        if by_pixels and band != "likely not generated":
            said = _(
                "Magnify the picture and look for visible marks of generators, and at hands and "
                "text."
            )
            yield Step("magnify", said)
