"""Faults that C2PA's validator finds in Content Credentials, in plain words.

Its codes are those of C2PA's specification. "Changed after signing" is said only for codes that
mean it, and not where the validator could not compare at all.
"""

from dataclasses import dataclass
from typing import Any

from causalclip.languages import N_, _
from causalclip.text import clean

PICTURE_CHANGED = N_("The picture was changed after signing: it is not the one that was signed.")
WORDS_CHANGED = N_("What the credentials say was changed after signing.")
NOT_PLACED = N_(
    "The credentials lie elsewhere in the file than they say, so the picture could not be "
    "compared with the signed one."
)
WRONG_SIGNATURE = N_("The signature does not fit what it is said to have signed.")
NO_SIGNATURE = N_("The signature is missing.")
PARTS_DIFFER = N_("What is said of an earlier version or a part is not what was signed.")
EXPIRED = N_(
    "The signer's certificate has expired, and no time stamp shows that it was valid when they "
    "signed."
)
WRONG_TIME = N_("It was signed at a time when the signer's certificate was not valid.")
BAD_CERTIFICATE = N_("The signer's certificate does not follow C2PA's rules for certificates.")
REVOKED = N_("The signer's certificate was revoked.")
NOT_KNOWN_TO_ISSUER = N_("Whoever issued the signer's certificate does not know it.")
NOT_BOUND = N_("The credentials are not tied to this picture as C2PA asks for.")
PART_MISSING = N_("A part of the credentials is missing.")
NOT_COVERED = N_("The file holds something that the signature does not cover.")
REDACTED = N_("Something was struck out of the credentials that may not be.")
MALFORMED = N_("The credentials are not written as C2PA asks for.")
UNKNOWN_METHOD = N_("They are signed or hashed by a method that this program does not know.")
TIME_STAMP = N_("The time stamp does not hold.")
IDENTITY = N_("The identity that the credentials name could not be confirmed.")
NO_WORDS = N_("C2PA's validator gives a reason that this program does not know.")
OF_PART = N_("Of an earlier version or a part: {reason}")

REASONS: dict[str, str] = {
    # the picture, or what is said of it, is not what was signed
    "assertion.dataHash.mismatch": PICTURE_CHANGED,
    "assertion.bmffHash.mismatch": PICTURE_CHANGED,
    "assertion.boxesHash.mismatch": PICTURE_CHANGED,
    "assertion.collectionHash.mismatch": PICTURE_CHANGED,
    "assertion.hashedURI.mismatch": WORDS_CHANGED,
    "hashedURI.mismatch": WORDS_CHANGED,
    "ingredient.hashedURI.mismatch": PARTS_DIFFER,
    "ingredient.manifest.mismatch": PARTS_DIFFER,
    "ingredient.claimSignature.mismatch": PARTS_DIFFER,
    # the signature and its certificate
    "claimSignature.mismatch": WRONG_SIGNATURE,
    "claimSignature.missing": NO_SIGNATURE,
    "ingredient.claimSignature.missing": NO_SIGNATURE,
    "claimSignature.outsideValidity": WRONG_TIME,
    "signingCredential.expired": EXPIRED,
    "signingCredential.invalid": BAD_CERTIFICATE,
    "signingCredential.ocsp.revoked": REVOKED,
    "signingCredential.ocsp.unknown": NOT_KNOWN_TO_ISSUER,
    "algorithm.unsupported": UNKNOWN_METHOD,
    "algorithm.deprecated": UNKNOWN_METHOD,
    # what ties the credentials to the picture
    "claim.hardBindings.missing": NOT_BOUND,
    "assertion.multipleHardBindings": NOT_BOUND,
    "assertion.dataHash.malformed": NOT_BOUND,
    "assertion.bmffHash.malformed": NOT_BOUND,
    "assertion.boxesHash.malformed": NOT_BOUND,
    "assertion.collectionHash.malformed": NOT_BOUND,
    "assertion.collectionHash.incorrectFileCount": NOT_BOUND,
    "assertion.collectionHash.invalidURI": NOT_BOUND,
    "assertion.cloud-data.hardBinding": NOT_BOUND,
    # what is missing, not covered or struck out
    "assertion.missing": PART_MISSING,
    "assertion.inaccessible": PART_MISSING,
    "assertion.required.missing": PART_MISSING,
    "claim.missing": PART_MISSING,
    "claim.required.missing": PART_MISSING,
    "hashedURI.missing": PART_MISSING,
    "ingredient.manifest.missing": PART_MISSING,
    "manifest.inaccessible": PART_MISSING,
    "assertion.undeclared": NOT_COVERED,
    "assertion.outsideManifest": NOT_COVERED,
    "assertion.boxesHash.unknownBox": NOT_COVERED,
    "assertion.notRedacted": REDACTED,
    "assertion.selfRedacted": REDACTED,
    "assertion.dataHash.redacted": REDACTED,
    "assertion.action.redacted": REDACTED,
    "assertion.action.redactionMismatch": REDACTED,
    # their form
    "claim.malformed": MALFORMED,
    "claim.multiple": MALFORMED,
    "claim.cbor.invalid": MALFORMED,
    "assertion.json.invalid": MALFORMED,
    "assertion.cbor.invalid": MALFORMED,
    "assertion.action.ingredientMismatch": MALFORMED,
    "assertion.action.malformed": MALFORMED,
    "assertion.cloud-data.actions": MALFORMED,
    "assertion.cloud-data.malformed": MALFORMED,
    "assertion.ingredient.malformed": MALFORMED,
    "assertion.metadata.disallowed": MALFORMED,
    "assertion.timestamp.malformed": MALFORMED,
    "manifest.compressed.invalid": MALFORMED,
    "manifest.multipleParents": MALFORMED,
    "manifest.timestamp.invalid": MALFORMED,
    "manifest.timestamp.wrongParents": MALFORMED,
    "manifest.update.invalid": MALFORMED,
    "manifest.update.wrongParents": MALFORMED,
    "general.error": MALFORMED,
    "timeStamp.malformed": TIME_STAMP,
    "timeStamp.mismatch": TIME_STAMP,
    "timeStamp.outsideValidity": TIME_STAMP,
    "timeStamp.untrusted": TIME_STAMP,
}
# the validator's words where the hash of the picture could not be compared at all
NOT_COMPARED = "data hash exclusion"
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that failed.

    Attributes:
        code: C2PA's.
        explanation: the validator's own words, in English, cleaned.
        reason: the same in plain words and the reader's language.
        changed: whether it means that picture or credentials were changed after signing.
        broken: whether what was signed is not what is there, or the signature is not valid: changed
            or not, nothing that they say counts.
    """

    code: str
    explanation: str
    reason: str
    changed: bool = False
    broken: bool = False


def read_problems(report: dict[str, Any]) -> tuple[Problem, ...]:
    """Return what failed, but for that the signer is unknown, which is a state of its own.

    Of earlier versions and parts only where nothing failed of the picture's own credentials.
    """
    results = report.get("validation_results") or {}
    own = _failures(results.get("activeManifest"))
    if own:
        return tuple(dict.fromkeys(_problem(*failure) for failure in own[:MAX_PROBLEMS]))
    of_parts = [
        failure
        for delta in (results.get("ingredientDeltas") or [])[:MAX_PROBLEMS]
        for failure in _failures(delta.get("validationDeltas"))
    ]
    return tuple(dict.fromkeys(_problem_of_part(*failure) for failure in of_parts[:MAX_PROBLEMS]))


def is_listed(report: dict[str, Any]) -> bool:
    """Return whether the signer's certificate goes back to one that was given to the validator."""
    return "signingCredential.trusted" in _codes(report, "success")


def lacks_time(report: dict[str, Any]) -> bool:
    """Return whether there is a time stamp by an authority that was not given to the validator."""
    return "timeStamp.untrusted" in _codes(report, "informational") + _codes(report, "failure")


def has_listed_time(report: dict[str, Any]) -> bool:
    """Return whether an authority that was given to the validator stamped the time."""
    return "timeStamp.trusted" in _codes(report, "success")


def _codes(report: dict[str, Any], kind: str) -> list[str]:
    """Return the codes of one kind of results of the picture's own credentials."""
    active = (report.get("validation_results") or {}).get("activeManifest") or {}
    return [str(status.get("code", "")) for status in active.get(kind) or []]


def _failures(results: dict[str, Any] | None) -> list[tuple[str, str]]:
    failures = (results or {}).get("failure") or []
    pairs = ((str(f.get("code", "")), str(f.get("explanation") or "")) for f in failures)
    return [(code, words) for code, words in pairs if code != "signingCredential.untrusted"]


def _problem(code: str, explanation: str) -> Problem:
    """Return a failure of the picture's own credentials."""
    if REASONS.get(code) == PICTURE_CHANGED and explanation.startswith(NOT_COMPARED):
        reason = NOT_PLACED
    elif code.startswith("cawg."):
        reason = IDENTITY
    else:
        reason = REASONS.get(code, NO_WORDS)
    changed = reason in (PICTURE_CHANGED, WORDS_CHANGED)
    return Problem(
        clean(code, limit=60),
        clean(explanation, limit=160),
        _(reason),
        changed=changed,
        broken=changed or reason in (WRONG_SIGNATURE, NO_SIGNATURE),
    )


def _problem_of_part(code: str, explanation: str) -> Problem:
    """Return a failure of the credentials of an earlier version or a part."""
    problem = _problem(code, explanation)
    return Problem(problem.code, problem.explanation, _(OF_PART, reason=problem.reason))
