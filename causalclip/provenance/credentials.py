"""Content Credentials (C2PA): whether there are any, whether they hold, and what they claim;
nothing is ever fetched.

Who signed is decided by the trust list alone. The name in a certificate is free text that anybody
can choose."""

import io
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from causalclip.images.formats import Format
from causalclip.languages import N_, _
from causalclip.paths import shipped_folder
from causalclip.text import clean

Kind = Literal["generated", "part generated", "captured", "copied", "made", "unknown"]

_TYPES: dict[str, tuple[Kind, str]] = {
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

    where: "XMP", "Content Credentials" or "Content Credentials of an earlier version or a part".
    code: of the vocabulary, as found. kind: what it amounts to; "copied" from a screen or a print,
    which may have shown a generated picture. words: completes "says that it was ...".
    """

    where: str
    code: str
    kind: Kind
    words: str


def source_type(where: str, value: str) -> SourceType | None:
    """The claim that a vocabulary address or a bare code makes; None for what is not of the
    vocabulary."""
    code = value.strip().rstrip("/").rpartition("/")[2]
    if code not in _TYPES:
        return None
    kind, words = _TYPES[code]
    return SourceType(where, code, kind, words)


State = Literal[
    "none", "trusted", "unknown signer", "invalid", "unvalidated", "elsewhere", "unreadable"
]

TRUST_LIST = shipped_folder("assets") / "trust" / "c2pa-trust-list.pem"
MAX_MANIFESTS = 50
CHANGED = {  # C2PA's codes for what is no longer as it was signed
    "assertion.dataHash.mismatch",
    "assertion.bmffHash.mismatch",
    "assertion.boxesHash.mismatch",
    "assertion.collectionHash.mismatch",
    "assertion.hashedURI.mismatch",
    "claimSignature.mismatch",
}
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
    "invalid": N_(
        "The file carries Content Credentials that do not hold: the picture or the credentials "
        "were changed after signing, or the signature is not valid. Do not rely on anything that "
        "they say."
    ),
    "unvalidated": N_(
        "The file carries Content Credentials that could not be validated, for example because a "
        "certificate has expired. Nothing proves what they say: anybody could have written it."
    ),
    "elsewhere": N_(
        "The file says that its Content Credentials are kept at an address on the internet. "
        "Nothing is fetched here, so they were not checked."
    ),
    "unreadable": N_("There may be Content Credentials in the file, but they could not be read."),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What C2PA's reader found. All texts are the file's own claims, cleaned, not escaped.

    state: "invalid" if file or credentials were changed after signing, "unvalidated" if they failed
    otherwise.
    signer: the names in the certificate. organisation: the one that it was issued to. agents: the
    programs that its actions name, also in words. generator: the program that wrote the claim.
    signed: when, by a time stamp. source_types: of the active manifest first, then of earlier
    versions and parts. actions: of the active manifest. problems: codes of what failed.
    """

    state: State
    sentence: str
    signer: str = ""
    organisation: str = ""
    agents: tuple[str, ...] = ()
    generator: str = ""
    signed: str = ""
    actions: tuple[str, ...] = ()
    source_types: tuple[SourceType, ...] = ()
    problems: tuple[str, ...] = ()


def read_credentials(data: bytes, name: Format, *, anchors: str | None = None) -> Credentials:
    """Reads and checks the Content Credentials of a file of format `name`; never raises on a file's
    account.

    Args:
        anchors: certificates to trust, as PEM; by default C2PA's trust list as it is shipped.
    """
    if not any(mark in data for mark in _MARKS):
        return without_claims("none")
    from c2pa import C2paError, Context, Reader  # a native library: not needed to build the page

    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        "trust": {"trust_anchors": trust_list() if anchors is None else anchors},
    }
    try:
        with Context.from_dict(settings) as context:
            reader = Reader.try_create(MIME[name], io.BytesIO(data), context=context)
            if reader is None:
                return without_claims("none")
            with reader:
                report = reader.json()
    except C2paError as error:
        if str(error).startswith("Remote"):  # it has no class of its own
            return without_claims("elsewhere")
        return without_claims("unreadable")
    try:
        return _understand(json.loads(report))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        # a manifest may put any shape of JSON where a text is expected
        return without_claims("unreadable")


@lru_cache(maxsize=1)
def trust_list() -> str:
    """C2PA's trust list as it is shipped, PEM; assets/trust/README.md says of which date."""
    return TRUST_LIST.read_text(encoding="utf-8")


def without_claims(state: State) -> Credentials:
    """Credentials that say no more than their state."""
    return Credentials(state, _(SENTENCES[state]))


def _understand(report: dict[str, Any]) -> Credentials:
    manifests: dict[str, Any] = report["manifests"]
    active = manifests[report["active_manifest"]]
    found: dict[str, State] = {
        "Trusted": "trusted",
        "Valid": "unknown signer",
        "Invalid": "invalid",
    }
    state = found.get(report.get("validation_state", ""), "unreadable")
    failed = _failed(report)
    if state == "invalid" and not CHANGED.intersection(failed):
        state = "unvalidated"
    signature = active.get("signature_info") or {}
    names = (signature.get("common_name"), signature.get("issuer"))
    others = [m for m in list(manifests.values())[:MAX_MANIFESTS] if m is not active]
    types = [*_types(active, OWN), *(t for m in others for t in _types(m, OTHERS))]
    return Credentials(
        state,
        _(SENTENCES[state]),
        signer=clean(", ".join(str(n) for n in names if n), limit=120),
        organisation=clean(str(signature.get("issuer") or ""), limit=60),
        generator=_generator(active),
        agents=_agents(active),
        signed=clean(str(signature.get("time") or ""), limit=40),
        actions=tuple(
            dict.fromkeys(clean(str(a.get("action", "")), limit=60) for a in _actions(active))
        )[:20],
        source_types=tuple(dict.fromkeys(types)),
        problems=tuple(dict.fromkeys(clean(code, limit=60) for code in failed[:20])),
    )


def _generator(manifest: dict[str, Any]) -> str:
    info = manifest.get("claim_generator_info") or []
    first = info[0] if isinstance(info, list) and info else {}
    text = f"{first.get('name', '')} {first.get('version', '')}".strip() or str(
        manifest.get("claim_generator") or ""
    )
    return clean(text, limit=120)


def _agents(manifest: dict[str, Any]) -> tuple[str, ...]:
    """The programs that its actions name, such as "GPT-4o" or "Adobe Firefly".

    Google's name none, but describe themselves: "Created by Google Generative AI."
    """
    names = []
    for action in _actions(manifest):
        agent = action.get("softwareAgent") or ""
        names.append(agent.get("name", "") if isinstance(agent, dict) else agent)
        described = _MAKER.match(str(action.get("description", ""))[:200])
        names.append(described[1] if described else "")
    return tuple(dict.fromkeys(clean(str(name), limit=80) for name in names if name))[:10]


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        action
        for assertion in (manifest.get("assertions") or [])[:200]
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in (assertion.get("data") or {}).get("actions", [])[:200]
    ]


def _types(manifest: dict[str, Any], where: str) -> list[SourceType]:
    """Of all actions; and of other assertions that carry the field, as IPTC's and CAWG's metadata
    do."""
    values = [action.get("digitalSourceType") for action in _actions(manifest)]
    for assertion in (manifest.get("assertions") or [])[:200]:
        data = assertion.get("data")
        if isinstance(data, dict):
            values += [
                v for k, v in data.items() if k.rpartition(":")[2].lower() == "digitalsourcetype"
            ]
    return [t for t in (source_type(where, str(v)) for v in values if v) if t]


def _failed(report: dict[str, Any]) -> list[str]:
    """C2PA's codes of what failed, but for that the signer is unknown, which is a state of its
    own."""
    failures = ((report.get("validation_results") or {}).get("activeManifest") or {}).get(
        "failure"
    ) or []
    codes = (str(failure.get("code", "")) for failure in failures)
    return [code for code in codes if code != "signingCredential.untrusted"]
