"""Nothing that a file says of a generator is silent in the headline: every reader, every key."""

from dataclasses import replace

import pytest

from causalclip.examination.answer import Origin
from causalclip.examination.headline import make_headline
from causalclip.marks.mark import CERTAINTIES, Mark
from causalclip.marks.rules import RULES
from causalclip.provenance import metadata
from causalclip.provenance.claims import find_claims
from causalclip.provenance.credentials import OWN, Credentials, State, without_claims
from causalclip.provenance.reading import read_stepwise
from causalclip.provenance.result import Provenance
from causalclip.provenance.source_types import SourceType, source_type
from causalclip.provenance.validation import Problem
from tests.makers.metadata_files import (
    exif_block,
    jpeg_exif,
    jpeg_iptc,
    jpeg_with,
    jpeg_xmp,
    png_texts,
    xmp,
)
from tests.makers.pictures import segment

GRAPH = '{"4": {"inputs": {"name": "a"}, "class_type": "KSampler"}}'
ESCAPED = GRAPH.replace('"', "&quot;")
EARLIER = "Content Credentials of an earlier version or a part"


def told(code: str, where: str = OWN) -> SourceType:
    found = source_type(where, code)
    assert found
    return found


def files() -> dict[str, bytes]:
    """A file for every key that is read, which holds a generator's workflow there."""
    found = {}
    for tag in (*metadata._EXIF, metadata.USER_COMMENT):
        found[f"EXIF {tag}"] = jpeg_exif(exif_block({tag: GRAPH.encode()}))
    for tag in metadata._EXIF_MORE:
        value = b"ASCII\0\0\0" + GRAPH.encode()
        found[f"EXIF, inner {tag}"] = jpeg_exif(exif_block({}, inner={tag: value}))
    for key in (*metadata._XMP, *metadata._MARKS):
        found[f"XMP {key}"] = jpeg_xmp(xmp(elements=f"<xmp:{key}>{ESCAPED}</xmp:{key}>"))
    for number in metadata._IPTC:
        found[f"IPTC {number}"] = jpeg_iptc({number: GRAPH.encode()})
    for key in ("prompt", "workflow", "parameters", "Comment", "anything"):
        found[f"PNG {key}"] = png_texts((key, GRAPH))
    found["JPEG comment"] = jpeg_with(segment(0xFE, GRAPH.encode()))
    return found


FILES = files()


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_key_that_is_read_is_heard(name: str) -> None:
    *_, found = read_stepwise(FILES[name], "PNG" if name.startswith("PNG") else "JPEG")
    headline = make_headline(found, "likely not generated")
    assert headline.source == "file", found
    assert "ComfyUI" in headline.claimed or found.claimed_marks[0].generator != "ComfyUI"


@pytest.mark.parametrize("state", ["unknown signer", "unvalidated", "invalid"])
@pytest.mark.parametrize(
    ("types", "agents", "program", "says"),
    [
        ((told("trainedAlgorithmicMedia"),), ("Flux.1-pro",), "Black Forest Labs API", "is"),
        ((told("trainedAlgorithmicMedia"),), ("Google Generative AI",), "Google C2PA", "is"),
        ((told("trainedAlgorithmicMedia", EARLIER),), (), "ChatGPT", "is"),
        ((told("compositeWithTrainedAlgorithmicMedia"),), (), "Adobe_Firefly", "in part"),
        ((told("trainedAlgorithmicMedia", EARLIER),), (), "Adobe Photoshop 26", "in part"),
    ],
)
def test_credentials_that_are_not_validated_are_headlined_as_such(
    state: State, types: tuple[SourceType, ...], agents: tuple[str, ...], program: str, says: str
) -> None:
    changed = Problem(
        "assertion.dataHash.mismatch", "", "It was changed after signing.", True, True
    )
    credentials = Credentials(
        state,
        "",
        agents=agents,
        generator=program,
        source_types=types,
        problems=(changed,) if state == "invalid" else (),
    )
    (mark,) = find_claims(credentials, ())
    assert (mark.certainty, mark.says) == ("not validated", says)
    headline = make_headline(Provenance(credentials, marks=(mark,)), "likely not generated")
    assert headline.source == "file"
    assert "not validated" in headline.claimed
    assert ("changed after signing" in headline.claimed) == (state == "invalid")
    expected = Origin.FILE_NOT_VALIDATED if says == "is" else Origin.FILE_PART_GENERATED
    assert headline.origin is expected


@pytest.mark.parametrize("state", ["trusted", "unknown signer", "unvalidated", "invalid"])
def test_a_generator_that_signs_without_a_word_is_heard_until_the_file_is_changed(
    state: State,
) -> None:
    credentials = Credentials(state, "", generator="Microsoft Responsible AI Image Provenance")
    marks = tuple(find_claims(credentials, ()))
    assert [mark.generator for mark in marks] == (["Microsoft"] if state != "invalid" else [])
    headline = make_headline(Provenance(credentials, marks=marks), "likely not generated")
    assert (headline.source == "pixels") == (state in ("invalid", "trusted"))


@pytest.mark.parametrize("state", ["trusted", "unknown signer", "unvalidated", "invalid"])
def test_credentials_of_a_camera_or_an_editor_claim_no_generator(state: State) -> None:
    for code, program in (("digitalCapture", "NIKON Z 9"), ("humanEdits", "Adobe Photoshop 26")):
        credentials = Credentials(state, "", generator=program, source_types=(told(code),))
        assert list(find_claims(credentials, ())) == []


def test_a_signature_that_holds_is_a_signed_mark() -> None:
    types = (told("trainedAlgorithmicMedia"),)
    credentials = Credentials("trusted", "", agents=("GPT-4o",), source_types=types)
    (mark,) = find_claims(credentials, ())
    assert (mark.generator, mark.certainty) == ("OpenAI", "signed")
    assert make_headline(Provenance(credentials, marks=(mark,)), None).source == "signature"


def test_the_strongest_mark_makes_the_headline() -> None:
    marks = [Mark(f"G{n}", "somewhere", certainty=c) for n, c in enumerate(CERTAINTIES)]
    provenance = Provenance(without_claims("none"), marks=tuple(reversed(marks)))
    said = [mark.certainty for mark in provenance.claimed_marks]
    assert said == ["not validated", "declared", "stamped"]
    assert "G1" in make_headline(provenance, None).claimed

    edited = Mark("E", "XMP, Credit", certainty="not validated", edited=True)
    both = replace(provenance, marks=(edited, marks[2]))
    assert make_headline(both, None).title == "The file says it was generated"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.generator}, {rule.keys[0]}")
def test_every_rule_looks_at_keys_that_a_reader_writes(rule: object) -> None:
    names = {*metadata._EXIF.values(), *metadata._EXIF_MORE.values(), *metadata._IPTC.values()}
    names |= {*metadata._XMP.values(), *metadata._MARKS, "comment", "parameters", "crft"}
    names |= {"usercomment", "flux:model"}  # of PNG texts
    assert {name.lower() for name in names} & set(rule.keys)  # type: ignore[attr-defined]
