"""The detector: every share adds up to the logit, files keep everything, and what is no photograph
gets no answer."""

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from causalclip.clip.runtime import Runtime
from causalclip.detection import Detection
from causalclip.detector import Detector
from causalclip.image_type import is_blank
from causalclip.images.formats import UnsupportedImage
from causalclip.images.reencoding import REENCODINGS
from causalclip.paths import HEADS, WeightsMissing, head_folder
from tests.makers.detectors import refusing_detector, saved_detector, tiny_detector
from tests.makers.pictures import photo
from training.detector.data import Record
from training.detector.image_types import fit_image_types

SIZES = [(160, 120), (36, 33), (120, 400)]


def added(detection: Detection) -> float:
    """All that the logit is made of, by place."""
    return (
        sum(float(v.causal.sum(dtype=np.float64)) + v.rest for v in detection.views)
        + detection.rest
    )


@pytest.mark.parametrize("size", SIZES)
def test_patches_or_channels_and_the_rest_are_the_logit(size: tuple[int, int]) -> None:
    detection = tiny_detector().predict(photo(*size))
    assert added(detection) == pytest.approx(detection.logit, abs=1e-4)
    by_channel = (
        sum(float(v.channels.sum(dtype=np.float64)) + v.bias for v in detection.views)
        + detection.rest
    )
    assert by_channel == pytest.approx(detection.logit, abs=1e-4)


@pytest.mark.parametrize("runtime", ["int8", "float32"])
def test_the_shipped_detector_adds_up(runtime: Runtime) -> None:
    """On real weights."""
    detection = Detector.from_pretrained(runtime=runtime).predict(photo(320, 300))
    assert detection.runtime == runtime
    assert added(detection) == pytest.approx(detection.logit, abs=1e-4)
    assert {v.view_type for v in detection.views} == {"whole", "window"}
    assert all(v.causal.shape == (14, 14) for v in detection.views)
    assert 0 <= detection.low < detection.high <= 1


def test_non_causal_shares_are_of_what_the_mask_held_back() -> None:
    detector, found = tiny_detector(), []
    for logit in (50.0, -50.0):  # everything passes, then nothing
        for head in detector.heads.values():
            torch.nn.init.zeros_(head.mask.mlp[2].weight)
            torch.nn.init.constant_(head.mask.mlp[2].bias, logit)
        found.append(detector.predict(photo(160, 120)))
    for opened, closed in zip(found[0].views, found[1].views, strict=True):
        assert np.abs(opened.non_causal).max() < 1e-6
        assert np.abs(closed.causal).max() < 1e-6
        assert np.allclose(opened.causal, closed.non_causal, atol=1e-5)


def test_the_same_picture_gets_the_same_answer_and_is_not_changed() -> None:
    detector, pixels = tiny_detector(), photo(160, 120)
    pixels.setflags(write=False)
    first, second = detector.predict(pixels), detector.predict(pixels)
    assert first.logit == second.logit
    assert np.array_equal(first.views[0].causal, second.views[0].causal)
    assert detector.predict(photo(160, 121)).logit != first.logit


def test_judging_many_is_predicting_each_without_the_explanation() -> None:
    detector, pictures = tiny_detector(), [photo(*size) for size in SIZES]
    full = [detector.predict(p) for p in pictures]
    together = detector.score_batch(iter(pictures))
    assert [v.logit for v in together] == pytest.approx([d.logit for d in full], abs=1e-4)
    assert [v.band for v in together] == [d.band for d in full]
    fewer = detector.score_batch(pictures[2:3], squares=1, windows=1)
    assert fewer[0].logit != together[2].logit


@pytest.mark.parametrize("explained", [True, False])
def test_few_views_go_through_the_tower_at_once_and_equal_ones_once(
    explained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, counts = tiny_detector(), list[int]()
    forward = detector.tower.forward

    def counted(pixels: torch.Tensor, **options: Any) -> Any:
        counts.append(len(pixels))
        return forward(pixels, **options)

    monkeypatch.setattr(detector.tower, "forward", counted)
    pictures = [photo(width, 120) for width in (160, 170, 180)]
    views = len(detector.predict(pictures[0]).views)
    if not explained:
        counts.clear()
        once = detector.score_batch(pictures)
        assert detector.score_batch([*pictures, *pictures]) == once * 2
        views *= 6
    assert sum(counts) == views > 4
    assert max(counts) == 4


def test_save_and_load_keep_everything(tmp_path: Path) -> None:
    detector = saved_detector(tmp_path)
    loaded = Detector.from_pretrained(tmp_path / "model", runtime="float32")
    assert loaded.config == detector.config
    before, after = detector.predict(photo(160, 120)), loaded.predict(photo(160, 120))
    # the head is stored in half precision
    assert after.logit == pytest.approx(before.logit, abs=5e-3)
    assert (after.model, after.revision, after.parts) == ("model", before.revision, before.parts)
    loaded.save_pretrained(tmp_path / "again")
    again = Detector.from_pretrained(tmp_path / "again", runtime="float32")
    # and saved once more, nothing is lost
    assert again.predict(photo(160, 120)).logit == after.logit
    # The adversary is of training alone; a folder of an earlier version, which holds one, is read
    # as before.
    weights = load_file(tmp_path / "again" / "head.safetensors")
    assert not [name for name in weights if "adversary" in name]
    save_file(
        weights | {"whole.adversary.0.bias": torch.zeros(64)},
        tmp_path / "again" / "head.safetensors",
    )
    older = Detector.from_pretrained(tmp_path / "again", runtime="float32")
    assert older.predict(photo(160, 120)).logit == after.logit


def test_gradients_run_through_pytorch_whatever_judges() -> None:
    detector = Detector.from_pretrained(runtime="int8")
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0)).requires_grad_()
    detector.differentiable(pixels, until=1).cls[-1].sum().backward()
    assert float(pixels.grad.abs().max()) > 0
    assert tiny_detector().differentiable.runtime == "float32"


def test_a_missing_detector_or_tower_is_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"config\.json and head\.safetensors"):
        Detector.from_pretrained("nowhere/at/all")
    saved_detector(tmp_path)
    for shard in (tmp_path / "tower").iterdir():
        shard.unlink()
    with pytest.raises(WeightsMissing, match="no CLIP tower"):
        Detector.from_pretrained(tmp_path / "model")


# What is no photograph ----------------------------------------------------------------------------


def records(per: int = 12) -> list[Record]:
    """Owners with photographs, drawings and screenshots, four of each."""
    rows = []
    for kind in ("photo", "drawing", "screenshot"):
        for owner in range(4):
            for i in range(per):
                name = f"{kind}{owner}-{i}"
                rows.append(
                    Record(
                        name,
                        0,
                        name,
                        "train",
                        "sites",
                        "picture",
                        name,
                        name,
                        owner=f"{kind}{owner}",
                        kind=kind,
                    )
                )
    return rows


def separable(rows: list[Record]) -> torch.Tensor:
    rng = np.random.default_rng(0)
    centre = {"photo": (0, 0), "drawing": (6, -3), "screenshot": (6, 3)}
    x = np.array([[*centre[r.kind], 0, 0] for r in rows]) + rng.normal(0, 0.5, (2, len(rows), 4))
    return torch.from_numpy(x).half()


def test_types_are_told_apart_on_owners_that_were_left_out() -> None:
    rows = records()
    head, report = fit_image_types(rows, separable(rows))
    assert report["auc"] > 0.99
    assert report["refused"]["drawing"] == {"share": 1.0, "pictures": 48, "owners": 4}
    said = [head.classify(x[None].float()) for x in separable(rows)[0]]
    right = {"photo": "photograph", "drawing": "drawing", "screenshot": "page"}
    assert np.mean([s == right[r.kind] for s, r in zip(said, rows, strict=True)]) > 0.97


@pytest.mark.parametrize(("threshold", "kind"), [(2.0, "photograph"), (0.5, "page")])
def test_what_is_no_photograph_gets_no_answer(threshold: float, kind: str) -> None:
    detector = refusing_detector(threshold=threshold)
    full, short = detector.predict(photo(96, 64)), detector.score(photo(96, 64))
    assert full.image_type == short.image_type == kind
    assert full.band == short.band
    assert (full.band == "no answer") == (kind == "page")


def test_the_classifier_travels_with_the_detector(tmp_path) -> None:
    saved = saved_detector(tmp_path)
    assert Detector.from_pretrained(tmp_path / "model").image_types is None
    saved.image_types = refusing_detector().image_types
    saved.save_pretrained(tmp_path / "model")
    assert Detector.from_pretrained(tmp_path / "model").score(photo(96, 64)).image_type == "page"


@pytest.mark.parametrize("head", sorted(HEADS))
def test_a_head_tells_image_types_whatever_its_folder_is_called(head: str, tmp_path: Path) -> None:
    shutil.copytree(head_folder(head), tmp_path / "mine")
    moved = Detector.from_pretrained(tmp_path / "mine")
    assert moved.image_types is not None


# Blank pictures
NOISE = np.random.default_rng(0).integers(0, 256, (512, 384, 3), dtype=np.uint8)
COLOUR = np.full((300, 200, 3), (90, 20, 160), np.uint8)


@pytest.mark.parametrize(
    "pixels", [NOISE, COLOUR, np.tile(NOISE, (4, 4, 1))], ids=["noise", "colour", "large noise"]
)
@pytest.mark.parametrize("delivery", ["", "JPEG 70"])
def test_one_colour_and_noise_are_blank_after_jpeg_too(pixels: np.ndarray, delivery: str) -> None:
    given = np.asarray(REENCODINGS[delivery](Image.fromarray(pixels))) if delivery else pixels
    assert is_blank(given)


def test_a_close_up_of_one_material_and_a_dark_photograph_are_pictures() -> None:
    assert not is_blank(np.repeat(skimage.data.gravel()[..., None], 3, axis=2))
    assert not is_blank(photo(640, 480) // 8)


# What is judged, and what a detection gives -------------------------------------------------------


def test_a_path_pils_image_and_an_array_are_judged_alike(tmp_path: Path) -> None:
    detector, pixels = tiny_detector(), photo(160, 120)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    ways = pixels, Image.fromarray(pixels), tmp_path / "picture.png", str(tmp_path / "picture.png")
    assert len({detector.predict(way).logit for way in ways}) == 1


def test_pils_image_is_judged_upright_and_on_white() -> None:
    detector, pixels = tiny_detector(), photo(160, 120)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(pixels)))
    buffer = io.BytesIO()
    turned.save(buffer, "PNG", exif=exif)
    assert detector.predict(Image.open(buffer)).logit == detector.predict(pixels).logit
    clear = Image.new("RGBA", (160, 120), (9, 9, 9, 0))
    white = np.full((120, 160, 3), 255, np.uint8)
    assert detector.predict(clear).logit == detector.predict(white).logit


def test_what_is_no_picture_is_refused_in_a_sentence(tmp_path: Path) -> None:
    detector = tiny_detector()
    with pytest.raises(TypeError, match=r"uint8 RGB \[H, W, 3\], not float64"):
        detector.predict(photo(60, 60) / 255)
    with pytest.raises(TypeError, match=r"\[60, 60\]"):
        detector.predict(photo(60, 60)[..., 0])
    with pytest.raises(UnsupportedImage, match="no such file"):
        detector.predict(tmp_path / "none.png")


def test_a_detection_has_its_mask_by_layer() -> None:
    detection = tiny_detector().predict(photo(160, 120))
    assert detection.mask.dtype.names == tuple(name for name, _ in detection.parts)
    assert detection.mask.shape == (len(detection.views),)
    side_by_side = np.concatenate([detection.mask[name] for name, _ in detection.parts], 1)
    np.testing.assert_array_equal(side_by_side, np.stack([v.mask for v in detection.views]))


def test_a_detection_draws_its_map_until_its_pixels_are_let_go() -> None:
    detection = tiny_detector().predict(photo(640, 480))
    drawn = detection.heatmap()
    assert drawn.mode == "RGB"
    assert drawn.width >= 640
    assert drawn.height > 480  # the colour bar is below
    with pytest.raises(ValueError, match="let go"):
        replace(detection, picture=None).heatmap()
