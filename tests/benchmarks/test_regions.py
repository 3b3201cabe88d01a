"""The trial of local heads: parts are found where they are, tiles cover, and an owner's worst picture counts."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from benchmarks.local.regions.cells import CELL, starts, working
from benchmarks.local.regions.fits import Moments, Ridge
from benchmarks.local.regions.ideas import threshold, within
from benchmarks.local.regions.made import FOLDS, WIDE, by_hand
from benchmarks.local.regions.measure import overlap
from benchmarks.local.regions.pairs import compare_pair
from benchmarks.local.regions.pictures import cases
from benchmarks.local.regions.residuals import NAMES, contrast, residual_cells
from causalclip.pictures.delivery import encode
from causalclip.training.splicing import region


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return np.asarray(data.astronaut())


def test_an_edited_part_is_found_and_alone_put_into_the_original(photograph: np.ndarray) -> None:
    edit = photograph.copy()
    edit[300:420, 60:200] = np.asarray(data.coffee())[100:220, 100:240]
    known = compare_pair(np.asarray(encode(Image.fromarray(edit), "JPEG", 85)), photograph)
    assert not isinstance(known, str)
    truth = np.zeros(edit.shape[:2], bool)
    truth[300:420, 60:200] = True
    assert (known.mask & truth).sum() / (known.mask | truth).sum() > 0.7
    edge = (len(photograph) - len(known.third)) // 2  # the outermost pixels are not compared
    original = photograph[edge : edge + len(known.third), edge : edge + len(known.third)]
    assert np.abs(known.third.astype(int) - original)[:200].mean() < 2
    assert np.abs(known.third.astype(int) - original)[known.third_mask].mean() > 20


def test_another_picture_has_no_known_part(photograph: np.ndarray) -> None:
    assert isinstance(compare_pair(np.asarray(data.chelsea()), photograph), str)


@pytest.mark.parametrize("length", [14, 15, 28, 29, 63])
def test_tiles_cover_every_patch(length: int) -> None:
    seen = np.zeros(length, bool)
    for first in starts(length, 14):
        assert first + 14 <= length
        seen[first : first + 14] = True
    assert seen.all()


def test_cells_have_tokens_and_statistics(photograph: np.ndarray) -> None:
    picture = working(photograph)
    residuals = residual_cells(picture)
    assert residuals.shape == (len(NAMES), 512 // CELL, 512 // CELL)
    assert np.isfinite(contrast(residuals)).all()


def test_a_blurred_part_stands_out_in_its_statistics(photograph: np.ndarray) -> None:
    import cv2

    other = photograph.copy()
    other[256:384, 256:384] = cv2.GaussianBlur(photograph, (0, 0), 3)[256:384, 256:384]
    levels = residual_cells(other)[NAMES.index("diagonal noise")]
    known = np.zeros((16, 16))
    known[8:12, 8:12] = 1
    assert within(-levels, known) > 0.8


def test_the_threshold_leaves_two_percent_of_owners() -> None:
    worst = list(np.arange(200.0))
    assert (np.array(worst) >= threshold(worst)).mean() <= 0.02
    assert threshold([1.0, 2.0]) > 2.0  # too few owners to promise anything


def test_a_fold_is_judged_by_what_the_others_teach() -> None:
    rng = torch.Generator().manual_seed(0)
    x, folds = torch.randn(500, 4, generator=rng), np.arange(500) % FOLDS
    y = x[:, 0] + 0.1 * torch.randn(500, generator=rng)
    y[folds == 0] *= -1  # the fold says the opposite of all others
    fit = Ridge(Moments(x, y, torch.ones(500), folds), ridge=1e-3)
    assert float(fit.weights[0][0]) == pytest.approx(1.0, abs=0.05)
    assert float(fit.weights[1][0]) < 0.7


def test_a_perfect_map_has_the_part_as_its_outline() -> None:
    known = np.zeros((16, 20))
    known[4:10, 5:12] = 1
    assert overlap(known, known) > 0.6


def test_masks_and_edits_by_hand_are_what_they_say(photograph: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    assert 0.03 <= region(300, 200, rng, WIDE).mean() <= 0.4
    for _ in range(12):
        new, mask = by_hand(photograph[:256, :256], rng)
        far = ~np.asarray(Image.fromarray(mask).convert("L").resize((256, 256)), bool)
        assert new.shape == (256, 256, 3)
        assert mask.any()
        assert far.any()


def test_the_pictures_for_docs_are_changed_where_they_say() -> None:
    made = list(cases())
    assert len({case.name for case in made}) == len(made) >= 10
    for case in made:
        assert case.pixels.dtype == np.uint8, case.name
        assert case.mask.shape == case.pixels.shape[:2], case.name
        assert 0.005 < case.mask.mean() < 0.4, case.name
    originals = {np.asarray(getattr(data, n)()).shape: getattr(data, n)() for n in ("coffee", "chelsea", "rocket")}
    for case in made:
        if (original := originals.get(case.pixels.shape)) is not None:
            change = np.abs(case.pixels.astype(int) - original).mean(2)
            assert change[case.mask].mean() > 2 * change[~case.mask].mean(), case.name
