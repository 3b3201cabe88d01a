"""Marks for what signatures and source types claim."""

from collections.abc import Iterable, Iterator

from causalclip.marks.mark import UNNAMED, Certainty, Mark, Says
from causalclip.marks.names import generator_of
from causalclip.provenance.credentials import OWN, Credentials
from causalclip.provenance.source_types import SourceType
from causalclip.text import clean

SAID: dict[str, Says] = {"generated": "is", "part generated": "in part"}
NOT_VALIDATED = ("interim", "unknown signer", "unvalidated", "invalid")


def find_claims(credentials: Credentials, source_types: Iterable[SourceType]) -> Iterator[Mark]:
    """Yield a mark for credentials and for each source type of XMP that tell of a generator.

    Args:
        credentials: as they were read; signed is what they say only if the signer is on the trust
            list.
        source_types: of XMP.
    """
    says = _credentials_say(credentials)
    if says:
        program, signer = credentials.generator, credentials.signer
        generator = next(
            filter(None, map(generator_of, (*credentials.agents, program, signer))),
            credentials.organisation or UNNAMED,
        )
        codes = (claim.code for claim in credentials.source_types if claim.kind in SAID)
        words = dict.fromkeys(filter(None, (*credentials.agents, program, *codes)))
        certainty: Certainty = "signed" if credentials.state == "trusted" else "not validated"
        yield Mark(
            generator, OWN, clean("; ".join(words), limit=160), "credentials", certainty, says=says
        )

    for claim in source_types:
        if claim.kind in SAID:
            yield Mark(UNNAMED, "XMP, DigitalSourceType", claim.code, says=SAID[claim.kind])


def _credentials_say(credentials: Credentials) -> Says | None:
    """Return what the credentials say of the whole picture; None if nothing of a generator.

    ChatGPT and others sign a copy of what they generated, and only the version before says so: that
    is the whole picture, unless something in it was captured or drawn. That a generator's program
    signed, without a word on how the picture was made, counts until something was changed.
    """
    if credentials.state not in ("trusted", *NOT_VALIDATED):
        return None
    kinds = {claim.kind for claim in credentials.source_types if claim.where == OWN}
    earlier = {claim.kind for claim in credentials.source_types if claim.where != OWN}
    by_generator = any(map(generator_of, (*credentials.agents, credentials.generator)))
    if "generated" in kinds:
        return "is"
    if "part generated" in kinds:
        return "in part"
    if "generated" in earlier:
        return (
            "is"
            if by_generator and earlier == {"generated"} and not kinds - {"made"}
            else "in part"
        )
    if "part generated" in earlier:
        return "in part"
    silent = not kinds and not earlier
    return "is" if by_generator and silent and credentials.state != "invalid" else None
