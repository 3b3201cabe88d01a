"""What a file says about itself, and Content Credentials: read, bounded, and never trusted for a
name."""

import io
import json
import socket
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from causalclip.examination.cautions import with_history
from causalclip.examination.headline import make_headline, next_steps
from causalclip.examination.schema import ProvenanceSchema
from causalclip.images.loading import load_image
from causalclip.provenance.containers import read_blocks
from causalclip.provenance.credentials import read_credentials
from causalclip.provenance.reading import read_provenance
from causalclip.provenance.result import Provenance
from causalclip.provenance.trust import TrustLists, trust_lists
from causalclip.report.card import provenance_panel
from tests.makers.metadata_files import (
    SOURCE,
    Authority,
    created,
    exif_block,
    jpeg_exif,
    jpeg_iptc,
    jpeg_xmp,
    make_authority,
    png_texts,
    sign,
    xmp,
)
from tests.makers.pictures import chunk, encode, photo, photograph
from tests.serving import until

CAMERA = {
    271: b"Canon",
    272: b"EOS R5",
    305: b"Lightroom 9",
    306: b"2026:05:02 10:00:00",
    315: b"A. Person",
}
TAKEN = {36867: b"2026:05:01 09:30:00\0", 42036: b"RF50mm\0"}


def said(p: Provenance) -> dict[str, str]:
    return {f"{f.where} {f.name}": f.value for f in p.fields}


def test_exif_is_read_in_short_and_the_place_only_on_demand() -> None:
    p = read_provenance(
        jpeg_exif(exif_block(CAMERA, inner=TAKEN, gps=(-33.8567, 151.2153))), "JPEG"
    )
    fields = said(p)
    assert fields["EXIF Camera"] == "EOS R5"
    assert fields["EXIF Software"] == "Lightroom 9"
    assert fields["EXIF Taken"] == "2026:05:01 09:30:00"
    assert fields["EXIF Lens"] == "RF50mm"
    assert p.place == pytest.approx((-33.8567, 151.2153), abs=1e-4)
    assert ProvenanceSchema.dump(p)["place"] is None
    assert ProvenanceSchema.dump(p)["has_place"]
    assert "33.85" not in json.dumps(ProvenanceSchema.dump(p))
    assert "names a camera" in p.summary


@pytest.mark.parametrize("name", ["PNG", "WebP", "AVIF", "HEIC", "TIFF"])
def test_exif_and_xmp_of_every_container(name: str) -> None:
    packet = xmp(f'Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia"')
    exif = Image.Exif()
    exif[271], exif[272] = "Canon", "EOS R5"
    options = {"exif": exif.tobytes(), "xmp": packet}
    if name == "PNG":
        data = encode(photo(), name, exif=options["exif"])
        data = data[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet) + data[33:]
    elif name == "TIFF":
        data = encode(photo(), name, tiffinfo={271: "Canon", 272: "EOS R5", 700: packet})
    else:
        data = encode(photo(), name, **options)
    p = read_provenance(data, name)  # type: ignore[arg-type]
    assert said(p)["EXIF Camera"] == "EOS R5"
    assert [t.code for t in p.source_types] == ["trainedAlgorithmicMedia"]
    assert p.summary == "The file itself says that the picture was made by a generative AI model."


def test_iptc_credit_of_a_generator() -> None:
    p = read_provenance(jpeg_iptc({110: b"Made with Google AI", 80: "Zoë".encode()}), "JPEG")
    assert said(p)["IPTC Artist"] == "Zoë"
    assert [m.generator for m in p.marks] == ["Google AI"]


@pytest.mark.parametrize(
    "data",
    [
        jpeg_iptc({110: b"OpenAI/Handout via REUTERS"}),
        jpeg_iptc({115: b"Midjourney", 110: b"Not made with Google AI"}),
        jpeg_xmp(xmp('photoshop:Credit="Photo: OpenAI"')),
        jpeg_exif(exif_block({271: b"Firefly", 272: b"8S", 316: b"grok"})),
    ],
    ids=["IPTC credit", "IPTC source", "XMP credit", "EXIF maker"],
)
def test_who_is_credited_is_no_mark(data: bytes) -> None:
    p = read_provenance(data, "JPEG")
    assert p.fields
    assert p.marks == ()


A1111 = (
    "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: "
    "512x512, Model: sd15"
)
INVOKE = json.dumps({"nodes": [{"type": "invocation", "data": {"type": "noise"}}], "edges": []})
NODE = {"id": 3, "type": "KSampler", "inputs": []}
WORKFLOW = json.dumps({"last_node_id": 3, "last_link_id": 0, "nodes": [NODE], "links": []})
COMFY = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})


@pytest.mark.parametrize(
    ("key", "value", "generator"),
    [
        ("parameters", A1111, "Stable Diffusion web UI"),
        ("prompt", COMFY, "ComfyUI"),
        ("workflow", WORKFLOW, "ComfyUI"),
        ("invokeai_metadata", '{"generation_mode": "txt2img", "seed": 1}', "InvokeAI"),
        ("sd-metadata", '{"app_id": "invoke-ai/InvokeAI", "image": {}}', "InvokeAI"),
        ("invokeai_graph", '{"id": "0f1e", "nodes": {}, "edges": []}', "InvokeAI"),
        ("invokeai_workflow", INVOKE, "InvokeAI"),
        ("workflow", INVOKE, "InvokeAI"),
        ("Dream", '"a cat" -s 50 -S 1234 -W 512 -H 512 -C 7.5 -A k_lms', "InvokeAI"),
        ("Software", "NovelAI", "NovelAI"),
        (
            "Description",
            "a cat --ar 3:2 --v 6 Job ID: 0f1e2d3c-0a1b-4c2d-8e3f-001122334455",
            "Midjourney",
        ),
        ("Software", "DALL·E 3", "DALL-E"),
        ("parameters", json.dumps({"sui_image_params": {}}), "SwarmUI"),
        ("fooocus_scheme", "fooocus", "Fooocus"),
    ],
)
def test_marks_of_generators_in_png_texts(key: str, value: str, generator: str) -> None:
    kind = (b"tEXt", b"zTXt", b"iTXt")[len(key) % 3]
    p = read_provenance(png_texts((key, value), kind=kind), "PNG")
    assert [m.generator.split(" (")[0] for m in p.marks] == [generator]
    assert "mark of an image generator" in p.summary


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Dream", "I had one, of a cat"),
        ("Workflow", "Two nodes and edges, retouched by hand after an invocation"),
        ("Description", '{"type": "invocation", "song": "of the muses"}'),
    ],
)
def test_what_only_sounds_like_invokeai_is_no_mark(key: str, value: str) -> None:
    assert read_provenance(png_texts((key, value)), "PNG").marks == ()


COMMENT, DESCRIPTION, XP_COMMENT = "UserComment", "ImageDescription", "XPComment"
LITTLE, BIG = "utf-16-le", "utf-16-be"
ENCODINGS = [
    pytest.param(COMMENT, b"UNICODE\0", LITTLE, id="Unicode, little endian"),
    pytest.param(COMMENT, b"UNICODE\0", BIG, id="Unicode, big endian"),
    pytest.param(COMMENT, b"UNICODE\0\xfe\xff", BIG, id="Unicode, with a mark"),
    pytest.param(COMMENT, b"UNICODE\0", "utf-8", id="Unicode, in fact UTF-8"),
    pytest.param(COMMENT, b"ASCII\0\0\0", "utf-8", id="ASCII, in fact UTF-8"),
    pytest.param(COMMENT, b"ASCII\0\0\0", LITTLE, id="ASCII, in fact UTF-16"),
    pytest.param(COMMENT, bytes(8), "utf-8", id="undefined, UTF-8"),
    pytest.param(COMMENT, bytes(8), BIG, id="undefined, UTF-16"),
    pytest.param(COMMENT, b"", "utf-8", id="no code, UTF-8"),
    pytest.param(COMMENT, b"", LITTLE, id="no code, little endian"),
    pytest.param(COMMENT, b"", BIG, id="no code, big endian"),
    pytest.param(DESCRIPTION, b"UNICODE\0", BIG, id="description, Unicode"),
    pytest.param(DESCRIPTION, b"", LITTLE, id="description, UTF-16"),
    pytest.param(XP_COMMENT, b"", LITTLE, id="XPComment"),
    pytest.param(XP_COMMENT, b"", "utf-8", id="XPComment, in fact UTF-8"),
]


def commented(place: str, raw: bytes) -> Provenance:
    """What is read of a JPEG with a text in that tag."""
    if place == COMMENT:
        return read_provenance(jpeg_exif(exif_block({}, inner={37510: raw})), "JPEG")
    tag = {DESCRIPTION: 270, XP_COMMENT: 40092}[place]
    return read_provenance(jpeg_exif(exif_block({tag: raw})), "JPEG")


@pytest.mark.parametrize(("place", "code", "encoding"), ENCODINGS)
@pytest.mark.parametrize("prompt", ["a cat", "一只猫在窗边看雨，café"])
def test_settings_are_read_whatever_their_encoding(
    place: str, code: bytes, encoding: str, prompt: str
) -> None:
    settings = A1111.replace("a cat", prompt)
    found = commented(place, code + settings.encode(encoding))
    assert [mark.generator.split(" (")[0] for mark in found.marks] == ["Stable Diffusion web UI"]
    assert [field.value for field in found.fields] == [" ".join(settings.split())]


@pytest.mark.parametrize("code", [b"ASCII\0\0\0", bytes(8), b""])
@pytest.mark.parametrize(
    ("prompt", "encoding"),
    [
        ("一只猫在窗边看雨", "gbk"),
        ("窓の外を見ている猫", "shift_jis"),
        ("un café à Málaga", "latin-1"),
    ],
)
def test_marks_are_found_behind_words_in_an_older_encoding(
    code: bytes, prompt: str, encoding: str
) -> None:
    settings = A1111.replace("a cat", prompt).encode(encoding)
    (mark,) = commented(COMMENT, code + settings).marks
    assert mark.generator.startswith("Stable Diffusion web UI")
    label = json.dumps({"AIGC": {"Label": "1", "ContentProducer": prompt}}, ensure_ascii=False)
    (mark,) = commented(COMMENT, code + label.encode(encoding)).marks
    assert (mark.kind, mark.says) == ("label", "is")


@pytest.mark.parametrize(("place", "code", "encoding"), ENCODINGS)
def test_a_label_names_hunyuan_in_any_encoding(place: str, code: bytes, encoding: str) -> None:
    label = json.dumps({"AIGC": {"Label": "1", "ContentProducer": "腾讯混元"}}, ensure_ascii=False)
    (mark,) = commented(place, code + label.encode(encoding)).marks
    assert (mark.generator, mark.kind, mark.says) == ("Tencent Hunyuan", "label", "is")


@pytest.mark.parametrize("code", [b"ASCII\0\0\0", bytes(8), b""])
def test_a_label_in_gbk_names_hunyuan(code: bytes) -> None:
    label = json.dumps({"AIGC": {"Label": "1", "ContentProducer": "腾讯混元"}}, ensure_ascii=False)
    (mark,) = commented(COMMENT, code + label.encode("gbk")).marks
    assert (mark.generator, mark.kind, mark.says) == ("Tencent Hunyuan", "label", "is")


@pytest.mark.parametrize(("place", "code", "encoding"), ENCODINGS)
def test_a_caption_about_a_generator_is_no_mark_in_any_encoding(
    place: str, code: bytes, encoding: str
) -> None:
    caption = "Zoë at a show of Midjourney and Stable Diffusion. Steps: up to the café, Seed: none"
    found = commented(place, code + caption.encode(encoding))
    assert [field.value for field in found.fields] == [caption]
    assert found.marks == ()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Canon" + bytes(20), "Canon"),
        (b"OLYMPUS DIGITAL CAMERA\0junk", "OLYMPUS DIGITAL CAMERA"),
        (b"ASCII\0\0\0" + bytes(40), None),
        (bytes(64), None),
        (b"UNICODE\0" + "雨中的猫".encode(LITTLE), "雨中的猫"),
        (b"UNICODE\0\xfe\xff" + "雨中的一只猫".encode(BIG), "雨中的一只猫"),
        (b"UNICODE\0" + "雨中的猫和狗在花园里玩耍 A1".encode(BIG), "雨中的猫和狗在花园里玩耍 A1"),
        (
            b"UNICODE\0" + "窓の外を見ている猫と雨の降る庭".encode(LITTLE),
            "窓の外を見ている猫と雨の降る庭",
        ),
    ],
)
def test_what_cameras_and_other_scripts_write_stays_as_it_is(raw: bytes, text: str | None) -> None:
    assert [field.value for field in commented(COMMENT, raw).fields] == ([text] if text else [])


@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        ("cat", ("utf-8", LITTLE, BIG)),
        ("Photo by Ann.", ("utf-8", LITTLE, BIG)),
        ("Málaga, café, été", ("latin-1", "utf-8", LITTLE, BIG)),
        ("Eine Brücke über die Spree bei Köln", ("latin-1", "utf-8", LITTLE, BIG)),
        ("雨中的猫", ("utf-8", LITTLE, BIG)),
        ("一个网络，用被抑", ("utf-8", LITTLE, BIG)),
        ("雨中的猫，一只狗在花园里玩耍。这是人工智能生成的图片", ("utf-8", LITTLE, BIG)),
        ("もう一度お試しください", ("utf-8", LITTLE, BIG)),
        ("비 오는 날의 고양이", ("utf-8", LITTLE, BIG)),
        ("Кіт під дощем", ("utf-8", LITTLE, BIG)),
        ("قط تحت المطر", ("utf-8", LITTLE, BIG)),
        ("बारिश में बिल्ली", ("utf-8", LITTLE, BIG)),
    ],
)
def test_a_comment_is_read_whatever_is_behind_the_label_unicode(
    text: str, encodings: tuple[str, ...]
) -> None:
    for encoding in encodings:
        for end in (b"", b"\0\0"):
            raw = b"UNICODE\0" + text.encode(encoding) + end
            assert [field.value for field in commented(COMMENT, raw).fields] == [text], encoding


def test_a_comment_in_jis_is_read() -> None:
    raw = b"JIS\0\0\0\0\0" + "雨の中の猫".encode("iso2022_jp")
    assert [field.value for field in commented(COMMENT, raw).fields] == ["雨の中の猫"]


def test_a_gifs_comment_and_xmp_are_read() -> None:
    """XMP lies behind an application's name, with a trailer that a chain of sub-blocks ends in."""
    file = io.BytesIO()
    frames = [Image.fromarray(photo(64, 48) // dark) for dark in (1, 2)]
    comment = "AI-generated by Midjourney. " + "x" * 400
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], comment=comment)
    plain = file.getvalue()
    source = f'Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia"'
    packet = xmp(f'xmp:CreatorTool="Painter 3" {source}')
    trailer = bytes([1, *range(255, -1, -1), 0])
    block = b"!\xff\x0bXMP DataXMP" + packet + trailer
    data = plain[:-1] + block + b";"
    assert [field.value for field in read_blocks(plain, "GIF").texts] == [comment]
    blocks = read_blocks(data, "GIF")
    assert blocks.xmp == packet
    assert [field.value for field in blocks.texts] == [comment]
    found = read_provenance(data, "GIF")
    assert said(found) == {"XMP Software": "Painter 3"}
    assert [kind.code for kind in found.source_types] == ["trainedAlgorithmicMedia"]
    # what lies behind the trailer is no part of it, and what is cut short costs nothing else
    assert not read_blocks(plain + block, "GIF").xmp
    assert read_blocks(data[:-300], "GIF").texts == blocks.texts


def test_bytes_outside_of_the_container_are_not_read() -> None:
    marked = png_texts(("parameters", A1111))
    only_chunk = marked[33 : marked.index(b"IDAT") - 4]
    plain = encode(photo(), "PNG")
    jpeg = encode(photo(), "JPEG")
    assert read_provenance(plain + only_chunk, "PNG").marks == ()
    assert read_provenance(jpeg + only_chunk + A1111.encode(), "JPEG").marks == ()
    assert read_provenance(jpeg + jpeg_exif(exif_block({305: b"NovelAI"})), "JPEG").marks == ()
    broken = bytearray(marked)
    broken[40] ^= 1  # the chunk's checksum no longer fits
    assert read_provenance(bytes(broken), "PNG").marks == ()


def test_control_characters_and_turned_text_are_dropped() -> None:
    p = read_provenance(
        jpeg_exif(exif_block({272: "EOS\x07 R5\u202egpj.exe\u200b\n2".encode()})), "JPEG"
    )
    assert said(p)["EXIF Camera"] == "EOS R5gpj.exe 2"


# Compression --------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [10, 50, 75, 92, 100])
def test_quality_from_the_tables(quality: int) -> None:
    jpeg = read_provenance(encode(photo(), "JPEG", quality=quality, subsampling=2), "JPEG").jpeg
    assert (jpeg.quality, jpeg.exact, jpeg.chroma) == (quality, True, "4:2:0")


def test_an_earlier_compression_is_found_and_not_made_up() -> None:
    never, once = photograph(history=None), photograph(history=60)
    files = (
        (encode(never, "JPEG", quality=60), "JPEG", None),
        (encode(once, "JPEG", quality=92), "JPEG", 60),
    )
    for data, name, earlier in (
        *files,
        (encode(once, "PNG"), "PNG", 60),
        (encode(never, "PNG"), "PNG", None),
    ):
        pixels = load_image(data).pixels
        found = with_history(read_provenance(data, name), pixels).earlier_quality  # type: ignore[arg-type]
        assert (found is None) == (earlier is None)
        assert earlier is None or found == pytest.approx(earlier, abs=3)


SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority()


@pytest.fixture(scope="module")
def picture() -> bytes:
    return encode(photo(), "JPEG")


def trusting(authority: Authority, **others: str) -> TrustLists:
    """Lists with one signer."""
    return replace(trust_lists(), signers=authority.root, **others)


def test_signer_is_unknown_or_trusted_by_the_list_alone(
    picture: bytes, authority: Authority
) -> None:
    signed = sign(picture, authority, created("digitalCapture"))
    unknown = read_credentials(signed, "JPEG")
    trusted = read_credentials(signed, "JPEG", lists=trusting(authority))
    assert (unknown.state, trusted.state) == ("unknown signer", "trusted")
    assert unknown.signer == trusted.signer == "Test Camera, Test Newsroom"
    assert unknown.generator == "test tool 1"
    assert unknown.actions == ("c2pa.created",)
    assert unknown.problems == ()
    assert (
        read_credentials(signed, "JPEG", lists=trusting(make_authority())).state == "unknown signer"
    )


def test_a_famous_name_is_not_trusted(picture: bytes) -> None:
    imposter = make_authority("Truepic Lens", organisation="Adobe Inc.")
    signed = sign(picture, imposter)
    found = read_credentials(signed, "JPEG")
    assert found.state == "unknown signer"
    assert "Adobe Inc." in found.signer
    drawn = provenance_panel(read_provenance(signed, "JPEG"))
    assert "Calls itself (unverified)" in drawn
    assert "signer unknown" in drawn


def test_changed_pixels_and_changed_claims_are_invalid_and_not_believed(
    picture: bytes, authority: Authority
) -> None:
    signed = sign(picture, authority, created("digitalCapture"))
    pixels = bytearray(signed)
    pixels[-100] ^= 1
    found = read_credentials(bytes(pixels), "JPEG", lists=trusting(authority))
    assert found.state == "invalid"
    assert [problem.code for problem in found.problems] == ["assertion.dataHash.mismatch"]
    assert found.is_changed
    p = read_provenance(bytes(pixels), "JPEG")
    assert p.all_source_types == ()
    assert p.summary.startswith("Its Content Credentials do not hold")
    assert signed.count(b"digitalCapture") == 1
    claim = signed.replace(b"digitalCapture", b"negativeFilmXX")
    assert read_credentials(claim, "JPEG", lists=trusting(authority)).state == "invalid"


def test_a_generated_picture_that_was_changed_after_signing_names_its_generator(
    picture: bytes, authority: Authority
) -> None:
    """As Google's credentials do: by the description of what was done."""
    made = created("trainedAlgorithmicMedia")
    made["data"]["actions"][0]["description"] = "Created by Google Generative AI."
    signed = sign(picture, authority, made)
    assert read_credentials(signed, "JPEG").agents == ("Google Generative AI",)
    pixels = bytearray(signed)
    pixels[-100] ^= 1
    p = read_provenance(bytes(pixels), "JPEG")
    headline = make_headline(p, "likely not generated")
    assert p.credentials.state == "invalid"
    assert (headline.source, headline.name, headline.proved[:7]) == ("file", "Google AI", "Nothing")
    assert "changed after signing" in headline.claimed


def test_credentials_whose_certificate_expired_are_no_sign_of_a_change(picture: bytes) -> None:
    """What they say of a generator stays a claim, as one of an unknown signer is."""
    brief = make_authority(lasting=timedelta(seconds=3))
    signed = sign(picture, brief, created("trainedAlgorithmicMedia"))
    assert until(
        lambda: read_credentials(signed, "JPEG", lists=trusting(brief)).state == "unvalidated"
    )
    p = read_provenance(signed, "JPEG")
    assert p.credentials.state == "unvalidated"
    assert [problem.code for problem in p.credentials.problems] == ["signingCredential.expired"]
    assert "has expired" in p.credentials.reasons
    found = make_headline(p, "likely not generated")
    assert (found.title, found.source) == (
        "Says it was generated; signature not confirmed",
        "file",
    )
    assert found.proved.startswith("Nothing: its Content Credentials could not be validated.")
    assert "which are not validated, say that it was generated" in found.claimed
    steps = next_steps(found, "likely not generated", p, ())
    told = f"{provenance_panel(p)} {found} {steps}"
    assert "changed" not in told
    pixels = bytearray(signed)
    pixels[-100] ^= 1
    assert read_credentials(bytes(pixels), "JPEG").state == "invalid"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("trainedAlgorithmicMedia", "generated"),
        ("compositeWithTrainedAlgorithmicMedia", "part generated"),
    ],
)
def test_assertions_of_ai(picture: bytes, authority: Authority, code: str, kind: str) -> None:
    signed = sign(picture, authority, created(code))
    assert [(t.code, t.kind) for t in read_credentials(signed, "JPEG").source_types] == [
        (code, kind)
    ]
    assert "which are not validated, say that" in read_provenance(signed, "JPEG").summary


def test_manifest_kept_elsewhere_is_not_fetched(
    picture: bytes, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.3)
        signed = sign(
            picture, authority, remote=f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        )
        assert read_credentials(signed, "JPEG").state == "elsewhere"
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("name", ["PNG", "WebP", "AVIF", "HEIC", "TIFF", "GIF"])
def test_other_formats(name: Any, authority: Authority) -> None:
    mime = f"image/{name.lower()}"
    signed = sign(encode(photo(), name), authority, mime=mime)
    assert read_credentials(signed, name, lists=trusting(authority)).state == "trusted"


def test_hostile_claims_are_bounded_and_escaped(picture: bytes) -> None:
    evil = make_authority(SCRIPT, organisation="A\u202eB")
    actions = {
        "label": "c2pa.actions.v2",
        "data": {"actions": [{"action": "c2pa.created"}] + [{"action": SCRIPT}] * 500},
    }
    other = {
        "label": "org.test.odd",
        "data": {"digitalSourceType": [1, {"x": SCRIPT}], "y": ["z" * 1000] * 50},
    }
    signed = sign(picture, evil, actions, other, generator=SCRIPT)
    p = read_provenance(signed, "JPEG")
    drawn = provenance_panel(p)
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
    assert "\u202e" not in drawn
    assert len(json.dumps(ProvenanceSchema.dump(p))) < 10_000


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_a_comment_in_utf_16_is_read_in_its_order_whatever_letter_it_starts_with(
    order: str,
) -> None:
    text = "“Bubbles” in the sky\nSteps: 20, Sampler: Euler a, CFG scale: 7"
    p = read_provenance(
        jpeg_exif(exif_block({}, inner={37510: b"UNICODE\0" + text.encode(order)})), "JPEG"
    )
    assert p.marks[0].excerpt.startswith("“Bubbles”")
