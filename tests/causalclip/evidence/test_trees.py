"""Trees as arrays say what the library says that grew them, also after they were written and read."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.ensemble import HistGradientBoostingClassifier

from causalclip.evidence.region_finder import Trees, exported


@pytest.fixture(scope="module")
def grown() -> tuple[HistGradientBoostingClassifier, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 7)).astype(np.float32)
    y = (x[:, 0] * x[:, 3] + 0.5 * x[:, 5] + rng.normal(size=600) > 0).astype(float)
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=9, early_stopping=False, random_state=0)
    return model.fit(x, y, rng.uniform(0.5, 2, 600)), rng.normal(size=(400, 7)).astype(np.float32)


def test_they_say_what_the_library_says(grown: tuple[HistGradientBoostingClassifier, np.ndarray]) -> None:
    model, x = grown
    np.testing.assert_allclose(exported(model)(x), model.decision_function(x), rtol=0, atol=1e-12)


def test_a_value_on_a_threshold_goes_left(grown: tuple[HistGradientBoostingClassifier, np.ndarray]) -> None:
    model, x = grown
    trees = exported(model)
    inner = trees.left != np.arange(trees.left.shape[1])
    on = np.repeat(x[:1], inner.sum(), 0).astype(np.float64)
    on[np.arange(len(on)), trees.feature[inner]] = trees.threshold[inner]
    np.testing.assert_allclose(trees(on), model.decision_function(on), rtol=0, atol=1e-12)


def test_they_are_the_same_after_writing(
    grown: tuple[HistGradientBoostingClassifier, np.ndarray], tmp_path: Path
) -> None:
    model, x = grown
    trees = exported(model)
    save_file(trees.arrays(), tmp_path / "trees.safetensors")
    again = Trees(**load_file(tmp_path / "trees.safetensors"), base=trees.base)
    assert (again(x) == trees(x)).all()
