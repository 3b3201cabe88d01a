"""Splices with known regions, and the cells that heads learn places from."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from causalclip.training.data import Record, assign_folds
from causalclip.training.splicing import MIXTURE, Cells, Wanted, compute_cells, is_photograph, make_splice, region
from tests.makers.towers import write_tower

GREY, RED = (120, 120, 120), (200, 40, 40)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Cells | None]:
    """Splices of grey photographs and red generated pictures, by a tiny tower."""
    folder = tmp_path_factory.mktemp("splices")
    records = []
    for i in range(8):
        label = i % 2
        Image.new("RGB", (120, 90), RED if label else GREY).save(folder / f"{i}.png")
        source = f"{('camera', 'generator')[label]}{i}"
        records.append(Record(f"{i}.png", label, source, "train", "broad", "whole", str(i), source))
    write_tower(folder / "tower")
    by_group = assign_folds(records, folds=2)
    fold_of = np.array([by_group[r.group] for r in records])
    what = Wanted(f"local-dir:{folder / 'tower'}", ("cls:2", "patch:1"), 60)

    def compute(what: Wanted = what) -> Cells | None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "causalclip.training.splicing.in_processes", lambda work, jobs, **_: [work(job) for job in jobs]
            )
            return compute_cells(records, fold_of, folder, what, cache=folder / "cache")

    return compute


def test_a_region_is_a_tenth_to_four_tenths() -> None:
    rng = np.random.default_rng(0)
    shares = [region(80, 60, rng).mean() for _ in range(40)]
    assert 0.1 <= min(shares) < 0.2 < 0.3 < max(shares) <= 0.4


def test_the_mask_says_what_was_pasted() -> None:
    splice = make_splice(Image.new("RGB", (160, 120), GREY), Image.new("RGB", (64, 64), RED), np.random.default_rng(1))
    assert splice.pixels.shape == (120, 160, 3)
    redness = splice.pixels[..., 0].astype(int) - splice.pixels[..., 1]
    assert redness[splice.mask].mean() > 120
    assert redness[~splice.mask].mean() < 20


def test_cells_are_labelled_by_what_is_generated_not_by_what_is_pasted(cells: Callable[[], Cells]) -> None:
    found = cells()
    assert found.features.shape == (60, 4, 96)  # a grid of 4 x 4 patches, two parts
    for which, (host, guest) in enumerate(MIXTURE):
        rows = found.mixture == which
        labels, pasted = found.labels[rows], found.pasted[rows]
        assert rows.sum() > 0
        assert ((labels - (host + (guest - host) * pasted)).abs() < 1e-6).all()
    assert set(found.fold) == {0, 1}


def test_cells_are_kept_and_the_same_again(cells: Callable[[], Cells]) -> None:
    first, second = cells(), cells()
    assert (first.features == second.features).all()
    assert (first.mixture == second.mixture).all()


def test_none_wanted_and_none_possible(cells: Callable[..., Cells | None]) -> None:
    assert cells(Wanted("local-dir:none", ("cls:2",), 0)) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("causalclip.training.splicing.is_photograph", lambda record: False)
        assert cells(Wanted("local-dir:none", ("cls:2",), 60)) is None


def test_art_is_no_photograph() -> None:
    art = Record("a.png", 0, "art-of-the-past", "train", "broad", "whole", "a", "art")
    assert not is_photograph(art)
