"""Lists of trusted certificates, and what the validator's codes are said to mean."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from cryptography import x509

from causalclip.examination.headline import make_headline, next_steps
from causalclip.languages import _
from causalclip.provenance.claims import find_claims
from causalclip.provenance.credentials import Credentials, read_credentials
from causalclip.provenance.result import Provenance
from causalclip.provenance.trust import MAX_AGE, trust_lists
from causalclip.provenance.validation import (
    NOT_COMPARED,
    REASONS,
    Problem,
    has_listed_time,
    read_problems,
)
from causalclip.report.card import provenance_panel
from tests.makers.metadata_files import Authority, created, make_authority, sign
from tests.makers.pictures import encode, photo


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority()


@pytest.fixture(scope="module")
def signed(authority: Authority) -> bytes:
    return sign(encode(photo(), "JPEG"), authority, created("trainedAlgorithmicMedia"))


def report(state: str, *failures: tuple[str, str], parts: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the validator says."""
    return {
        "validation_state": state,
        "validation_results": {
            "activeManifest": {
                "failure": [{"code": code, "explanation": words} for code, words in failures]
            },
            "ingredientDeltas": [
                {"validationDeltas": {"failure": [{"code": code} for code in parts]}}
            ],
        },
    }


def test_lists_hold_authorities_alone() -> None:
    lists = trust_lists()
    for pem, count in ((lists.signers, 30), (lists.time_stamps, 22)):
        certificates = x509.load_pem_x509_certificates(pem.encode())
        assert len(certificates) == count
        for certificate in certificates:
            assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_list_says_its_day_and_that_it_is_old_only_when_it_is() -> None:
    lists = replace(trust_lists(), issued=date(2026, 8, 21))
    last = lists.issued + timedelta(days=MAX_AGE)
    assert lists.sentence(last) == "It was checked against C2PA's trust list of 21 August 2026."
    assert "more than 180 days old" in lists.sentence(last + timedelta(days=1))


def test_authority_for_time_stamps_signs_no_picture(signed: bytes, authority: Authority) -> None:
    """The validator itself takes any certificate that it is given for a signer's."""
    lists = replace(
        trust_lists(), signers=make_authority().root, time_stamps=authority.root, interim=""
    )
    assert read_credentials(signed, "JPEG", lists=lists).state == "unknown signer"


def test_signer_on_the_interim_list_alone_is_no_trusted_signer(
    signed: bytes, authority: Authority
) -> None:
    others = make_authority().root
    lists = replace(trust_lists(), signers=others, interim=authority.root)
    credentials = read_credentials(signed, "JPEG", lists=lists)
    assert credentials.state == "interim"
    marks = tuple(find_claims(credentials, ()))
    found = Provenance(credentials, marks=marks)
    headline = make_headline(found, "likely generated")
    assert headline.source == "file"
    assert headline.proved.startswith("Nothing by C2PA's list")
    assert "interim list" in provenance_panel(found)
    both = replace(lists, signers=authority.root)
    assert read_credentials(signed, "JPEG", lists=both).state == "trusted"


def test_page_says_the_day_of_the_list_where_somebody_signed(
    signed: bytes, authority: Authority
) -> None:
    credentials = read_credentials(signed, "JPEG")
    assert credentials.trust_list == trust_lists().issued.isoformat()
    assert "trust list of 21 August 2026" in provenance_panel(Provenance(credentials))


@pytest.mark.parametrize("code", sorted(REASONS))
def test_changed_is_said_only_where_the_code_means_it(code: str) -> None:
    (problem,) = read_problems(report("Invalid", (code, "why")))
    means_it = code.startswith(("assertion.", "hashedURI")) and code.endswith("Hash.mismatch")
    means_it |= code in ("hashedURI.mismatch", "assertion.hashedURI.mismatch")
    assert problem.changed == means_it
    assert ("changed after signing" in problem.reason) == means_it


@pytest.mark.parametrize(
    ("code", "explanation"),
    [
        ("assertion.dataHash.mismatch", f"{NOT_COMPARED} does not match the manifest"),
        ("claimSignature.mismatch", "claim signature is not valid"),
        ("signingCredential.invalid", "certificate params incorrect"),
        ("signingCredential.expired", "certificate expired"),
        ("something.new", "a code of tomorrow"),
    ],
)
def test_other_failures_are_no_change_anywhere_on_the_page(code: str, explanation: str) -> None:
    problems = read_problems(report("Invalid", (code, explanation)))
    state = "invalid" if problems[0].broken else "unvalidated"
    found = Provenance(Credentials(state, _("."), problems=problems, trust_list="2026-08-21"))
    headline = make_headline(found, "inconclusive")
    steps = next_steps(headline, "inconclusive", found, ())
    told = f"{provenance_panel(found)} {headline} {steps}"
    assert "changed" not in told
    assert code in told
    assert explanation in told
    assert ("expired" in told) == (code == "signingCredential.expired")


def test_failure_of_a_part_is_told_as_one_of_a_part() -> None:
    (problem,) = read_problems(report("Invalid", parts=("assertion.hashedURI.mismatch",)))
    assert problem == Problem(
        "assertion.hashedURI.mismatch",
        "",
        "Of an earlier version or a part: What the credentials say was changed after signing.",
    )


def test_unknown_signer_alone_is_no_problem() -> None:
    untrusted = ("signingCredential.untrusted", "signing certificate untrusted")
    assert read_problems(report("Valid", untrusted)) == ()


@pytest.mark.parametrize("is_listed", [True, False])
def test_only_the_time_of_a_listed_authority_is_confirmed(is_listed: bool) -> None:
    """Whatever is known of the signer."""
    code = "timeStamp.trusted" if is_listed else "timeStamp.untrusted"
    found = report("Trusted")
    found["validation_results"]["activeManifest"]["success"] = [{"code": code}]
    assert has_listed_time(found) == is_listed
    credentials = Credentials(
        "trusted", _("."), signer="A", signed="2026-01-01", is_time_listed=has_listed_time(found)
    )
    panel = provenance_panel(Provenance(credentials))
    assert panel.count("(confirmed)") == 1 + is_listed
    assert panel.count("(not confirmed)") == 1 - is_listed
