"""What a file says about itself: read in full from honest files, in bounds from hostile ones."""

import json

import pytest
from PIL import Image

from causalclip.evidence.cautions import with_history
from causalclip.images.loading import load_image
from causalclip.provenance.reading import Provenance, read_provenance
from tests.makers.metadata_files import SOURCE, exif_block, jpeg_exif, jpeg_iptc, jpeg_xmp, png_texts, xmp
from tests.makers.pictures import chunk, encode, photo, photograph

CAMERA = {271: b"Canon", 272: b"EOS R5", 305: b"Lightroom 9", 306: b"2026:05:02 10:00:00", 315: b"A. Person"}
TAKEN = {36867: b"2026:05:01 09:30:00\0", 42036: b"RF50mm\0"}


def said(p: Provenance) -> dict[str, str]:
    return {f"{f.where} {f.name}": f.value for f in p.fields}


def test_exif_is_read_in_short_and_the_place_only_on_demand() -> None:
    p = read_provenance(jpeg_exif(exif_block(CAMERA, inner=TAKEN, gps=(-33.8567, 151.2153))), "JPEG")
    fields = said(p)
    assert fields["EXIF Camera"] == "EOS R5"
    assert fields["EXIF Software"] == "Lightroom 9"
    assert fields["EXIF Taken"] == "2026:05:01 09:30:00"
    assert fields["EXIF Lens"] == "RF50mm"
    assert p.place == pytest.approx((-33.8567, 151.2153), abs=1e-4)
    assert p.as_dict()["place"] is None
    assert p.as_dict()["has_place"]
    assert "33.85" not in json.dumps(p.as_dict())
    assert p.as_dict(place=True)["place"] == list(p.place)
    assert "names a camera" in p.summary()


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
    assert p.summary() == "The file itself says that the picture was made by a generative AI model."


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


A1111 = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: sd15"
COMFY = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})


@pytest.mark.parametrize(
    ("key", "value", "generator"),
    [
        ("parameters", A1111, "Stable Diffusion web UI"),
        ("prompt", COMFY, "ComfyUI"),
        ("workflow", json.dumps({"nodes": [], "links": []}), "ComfyUI"),
        ("invokeai_metadata", "{}", "InvokeAI"),
        ("sd-metadata", "{}", "InvokeAI"),
        ("Software", "NovelAI", "NovelAI"),
        ("Description", "a cat --ar 3:2 --v 6 Job ID: 0f1e2d3c-0a1b-4c2d-8e3f-001122334455", "Midjourney"),
        ("Software", "DALL·E 3", "DALL-E"),
        ("parameters", json.dumps({"sui_image_params": {}}), "SwarmUI"),
        ("fooocus_scheme", "fooocus", "Fooocus"),
    ],
)
def test_marks_of_generators_in_png_texts(key: str, value: str, generator: str) -> None:
    kind = (b"tEXt", b"zTXt", b"iTXt")[len(key) % 3]
    p = read_provenance(png_texts((key, value), kind=kind), "PNG")
    assert [m.generator.split(" (")[0] for m in p.marks] == [generator]
    assert "mark of an image generator" in p.summary()


@pytest.mark.parametrize(
    "text",
    [
        ("Description", "A story about Midjourney and DALL-E"),
        ("parameters", "shutter 1/250, aperture f/8"),
        ("prompt", "Write a caption"),
        ("Software", "GIMP 3.0"),
        ("Comment", "Steps: up to the church"),
        ("Title", "Firefly over a meadow"),
        ("Source", "OpenAI"),
    ],
)
def test_a_mention_is_no_mark(text: tuple[str, str]) -> None:
    assert read_provenance(png_texts(text), "PNG").marks == ()


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
    p = read_provenance(jpeg_exif(exif_block({272: "EOS\x07 R5\u202egpj.exe\u200b\n2".encode()})), "JPEG")
    assert said(p)["EXIF Camera"] == "EOS R5gpj.exe 2"


# Compression --------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [10, 50, 75, 92, 100])
def test_quality_from_the_tables(quality: int) -> None:
    jpeg = read_provenance(encode(photo(), "JPEG", quality=quality, subsampling=2), "JPEG").jpeg
    assert jpeg is not None
    assert (jpeg.quality, jpeg.exact, jpeg.chroma) == (quality, True, "4:2:0")


def test_an_earlier_compression_is_found_and_not_made_up() -> None:
    never, once = photograph(history=None), photograph(history=60)
    files = ((encode(never, "JPEG", quality=60), "JPEG", None), (encode(once, "JPEG", quality=92), "JPEG", 60))
    for data, name, earlier in (*files, (encode(once, "PNG"), "PNG", 60), (encode(never, "PNG"), "PNG", None)):
        pixels = load_image(data).pixels
        found = with_history(read_provenance(data, name), pixels).earlier_quality  # type: ignore[arg-type]
        assert (found is None) == (earlier is None)
        assert earlier is None or found == pytest.approx(earlier, abs=3)
