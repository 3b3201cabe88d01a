"""One headline from all evidence: what a signature proves, what the file claims, what the pixels
say, and whether they agree.

A file that says of itself that it was generated, or that carries a signature of a known signer,
gives the headline; the pixels' answer is then the second line. That a file was captured by a camera
is no headline unless it is signed: anybody can write it, and who wants to deceive has a reason to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from causalclip.examination.messages import (
    JUDGE_PART,
    NO_ANSWER,
    NO_ANSWER_TITLE,
    NO_TRACES,
    NOT_EXAMINED,
    TONE,
    WHAT_TO_DO,
    Tone,
)
from causalclip.languages import N_, _, bracketed, paragraph
from causalclip.provenance.reading import claim_sentence

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.examination.cautions import Caution
    from causalclip.examination.stability import Stability
    from causalclip.image_type import ImageType
    from causalclip.provenance.credentials import SourceType
    from causalclip.provenance.reading import Provenance

Source = Literal["signature", "file", "mark", "pixels"]
Origin = Literal[
    "generated",
    "not validated",
    "part generated",
    "marked",
    "marked edited",
    "edited",
    "may be",
    "is suspected",
    "captured",
    "",
]
StepKind = Literal["signer", "sender", "original", "larger", "crop", "copies", "magnify"]
SIGNED = {
    "generated": N_("Signed as generated"),
    "part generated": N_("Signed as partly generated"),
    "captured": N_("Signed as captured"),
}
CLAIMED = {
    "generated": N_("The file says it was generated"),
    "not validated": N_("Credentials that are not validated say it was generated"),
    "part generated": N_("The file says it was partly generated"),
    "marked": N_("It bears the mark of a generator"),
    "marked edited": N_("It bears the mark of an editor with generative AI"),
    "edited": N_("Says that it was edited with generative AI"),
    "may be": N_("The file says it may be generated"),
    "is suspected": N_("A platform suspects that it was generated"),
}
# what is stamped on the picture, and so is not the file's word
ON_PIXELS = "marked", "marked edited"
NAMED: dict[str, str] = {  # the same where it is known who signed, or whose mark it is
    SIGNED["generated"]: N_("{name} signed that it was generated"),
    SIGNED["part generated"]: N_("{name} signed that a part of it was generated"),
    SIGNED["captured"]: N_("{name} signed that it was captured"),
    CLAIMED["generated"]: N_("The file says that it was made with {name}"),
    CLAIMED["not validated"]: N_("Credentials, not validated, say it was made with {name}"),
    CLAIMED["marked"]: N_("{name}'s mark is on it"),
    CLAIMED["marked edited"]: N_("{name}'s mark is on it"),
    CLAIMED["edited"]: N_("The file says that it was edited with {name}"),
}
BY_PIXELS = N_("Likely generated"), N_("Inconclusive"), N_("Likely not generated")
ANSWERS = (*SIGNED.values(), *CLAIMED.values(), *BY_PIXELS, NO_ANSWER_TITLE)
BRIEF: dict[str, str] = {  # of ANSWERS, for a row of a table or a line of a terminal
    SIGNED["generated"]: N_("signed as generated"),
    SIGNED["part generated"]: N_("signed as part generated"),
    SIGNED["captured"]: N_("signed as captured"),
    CLAIMED["generated"]: N_("file says generated"),
    CLAIMED["not validated"]: N_("generated, not validated"),
    CLAIMED["part generated"]: N_("file says part generated"),
    CLAIMED["marked"]: N_("bears a generator's mark"),
    CLAIMED["marked edited"]: N_("bears an AI editor's mark"),
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
FORGED = N_("That can be forged, also to discredit a true picture.")
NOT_JUDGED = N_("Its pixels were not judged.")
OVERTURNED = N_(
    "As the picture is, its pixels would say {band}; that does not survive mild re-encoding, so it "
    "counts for nothing."
)


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer in large print, and a sentence each for what it rests on.

    title: one of ANSWERS, in English; `answer` is the same in the reader's language. source: whose
    word it is; a mark is on the picture, what the file says is beside it. tone: which colour it
    has. name: who signed, or whose mark it is; "" where that is not known or not what the headline
    rests on.
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
    name: str = ""

    @property
    def answer(self) -> str:
        """The title in the reader's language, with the name of who signed or whose mark it is."""
        return name_answer(self.title, self.name)

    @property
    def short_name(self) -> str:
        """The name without what stands behind it in brackets."""
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class Step:
    """kind: what the page adds a link or a button for. sentence: what to do."""

    kind: StepKind
    sentence: str


def make_headline(
    provenance: Provenance,
    band: Band | None,
    stability: Stability | None = None,
    *,
    problem: str = "",
) -> Headline:
    """The headline. band: what the pixels say, after stability where that is known; None before
    they are judged, and where they cannot be. problem: why they cannot."""
    proved, claimed = _signed(provenance), _claimed(provenance)
    source = _source(proved, claimed)
    by_pixels = NOT_EXAMINED if problem else _title(band)
    title = SIGNED.get(proved) or CLAIMED.get(claimed) or by_pixels
    return Headline(
        title=title,
        source=source,
        tone=tone_of(title),
        proved=_proof(provenance, proved),
        claimed=_claim(provenance, claimed),
        pixels=f"{_(NOT_JUDGED)} {problem}" if problem else _pixels(band, stability),
        agreement=_agreement(proved, claimed, band),
        silent=provenance.silent
        and provenance.credentials.state in ("none", "elsewhere", "unreadable"),
        name=_name(provenance, proved, claimed),
    )


def name_answer(title: str, name: str) -> str:
    """One of ANSWERS in the reader's language, with a name where there is one."""
    return _(NAMED[title], name=short_name(name)) if name and title in NAMED else _(title)


def short_name(name: str) -> str:
    """A name in the reader's language, without what stands behind it in brackets."""
    return re.split(r" ?\u200f?[(（]", _(name), maxsplit=1)[0]


def _source(proved: Origin, claimed: Origin) -> Source:
    if proved:
        return "signature"
    if claimed in ON_PIXELS:
        return "mark"
    return "file" if claimed in CLAIMED else "pixels"


def _name(p: Provenance, proved: Origin, claimed: Origin) -> str:
    """Who signed, or whose mark the headline rests on; "" where nobody is named."""
    if p.proof:
        return p.proof.generator
    if proved:
        return p.credentials.organisation or p.credentials.signer
    strongest = next(iter(p.claimed_marks), None)
    if strongest is None or strongest.says not in ("is", "in part"):
        return ""
    alike = (mark for mark in p.claimed_marks if mark.says == strongest.says)
    named = (mark for mark in alike if mark.named and mark.edited == strongest.edited)
    return next((m.generator for m in named if m.on_pixels == strongest.on_pixels), "")


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
    mark = next(iter(p.claimed_marks), None)
    if mark is None:
        known = p.credentials.state in ("unknown signer", "unvalidated")
        said = (p.credentials.source_types if known else ()) + p.source_types
        return "captured" if any(claim.kind == "captured" for claim in said) else ""
    if mark.says == "in part":
        return "part generated"
    if mark.says != "is":
        return mark.says
    if mark.certainty == "not validated":
        return "not validated"
    if mark.edited:
        return "marked edited" if mark.on_pixels else "edited"
    return "marked" if mark.on_pixels else "generated"


def _proof(p: Provenance, proved: Origin) -> str:
    if p.proof:
        return p.summary
    if p.credentials.state == "invalid":
        return _(
            "Nothing: its Content Credentials do not hold. File or credentials were changed after "
            "signing."
        )
    if p.credentials.state == "unvalidated":
        return _("Nothing: its Content Credentials could not be validated.")
    if p.credentials.state != "trusted":
        return _("Nothing: the file carries no signature of a known signer.")
    signer = bracketed("", p.credentials.signer)
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
    said = p.summary
    if p.proof or p.credentials.state in ("trusted", "invalid"):  # the summary is the signature's
        said = (
            claim_sentence(p)
            if p.claimed_marks
            else _("Its metadata say that the picture was {made}.", made=_(p.source_types[0].words))
        )
    return paragraph(said, _(FORGED)) if claimed in CLAIMED else said


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
    if band == NO_ANSWER:
        return _(NOT_JUDGED)
    if (
        said in ("edited", "marked edited")
        or band == "inconclusive"
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
        apart = _(
            "They do not agree: it is said to be captured, and the pixels carry traces of a "
            "generator."
        )
        return paragraph(apart, other)
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
    return tuple(islice(_steps(headline, band, provenance, {c.kind for c in cautions}, kind), 3))


def _steps(
    headline: Headline, band: Band, provenance: Provenance, cautions: set[str], kind: ImageType
) -> Iterator[Step]:
    by_pixels, credentials = headline.source == "pixels", provenance.credentials
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
    seen = (
        [mark for mark in provenance.claimed_marks if mark.box] if headline.source == "mark" else []
    )
    if seen:
        yield Step(
            "magnify",
            _("Look at the mark closely: {where}. Anybody can stamp one.", where=_(seen[0].where)),
        )
    if headline.source in ("file", "mark"):
        yield Step("sender", _ask_sender(headline))
    if kind != "photograph":
        said = JUDGE_PART if kind == "page" and "inside" in cautions else WHAT_TO_DO[kind]
        yield Step("crop" if kind == "page" else "sender", _(said))
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


def _ask_sender(headline: Headline) -> str:
    if headline.name:
        return _("Ask who sent it whether they made it with {name}.", name=headline.short_name)
    return _("Ask who sent it whether they made it with a generator, as the file says.")
