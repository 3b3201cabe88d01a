"""One headline from all evidence: what a signature proves, what the file claims, what the pixels
say, and whether they agree.

Which answer it is, `decide` in causalclip.examination.answer says; where that is not the pixels'
answer, theirs is the second line.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalclip.examination.answer import (
    Origin,
    Source,
    Step,
    StepKind,
    by_claim,
    by_signature,
    claims_capture,
    decide,
    short_name,
)
from causalclip.examination.messages import (
    JUDGE_PART,
    NO_ANSWER,
    TRACES,
    WHAT_TO_DO,
    Tone,
)
from causalclip.examination.owners import ASK, OWNERS, owners_of, services
from causalclip.languages import N_, _, bracketed, paragraph

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.detection import ImageType
    from causalclip.examination.cautions import Caution
    from causalclip.examination.stability import Stability
    from causalclip.provenance.result import Provenance

MAX_STEPS = 4
ALWAYS_TOLD: tuple[StepKind, ...] = ("copies", "owner")
STEP_OF: dict[ImageType, StepKind] = {"drawing": "copies", "page": "crop", "blank": "sender"}
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
        origin: which answer it is.
        title: its title in English, or "" before there is an answer; `answer` is the same in the
            reader's language.
        source: whose word it is; a mark is on the picture, what the file says is beside it.
        tone: which colour it has.
        proved, claimed, pixels: what each kind of evidence says.
        agreement: whether they agree; empty where there is only one to be heard.
        silent: whether signature and file say nothing of how the picture was made.
        name: who signed, or whose mark it is; "" where that is not known or not what the headline
            rests on.
    """

    origin: Origin
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
        return self.origin.named(self.name)

    @property
    def evidence(self) -> str:
        """What signature or file say, where the headline rests on that and not on the pixels."""
        return self.proved if self.source == "signature" else self.claimed

    @property
    def short_name(self) -> str:
        """The name without what stands behind it in brackets."""
        return short_name(self.name)


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
    origin = decide(provenance, band, problem=problem)
    proved, claimed = by_signature(provenance), by_claim(provenance)
    return Headline(
        origin=origin,
        title=origin.answer.title,
        source=origin.answer.source,
        tone=origin.answer.tone,
        proved=_proof(provenance, proved),
        claimed=_claim(provenance, claimed),
        pixels=f"{_(NOT_JUDGED)} {problem}" if problem else _pixels(band, stability),
        agreement=_agreement(provenance, proved, claimed, band),
        silent=provenance.silent
        and provenance.credentials.state in ("none", "elsewhere", "unreadable"),
        name=_name(provenance, proved),
    )


def _name(p: Provenance, proved: Origin | None) -> str:
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
            return mark.name
    return ""


def _proof(p: Provenance, proved: Origin | None) -> str:
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
        is_captured = proved == Origin.SIGNED_CAPTURED
        kinds = {"captured"} if is_captured else {"generated", "part generated"}
        origin_words = next(_(claim.words) for claim in claims if claim.kind in kinds)
    else:
        origin_words = _(own_claims[0].words)
    if proved == Origin.SIGNED_PART_GENERATED:
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


def _claim(p: Provenance, claimed: Origin | None) -> str:
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
    return paragraph(sentence, _(FORGED)) if claimed else sentence


def _pixels(band: Band | None, stability: Stability | None) -> str:
    if band is None:
        return _("They are being looked at.")
    if stability and stability.final_band != stability.band:
        return _(OVERTURNED, band=_(stability.band))
    return _(TRACES[band])


def _agreement(
    p: Provenance, proved: Origin | None, claimed: Origin | None, band: Band | None
) -> str:
    """Return whether what is signed or claimed and the pixels agree; "" where only one is heard."""
    # 1. Signature and claims
    origin = proved or claimed
    is_captured = proved == Origin.SIGNED_CAPTURED or (not origin and claims_capture(p))
    if proved == Origin.SIGNED_CAPTURED and claimed:
        return _(
            "They do not agree: it is signed as captured, and yet it carries a mark of an image "
            "generator."
        )
    if band is None or not (origin or is_captured):
        return ""
    if band == NO_ANSWER:
        return _(NOT_JUDGED)

    # 2. The pixels have nothing to add
    clears = band == "likely not generated"
    is_edited = origin in (Origin.FILE_EDITED, Origin.MARK_OF_EDITOR)
    is_unsure = origin in (Origin.FILE_MAY_BE, Origin.FILE_SUSPECTED)
    if is_edited or band == "inconclusive" or (is_unsure and clears):
        return _("The pixels neither support nor contradict that.")

    # 3. They agree, or not
    if is_captured == clears:
        return _("The pixels agree.")
    if is_captured:
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
    """Return what a person can do now: at most MAX_STEPS, the most telling first.

    Those that lead to others who know more find room before all else.
    """
    kinds = {caution.kind for caution in cautions}
    steps = [
        *_steps_by_evidence(headline, provenance),
        *_steps_by_picture(headline.origin, kinds, image_type),
    ]
    rest = [step for step in steps if step.kind not in ALWAYS_TOLD]
    left_out = rest[MAX_STEPS - (len(steps) - len(rest)) :]
    return tuple(step for step in steps if step not in left_out)


def _steps_by_evidence(headline: Headline, provenance: Provenance) -> Iterator[Step]:
    credentials = provenance.credentials
    if credentials.state == "trusted" and credentials.signer:
        sentence = _(
            "Ask the signer, {signer}, whether the signature is theirs, and when they signed.",
            signer=credentials.organisation or credentials.signer,
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
        if owners := owners_of(headline.name):
            yield Step("owner", _(ASK, services=services(owners)))


def _steps_by_picture(origin: Origin, cautions: Set[str], image_type: ImageType) -> Iterator[Step]:
    if image_type == "page" and "inside" in cautions:
        yield Step("crop", _(JUDGE_PART))
    elif image_type != "photograph":
        yield Step(STEP_OF[image_type], _(WHAT_TO_DO[image_type]))
    elif cautions & {"small", "recompressed"}:
        yield Step("larger", _("Find a larger or less compressed copy, and examine that one."))
    if image_type == "photograph" and cautions & {"text", "graphic"}:
        yield Step(
            "crop", _("If there is a photograph in it, crop it out and examine that part alone.")
        )
    if image_type == "blank":
        return
    for step in origin.answer.steps:
        if image_type == "drawing" and step.kind == STEP_OF["drawing"]:
            continue  # said above
        yield Step(step.kind, _(step.sentence, services=services(OWNERS.values())))


def _ask_sender(headline: Headline) -> str:
    if headline.name:
        return _("Ask who sent it whether they made it with {name}.", name=headline.short_name)
    return _("Ask who sent it whether they made it with a generator.")
