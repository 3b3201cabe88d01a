"""What is no photograph: the classifier's scores, its threshold, and what it is fitted to."""

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from causalclip.detector import Detector
from causalclip.image_type import ImageTypeClassifier, is_blank
from causalclip.images.augmentation import REENCODINGS
from causalclip.training.data import Record
from causalclip.training.image_types import fit_image_types
from tests.makers.detectors import saved_detector, tiny_detector
from tests.makers.pictures import photo


def records(per: int = 12) -> list[Record]:
    """Owners with photographs, drawings and screenshots, four of each."""
    rows = []
    for kind in ("photo", "drawing", "screenshot"):
        for owner in range(4):
            for i in range(per):
                name = f"{kind}{owner}-{i}"
                rows.append(
                    Record(name, 0, name, "train", "sites", "picture", name, name, owner=f"{kind}{owner}", kind=kind)
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


def test_an_images_type_is_that_of_its_views_together() -> None:
    head = ImageTypeClassifier(1)
    with torch.no_grad():
        head.scores.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.scores.bias.zero_()
    assert head.classify(torch.tensor([[-3.0], [1.0]])) == "photograph"
    assert head.classify(torch.tensor([[-1.0], [3.0]])) == "drawing"


def refusing(threshold: float) -> Detector:
    detector = tiny_detector()
    head = ImageTypeClassifier(detector.heads["whole"].shift.shape[0])
    with torch.no_grad():
        head.scores.weight.zero_()
        head.scores.bias.copy_(torch.tensor([1.0, 1.0]))
    head.threshold.fill_(threshold)
    detector.image_types = head
    return detector


@pytest.mark.parametrize(("threshold", "kind"), [(2.0, "photograph"), (0.5, "page")])
def test_what_is_no_photograph_gets_no_answer(threshold: float, kind: str) -> None:
    detector = refusing(threshold)
    full, short = detector.predict(photo(96, 64)), detector.judge(photo(96, 64))
    assert full.kind == short.kind == full.summary()["kind"] == kind
    assert full.band == short.band
    assert (full.band == "no answer") == (kind == "page")


def test_the_classifier_travels_with_the_detector(tmp_path) -> None:
    saved = saved_detector(tmp_path)
    assert Detector.from_pretrained(tmp_path / "model").image_types is None
    saved.image_types = refusing(0.5).image_types
    saved.save_pretrained(tmp_path / "model")
    assert Detector.from_pretrained(tmp_path / "model").judge(photo(96, 64)).kind == "page"


# Blank pictures
NOISE = np.random.default_rng(0).integers(0, 256, (512, 384, 3), dtype=np.uint8)
COLOUR = np.full((300, 200, 3), (90, 20, 160), np.uint8)


@pytest.mark.parametrize("pixels", [NOISE, COLOUR, np.tile(NOISE, (4, 4, 1))], ids=["noise", "colour", "large noise"])
@pytest.mark.parametrize("delivery", ["", "JPEG 70"])
def test_one_colour_and_noise_are_blank_after_jpeg_too(pixels: np.ndarray, delivery: str) -> None:
    given = np.asarray(REENCODINGS[delivery](Image.fromarray(pixels))) if delivery else pixels
    assert is_blank(given)


@pytest.mark.parametrize("name", ["gravel", "brick", "grass"])
def test_a_close_up_of_one_material_is_a_picture(name: str) -> None:
    assert not is_blank(np.repeat(getattr(skimage.data, name)()[..., None], 3, axis=2))


@pytest.mark.parametrize("size", [(64, 64), (1200, 100), (640, 480)])
def test_photographs_are_not(size: tuple[int, int]) -> None:
    assert not is_blank(photo(*size))
    assert not is_blank(photo(*size) // 8)  # a dark one
