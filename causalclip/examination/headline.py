"""One headline from all evidence: what a signature proves, what the file claims, what the pixels
say, and whether they agree.

A file that says of itself that it was generated, or that carries a signature of a known signer,
gives the headline; the pixels' answer is then the second line. That a file was captured by a camera
is no headline unless it is signed: anybody can write it, and who wants to deceive has a reason to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import chain, islice
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

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.examination.cautions import Caution
    from causalclip.examination.stability import Stability
    from causalclip.image_type import ImageType
    from causalclip.provenance.result import Provenance

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

    Attributes:
        title: one of ANSWERS, in English, or "" before there is an answer; `answer` is the same in
            the reader's language.
        source: whose word it is; a mark is on the picture, what the file says is beside it.
        tone: which colour it has.
        proved, claimed, pixels: what each kind of evidence says.
        agreement: whether they agree; empty where there is only one to be heard.
        silent: whether signature and file say nothing of how the picture was made.
        name: who signed, or whose mark it is; "" where that is not known or not what the headline
            rests on.
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
    """What a person can do.

    Attributes:
        kind: what the page adds a link or a button for.
        sentence: what to do.
    """

    kind: StepKind
    sentence: str


def make_headline(
    provenance: Provenance,
    band: Band | None,
    stability: Stability | None = None,
    *,
    problem: str = "",
) -> Headline:
    """Make the headline of all evidence.

    Args:
        provenance: what the file says, and its marks.
        band: what the pixels say, after stability where that is known; None before they are judged,
            and where they cannot be.
        stability: where it is known.
        problem: why the pixels cannot be judged.
    """
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
    """Return one of ANSWERS in the reader's language, with a name where there is one."""
    return _(NAMED[title], name=short_name(name)) if name and title in NAMED else _(title)


def short_name(name: str) -> str:
    """Return a name in the reader's language, without what stands behind it in brackets."""
    return re.split(r" ?\u200f?[(（]", _(name), maxsplit=1)[0]


def _source(proved: Origin, claimed: Origin) -> Source:
    """Return whose word the headline is."""
    if proved:
        return "signature"
    if claimed in ON_PIXELS:
        return "mark"
    return "file" if claimed in CLAIMED else "pixels"


def _name(p: Provenance, proved: Origin, claimed: Origin) -> str:
    """Return who signed, or whose mark the headline rests on; "" where nobody is named."""
    if p.proof:
        return p.proof.generator
    if proved:
        return p.credentials.organisation or p.credentials.signer
    strongest = next(iter(p.claimed_marks), None)
    if strongest is None or strongest.says not in ("is", "in part"):
        return ""
    for mark in p.claimed_marks:
        alike = mark.says == strongest.says and mark.edited == strongest.edited
        if mark.is_named and alike and mark.on_pixels == strongest.on_pixels:
            return mark.generator
    return ""


def _title(band: Band | None) -> str:
    """Return the pixels' answer as one of ANSWERS; "" before there is one."""
    return NO_ANSWER_TITLE if band == NO_ANSWER else (band or "").capitalize()


def tone_of(title: str) -> Tone:
    """Return the colour of one of ANSWERS."""
    if title == SIGNED["captured"]:
        return "signed"
    if title in (CLAIMED["may be"], CLAIMED["is suspected"]):
        return "inconclusive"
    if title in {*SIGNED.values(), *CLAIMED.values()}:
        return "generated"
    return TONE.get(title.lower(), "inconclusive")  # type: ignore[call-overload]


def _signed(p: Provenance) -> Origin:
    """Return what a generator or a signer on the trust list vouches for.

    That something was generated outweighs that it was captured; of earlier versions and parts, only
    the first counts.
    """
    if p.proof:
        return "generated"
    if p.credentials.state != "trusted":
        return ""
    claims = p.credentials.source_types
    if any(claim.kind == "generated" and not claim.of_part for claim in claims):
        return "generated"
    if any(claim.kind in ("generated", "part generated") for claim in claims):
        return "part generated"
    if any(claim.kind == "captured" and not claim.of_part for claim in claims):
        return "captured"
    return ""


def _claimed(p: Provenance) -> Origin:
    """Return what the file says without a signature that counts."""
    mark = next(iter(p.claimed_marks), None)
    if mark is None:
        claims = p.source_types
        if p.credentials.state in ("interim", "unknown signer", "unvalidated"):
            claims = p.credentials.source_types + claims
        return "captured" if any(claim.kind == "captured" for claim in claims) else ""
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
    """Return what a signature proves."""
    # 1. No signature of a known signer
    if p.proof:
        return p.summary
    if p.credentials.state == "invalid":
        return paragraph(_("Nothing: its Content Credentials do not hold."), p.credentials.reasons)
    if p.credentials.state == "unvalidated":
        return paragraph(
            _("Nothing: its Content Credentials could not be validated."), p.credentials.reasons
        )
    if p.credentials.state == "interim":
        return _(
            "Nothing by C2PA's list: the signer{signer} is on the interim list, which is frozen "
            "since January 2026.",
            signer=bracketed("", p.credentials.signer),
        )
    if p.credentials.state != "trusted":
        return _("Nothing: the file carries no signature of a known signer.")

    # 2. One that says nothing of how the picture was made
    signer = bracketed("", p.credentials.signer)
    claims = p.credentials.source_types
    own_claims = [claim for claim in claims if not claim.of_part]
    if not proved and not own_claims:
        return _(
            "A signer on C2PA's trust list{signer} signed this file, without saying how the "
            "picture was made.",
            signer=signer,
        )

    # 3. What the signer says
    if proved:
        kinds = {"captured"} if proved == "captured" else {"generated", "part generated"}
        origin_words = next(_(claim.words) for claim in claims if claim.kind in kinds)
    else:
        origin_words = _(own_claims[0].words)
    if proved == "part generated":
        return _(
            "A signer on C2PA's trust list{signer} signed that the picture, or a part of it, was "
            "{made}.",
            signer=signer,
            made=origin_words,
        )
    return _(
        "A signer on C2PA's trust list{signer} signed that the picture was {made}.",
        signer=signer,
        made=origin_words,
    )


def _claim(p: Provenance, claimed: Origin) -> str:
    """Return what the file says beside a signature."""
    if p.credentials.state in ("trusted", "invalid") and not (p.claimed_marks or p.source_types):
        return _("Nothing beside its Content Credentials.")
    if p.proof and not (p.claimed_marks or p.source_types):
        return _("Nothing beside that signature.")
    if not p.proof and p.credentials.state not in ("trusted", "invalid"):
        sentence = p.summary
    elif p.claimed_marks:  # the summary is the signature's
        sentence = p.claim_sentence
    else:
        origin_words = _(p.source_types[0].words)
        sentence = _("Its metadata say that the picture was {made}.", made=origin_words)
    return paragraph(sentence, _(FORGED)) if claimed in CLAIMED else sentence


def _pixels(band: Band | None, stability: Stability | None) -> str:
    """Return what the pixels say."""
    if band is None:
        return _("They are being looked at.")
    if stability and stability.final_band != stability.band:
        return _(OVERTURNED, band=_(stability.band))
    return _(TRACES[band])


def _agreement(proved: Origin, claimed: Origin, band: Band | None) -> str:
    """Return whether what is signed or claimed and the pixels agree; "" where only one is heard."""
    # 1. Signature and claims
    origin = proved or claimed
    if proved == "captured" and claimed in CLAIMED:
        return _(
            "They do not agree: it is signed as captured, and yet it carries a mark of an image "
            "generator."
        )
    if not origin or band is None:
        return ""
    if band == NO_ANSWER:
        return _(NOT_JUDGED)

    # 2. The pixels have nothing to add
    clears = band == "likely not generated"
    unsure = origin in ("may be", "is suspected")
    if origin in ("edited", "marked edited") or band == "inconclusive" or (unsure and clears):
        return _("The pixels neither support nor contradict that.")

    # 3. They agree, or not
    if (origin == "captured") == clears:
        return _("The pixels agree.")
    if origin == "captured":
        disagreement = _(
            "The file and the pixels do not agree: it is said to be captured, and the pixels "
            "carry traces of a generator."
        )
        if proved:
            return paragraph(disagreement, _("Ask the signer."))
        return paragraph(disagreement, _("That it was captured is easily written into a file."))
    return _(
        "The file and the pixels do not agree. Traces in pixels are easily lost, so do not take "
        "the picture for a photograph on the strength of this score."
    )


def next_steps(
    headline: Headline,
    band: Band,
    provenance: Provenance,
    cautions: tuple[Caution, ...],
    image_type: ImageType = "photograph",
) -> tuple[Step, ...]:
    """Return what a person can do now: at most three steps, the most telling first."""
    kinds = {caution.kind for caution in cautions}
    by_evidence = _steps_by_evidence(headline, provenance)
    by_picture = _steps_by_picture(headline.source == "pixels", band, kinds, image_type)
    return tuple(islice(chain(by_evidence, by_picture), 3))


def _steps_by_evidence(headline: Headline, provenance: Provenance) -> Iterator[Step]:
    """Yield what to do about signature, marks and the file's word."""
    credentials = provenance.credentials
    if credentials.state == "trusted" and credentials.signer:
        sentence = _(
            "Ask the signer, {signer}, whether the signature is theirs, and when they signed.",
            signer=credentials.signer,
        )
        yield Step("signer", sentence)
    elif credentials.state == "trusted":
        yield Step(
            "signer", _("Ask the signer whether the signature is theirs, and when they signed.")
        )
    if credentials.is_changed:
        yield Step(
            "signer",
            _("Ask who sent it for the file as it was signed: this one was changed afterwards."),
        )
    elif credentials.state == "invalid":
        yield Step("signer", _("Ask who sent it for the file as it was signed."))
    mark = next((mark for mark in provenance.claimed_marks if mark.box), None)
    if mark and headline.source == "mark":
        where = _(mark.where)
        yield Step(
            "magnify", _("Look at the mark closely: {where}. Anybody can stamp one.", where=where)
        )
    if headline.source in ("file", "mark"):
        yield Step("sender", _ask_sender(headline))


def _steps_by_picture(
    by_pixels: bool, band: Band, cautions: Set[str], image_type: ImageType
) -> Iterator[Step]:
    """Yield what to do about the picture itself; by_pixels: whether its pixels give the
    headline."""
    if image_type == "page" and "inside" in cautions:
        yield Step("crop", _(JUDGE_PART))
    elif image_type != "photograph":
        yield Step("crop" if image_type == "page" else "sender", _(WHAT_TO_DO[image_type]))
    elif cautions & {"small", "recompressed"}:
        yield Step("larger", _("Find a larger or less compressed copy, and examine that one."))
    if image_type == "photograph" and cautions & {"text", "graphic"}:
        yield Step(
            "crop", _("If there is a photograph in it, crop it out and examine that part alone.")
        )
    if image_type == "blank":
        return
    if by_pixels:
        yield Step("original", _(ORIGINAL.get(band, ORIGINAL["inconclusive"])))
    answer = band if by_pixels else "inconclusive"
    yield Step("copies", _(COPIES.get(answer, COPIES["inconclusive"])))
    if by_pixels and band != "likely not generated":
        sentence = _(
            "Magnify the picture and look for visible marks of generators, and at hands and text."
        )
        yield Step("magnify", sentence)


def _ask_sender(headline: Headline) -> str:
    """Return what to ask whoever sent the picture."""
    if headline.name:
        return _("Ask who sent it whether they made it with {name}.", name=headline.short_name)
    return _("Ask who sent it whether they made it with a generator, as the file says.")
