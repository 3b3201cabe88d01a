"""Sixty picture files, each made the same way every time: what the goldens are of."""

import json
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import skimage.data
from PIL import Image

from causalclip.detection import ImageType
from causalclip.marks.bar import BAR
from causalclip.marks.watermark import payloads
from tests.makers import metadata_files as files
from tests.makers import pictures as made
from tests.makers.marks import embed, hide, stamp
from tests.serving import ROOT

# A few of every kind: `make test` looks at these alone.
QUICK = ("astronaut.png", "page-1.png", "mark-star.png", "text-parameters.png", "damaged.jpg")
# What no detector of random weights can know.
IMAGE_TYPES: dict[str, ImageType] = {
    "page-1.png": "page",
    "page-2.png": "page",
    "chart-1.png": "page",
    "cartoon-1.png": "drawing",
    "logo.png": "drawing",
}


@cache
def shot(name: str, side: int = 400) -> Image.Image:
    """A picture of scikit-image, at most `side` px long."""
    picture = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.BOX)
    return picture


@cache
def corpus() -> dict[str, Callable[[], bytes]]:
    """What makes each file, by the file's name; each is made once, for all variants."""
    makers = {
        **_photographs(),
        **_drawings(),
        **_sizes(),
        **_formats(),
        **_signed(),
        **_texts(),
        **_marks(),
        **_damaged(),
    }
    return {name: cache(make) for name, make in makers.items()}


def _photographs() -> dict[str, Callable[[], bytes]]:
    names = ("astronaut", "chelsea", "coffee", "camera", "moon", "coins", "brick", "grass")
    return {
        **{f"{name}.png": partial(_plain, name) for name in names},
        "rocket.jpg": lambda: made.encode(shot("rocket"), "JPEG", quality=90),
        "coffee-quality-30.jpg": lambda: made.encode(shot("coffee"), "JPEG", quality=30),
        "spliced.png": lambda: made.encode(made.spliced(), "PNG"),
        "dark.png": lambda: made.encode(shot("chelsea").point(lambda level: level // 5), "PNG"),
        "studio-cat.png": lambda: _shipped("studio-cat.png"),
    }


def _plain(name: str) -> bytes:
    return made.encode(shot(name), "PNG")


def _smooth(width: int, height: int) -> bytes:
    return made.encode(made.photo(width, height), "PNG")


def _shipped(name: str) -> bytes:
    return (ROOT / "assets" / "pictures" / name).read_bytes()


def _drawings() -> dict[str, Callable[[], bytes]]:
    return {
        "page-1.png": lambda: made.encode(made.page(1), "PNG"),
        "page-2.png": lambda: made.encode(made.page(2), "PNG"),
        "chart-1.png": lambda: made.encode(made.chart(1), "PNG"),
        "cartoon-1.png": lambda: made.encode(made.cartoon(1), "PNG"),
        "logo.png": lambda: made.encode(shot("logo"), "PNG"),
        "screenshot.png": lambda: made.encode(_screenshot(), "PNG"),
        "two-pictures.png": lambda: made.encode(_screenshot("coffee", "chelsea"), "PNG"),
    }


def _screenshot(*names: str) -> Image.Image:
    """A page with pictures on it."""
    screen = made.page(1)
    for place, name in enumerate(names or ("astronaut",)):
        screen.paste(shot(name), (60 + 460 * place, 200))
    return screen


def _sizes() -> dict[str, Callable[[], bytes]]:
    sizes = {"one-pixel": (1, 1), "small": (40, 30), "under-a-window": (300, 260)}
    return {
        **{f"{name}.png": partial(_smooth, *size) for name, size in sizes.items()},
        "narrow.png": lambda: made.encode(made.photo(900, 60), "PNG"),
        "large.jpg": lambda: made.encode(made.photo(2600, 1700), "JPEG", quality=85),
        "blank.png": lambda: made.encode(np.full((256, 256, 3), 128, np.uint8), "PNG"),
        "noise.png": lambda: made.encode(made.coarse_noise(3), "PNG"),
        "said-to-be-too-large.png": lambda: made.sized("PNG", 9000, 9000),
    }


def _formats() -> dict[str, Callable[[], bytes]]:
    photo = shot("chelsea", 320)
    wide = made.rgb_profile(made.DISPLAY_P3, 2.2, "wide")
    return {
        "photo.webp": lambda: made.encode(photo, "WebP", lossless=True),
        "photo.avif": lambda: made.encode(photo, "AVIF"),
        "photo.heic": lambda: made.encode(photo, "HEIC"),
        "photo.tif": lambda: made.encode(photo, "TIFF"),
        "animated.gif": lambda: made.encode(
            photo.quantize(64), "GIF", save_all=True, append_images=[shot("coffee", 320)]
        ),
        "inks.jpg": lambda: made.encode(photo.convert("CMYK"), "JPEG", quality=90),
        "see-through.png": lambda: made.encode(_see_through(photo), "PNG"),
        "on-its-side.jpg": lambda: made.encode(photo, "JPEG", exif=made.exif(6)),
        "wide-colours.png": lambda: made.encode(photo, "PNG", icc_profile=wide),
        "progressive.jpg": lambda: made.encode(photo, "JPEG", quality=80, progressive=True),
    }


def _see_through(picture: Image.Image) -> Image.Image:
    copy = picture.convert("RGBA")
    copy.putalpha(Image.linear_gradient("L").resize(copy.size))
    return copy


def _signed() -> dict[str, Callable[[], bytes]]:
    def signed(source_type: str) -> bytes:
        plain = made.encode(shot("coffee", 320), "JPEG")
        return files.sign(plain, files.make_authority(), files.created(source_type))

    def tampered() -> bytes:
        data = bytearray(signed("digitalCapture"))
        data[-200] ^= 1
        return bytes(data)

    return {
        "prawns-on-ice.jpg": lambda: _shipped("prawns-on-ice.jpg"),
        "signed-generated.jpg": lambda: signed("trainedAlgorithmicMedia"),
        "signed-part.jpg": lambda: signed("compositeWithTrainedAlgorithmicMedia"),
        "signed-captured.jpg": lambda: signed("digitalCapture"),
        "signed-and-changed.jpg": tampered,
    }


def _texts() -> dict[str, Callable[[], bytes]]:
    camera = {271: b"Canon", 272: b"EOS R5", 305: b"Lightroom 9"}
    taken = {36867: b"2026:05:01 09:30:00\0"}
    made_by = f'Iptc4xmpExt:DigitalSourceType="{files.SOURCE}trainedAlgorithmicMedia"'
    edited = f'Iptc4xmpExt:DigitalSourceType="{files.SOURCE}compositeWithTrainedAlgorithmicMedia"'
    graph = '{"4": {"inputs": {"ckpt_name": "a"}, "class_type": "Loader"}}'

    def label(value: str) -> bytes:
        fields = {"Label": value, "ContentProducer": "001191110102MACQD9K64010000"}
        return files.png_texts(("AIGC", json.dumps(fields)))

    return {
        "text-camera.jpg": lambda: files.jpeg_exif(
            files.exif_block(camera, inner=taken, gps=(-33.8567, 151.2153))
        ),
        "text-novelai.jpg": lambda: files.jpeg_exif(files.exif_block({305: b"NovelAI"})),
        "text-xmp-generated.jpg": lambda: files.jpeg_xmp(files.xmp(made_by)),
        "text-xmp-part.jpg": lambda: files.jpeg_xmp(files.xmp(edited)),
        "text-parameters.png": lambda: files.png_texts(
            ("parameters", "a cat <script>\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1")
        ),
        "text-graph.png": lambda: files.png_texts(("prompt", graph)),
        "text-label-1.png": lambda: label("1"),
        "text-label-2.png": lambda: label("2"),
        "text-label-3.png": lambda: label("3"),
    }


def _marks() -> dict[str, Callable[[], bytes]]:
    def barred() -> bytes:
        pixels = np.array(Image.fromarray(skimage.data.coffee()).resize((1024, 1024)))
        for place, colour in enumerate(BAR):
            left = 944 + 16 * place
            pixels[-16:, left : left + 16] = colour
        return made.encode(pixels, "PNG")

    def watermarked() -> bytes:
        bits = next(iter(payloads().values()))
        return made.encode(embed(skimage.data.astronaut(), bits, offset=0.5, swapped=False), "PNG")

    def hidden() -> bytes:
        text = b"a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
        return made.encode(Image.fromarray(hide(np.asarray(shot("chelsea")), text)), "PNG")

    def written() -> bytes:
        opacity = np.ones((12, 60), np.float32)
        return made.encode(stamp(np.asarray(shot("coffee")), opacity, 330, 250, much=0.6), "PNG")

    return {
        "mark-star.png": lambda: made.encode(made.starred(), "PNG"),
        "mark-bar.png": barred,
        "mark-watermark.png": watermarked,
        "mark-hidden.png": hidden,
        "mark-of-nobody.png": written,
    }


def _damaged() -> dict[str, Callable[[], bytes]]:
    unjudged = files.unjudged_files()
    return {
        "damaged.jpg": lambda: unjudged["damaged"],
        "too-small.png": lambda: unjudged["too small"],
        "no-picture.jpg": lambda: b"This is a text, whatever its name says.",
    }
