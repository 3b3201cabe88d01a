"""Content Credentials (C2PA): whether there are any, whether they hold, and what they claim;
nothing is ever fetched.

Who signed is decided by the trust list alone. The name in a certificate is free text that anybody
can choose."""

import io
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from causalclip.images.formats import Format
from causalclip.languages import N_, _, bracketed, paragraph
from causalclip.provenance.source_types import SourceType, source_type
from causalclip.provenance.trust import TrustLists, trust_lists
from causalclip.provenance.validation import (
    Problem,
    has_listed_time,
    is_listed,
    lacks_time,
    read_problems,
)
from causalclip.text import clean

State = Literal[
    "none",
    "trusted",
    "interim",
    "unknown signer",
    "invalid",
    "unvalidated",
    "elsewhere",
    "unreadable",
]

MAX_MANIFESTS = 50
# the boxes that credentials are kept in, and XMP's address of them
_MARKS = (b"jumb", b"provenance")
# an action's description
_MAKER = re.compile(r"(?:created|edited|generated|made) (?:by|with|using) (.*\bAI)\b", re.I)
OWN, OTHERS = N_("Content Credentials"), N_("Content Credentials of an earlier version or a part")
MIME: dict[Format, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WebP": "image/webp",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
}
SENTENCES: dict[State, str] = {
    "none": N_(
        "The file carries no Content Credentials. Most pictures carry none, and most sites strip "
        "them."
    ),
    "trusted": N_(
        "The file carries Content Credentials that are intact, signed by a certificate that goes "
        "back to C2PA's trust list. The signer vouches for what they say; that does not make what "
        "the picture shows true."
    ),
    "unknown signer": N_(
        "The file carries Content Credentials that are intact, but the signer is unknown: nobody "
        "on the trust list that comes with this program vouches for it. Anybody can sign like "
        "this, under any name."
    ),
    "interim": N_(
        "The file carries Content Credentials that are intact, signed by a certificate that goes "
        "back to the interim list, which was used before C2PA's own and is frozen since January "
        "2026. Who is on it was not examined as C2PA examines signers now."
    ),
    "invalid": N_(
        "The file carries Content Credentials that do not hold. Do not rely on anything that they "
        "say."
    ),
    "unvalidated": N_(
        "The file carries Content Credentials that could not be validated. Nothing proves what "
        "they say: anybody could have written it."
    ),
    "elsewhere": N_(
        "The file says that its Content Credentials are kept at an address on the internet. "
        "Nothing is fetched here, so they were not checked."
    ),
    "unreadable": N_("There may be Content Credentials in the file, but they could not be read."),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Content Credentials as C2PA's reader gives them. All texts are the file's own claims,
    cleaned, not escaped.

    Attributes:
        state: "invalid" if what was signed is not what is there, or the signature is not valid,
            "unvalidated" if they failed otherwise.
        sentence: what that state means.
        signer: the names in the certificate.
        organisation: the one that it was issued to.
        agents: the programs that its actions name, also in words.
        generator: the program that wrote the claim.
        signed: when, by a time stamp.
        is_time_listed: whether the stamp is by an authority on C2PA's list.
        actions: of the active manifest.
        source_types: of the active manifest first, then of earlier versions and parts.
        problems: what failed.
        trust_list: of which day C2PA's list is that the signer was looked up in, ISO 8601; ""
            where nobody signed.
    """

    state: State
    sentence: str
    signer: str = ""
    organisation: str = ""
    agents: tuple[str, ...] = ()
    generator: str = ""
    signed: str = ""
    is_time_listed: bool = False
    actions: tuple[str, ...] = ()
    source_types: tuple[SourceType, ...] = ()
    problems: tuple[Problem, ...] = ()
    trust_list: str = ""

    @property
    def is_changed(self) -> bool:
        """Return whether picture or credentials were changed after signing, as far as that is
        proved."""
        return any(problem.changed for problem in self.problems)

    @property
    def reasons(self) -> str:
        """Why they do not hold or could not be validated, in sentences."""
        return paragraph(*dict.fromkeys(problem.reason for problem in self.problems))

    @property
    def failures(self) -> tuple[str, ...]:
        """Failed checks, in the validator's own words."""
        return tuple(bracketed(problem.code, problem.explanation) for problem in self.problems)

    @property
    def checked_against(self) -> str:
        """The list that the signer was looked up in, and whether it is old."""
        return trust_lists().sentence() if self.trust_list else ""


def read_credentials(data: bytes, name: Format, *, lists: TrustLists | None = None) -> Credentials:
    """Read and check the Content Credentials of a file of format `name`; never raise on a file's
    account.

    Who signed is looked up in each list alone: the validator takes a certificate of any list that
    it is given for a signer's, also one of an authority for time stamps.

    Args:
        lists: of certificates to trust; by default those that are shipped.
    """
    if not any(mark in data for mark in _MARKS):
        return without_claims("none")
    from c2pa import C2paError  # a native library: not needed to build the page

    lists = lists or trust_lists()
    try:
        # 1. The signer, by C2PA's list, else by the interim one
        report = _validate(data, name, lists.signers)
        if report is None:
            return without_claims("none")
        signer: State = "trusted" if is_listed(report) else "unknown signer"
        if signer == "unknown signer" and lists.interim:
            by_interim = _validate(data, name, lists.interim)
            signer = "interim" if by_interim and is_listed(by_interim) else signer

        # 2. The rest, once more with the authorities for time stamps where one is not known yet
        if lacks_time(report):
            report = _validate(data, name, lists.signers + "\n" + lists.time_stamps) or report
        return _understand(report, signer, lists)
    except C2paError as error:
        if str(error).startswith("Remote"):  # it has no class of its own
            return without_claims("elsewhere")
        return without_claims("unreadable")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        # a manifest may put any shape of JSON where a text is expected
        return without_claims("unreadable")


def _validate(data: bytes, name: Format, anchors: str) -> dict[str, Any] | None:
    """Return the validator's report; None where there are no credentials.

    Args:
        anchors: certificates to trust, as PEM.
    """
    from c2pa import Context, Reader

    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        "trust": {"trust_anchors": anchors},
    }
    with Context.from_dict(settings) as context:
        reader = Reader.try_create(MIME[name], io.BytesIO(data), context=context)
        if reader is None:
            return None
        with reader:
            report: dict[str, Any] = json.loads(reader.json())
            return report


def without_claims(state: State) -> Credentials:
    """Return credentials that say no more than their state."""
    return Credentials(state, _(SENTENCES[state]))


def _understand(report: dict[str, Any], signer: State, lists: TrustLists) -> Credentials:
    """Return what the validator's report says.

    Args:
        signer: the state if they are intact.
    """
    # 1. The state
    problems = read_problems(report)
    validity = report.get("validation_state")
    if validity == "Trusted":
        state = signer
    elif validity == "Valid":
        state = signer if signer != "trusted" else "unknown signer"
    else:
        state = "invalid" if any(problem.broken for problem in problems) else "unvalidated"

    # 2. The claims: of the active manifest, then of earlier versions and parts
    manifests: dict[str, Any] = report["manifests"]
    active = manifests[report["active_manifest"]]
    source_types = _source_types(active, OWN)
    for manifest in list(manifests.values())[:MAX_MANIFESTS]:
        if manifest is not active:
            source_types += _source_types(manifest, OTHERS)

    # 3. Who signed
    signature = active.get("signature_info") or {}
    names = (signature.get("common_name"), signature.get("issuer"))
    return Credentials(
        state,
        _(SENTENCES[state]),
        signer=clean(", ".join(str(name) for name in names if name), limit=120),
        organisation=clean(str(signature.get("issuer") or ""), limit=60),
        generator=_generator(active),
        agents=_agents(active),
        signed=clean(str(signature.get("time") or ""), limit=40),
        is_time_listed=has_listed_time(report),
        actions=tuple(
            dict.fromkeys(
                clean(str(action.get("action", "")), limit=60) for action in _actions(active)
            )
        )[:20],
        source_types=tuple(dict.fromkeys(source_types)),
        problems=problems if state in ("invalid", "unvalidated") else (),
        trust_list=lists.issued.isoformat(),
    )


def _generator(manifest: dict[str, Any]) -> str:
    """Return name and version of the program that wrote a manifest's claim."""
    info = manifest.get("claim_generator_info") or []
    first = info[0] if isinstance(info, list) and info else {}
    text = f"{first.get('name', '')} {first.get('version', '')}".strip() or str(
        manifest.get("claim_generator") or ""
    )
    return clean(text, limit=120)


def _agents(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Return the programs that a manifest's actions name, such as "GPT-4o" or "Adobe Firefly".

    Google's name none, but describe themselves: "Created by Google Generative AI."
    """
    names = []
    for action in _actions(manifest):
        agent = action.get("softwareAgent") or ""
        names.append(agent.get("name", "") if isinstance(agent, dict) else agent)
        description = _MAKER.match(str(action.get("description", ""))[:200])
        names.append(description[1] if description else "")
    return tuple(dict.fromkeys(clean(str(name), limit=80) for name in names if name))[:10]


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        action
        for assertion in (manifest.get("assertions") or [])[:200]
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in (assertion.get("data") or {}).get("actions", [])[:200]
    ]


def _source_types(manifest: dict[str, Any], where: str) -> list[SourceType]:
    """Return the source types of all actions, and of other assertions that carry the field, as
    IPTC's and CAWG's metadata do."""
    values = [action.get("digitalSourceType") for action in _actions(manifest)]
    for assertion in (manifest.get("assertions") or [])[:200]:
        data = assertion.get("data")
        if isinstance(data, dict):
            values += [
                value
                for name, value in data.items()
                if name.rpartition(":")[2].lower() == "digitalsourcetype"
            ]
    claims = (source_type(where, str(value)) for value in values if value)
    return [claim for claim in claims if claim]
