"""The models that are shipped, on photographs that scikit-image's package carries."""

import pytest
import skimage.data
import torch
from torch import Tensor

from causalclip.weights import ASSETS
from purifier.pixels import to_tensor
from purifier.vlm import EmbeddedVLM


@pytest.fixture(scope="module")
def vlm() -> EmbeddedVLM:
    return EmbeddedVLM.from_pretrained()


@pytest.fixture(scope="module")
def cat() -> Tensor:
    return to_tensor(skimage.data.chelsea())


def test_no_file_is_too_large_for_a_space() -> None:
    assert max(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) <= 9_000_000


def test_it_sees_the_cat(vlm: EmbeddedVLM, cat: Tensor) -> None:
    [answer], [caption] = vlm.answer(cat, ["what animal is it ?"]), vlm.caption(cat)
    assert answer.text == "cat"
    assert answer.confidence == pytest.approx(0.81, abs=0.06)  # of one processor or another
    assert answer.sure
    assert "cat" in caption.text.split()


def test_it_says_the_same_again_and_is_not_sure_of_nonsense(vlm: EmbeddedVLM, cat: Tensor) -> None:
    question = ["what is on the table ?"]
    assert vlm.answer(cat, question) == vlm.answer(cat, question)
    [answer] = vlm.answer(torch.full((1, 3, 224, 224), 0.5), question)
    assert not answer.sure
    assert "not sure" in answer.spoken
