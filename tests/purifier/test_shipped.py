"""The models that are shipped, on photographs that scikit-image's package carries."""

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import change_answer
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.pixels import to_tensor
from purifier.vlm import EmbeddedVLM


@pytest.fixture(scope="module")
def vlm() -> EmbeddedVLM:
    return EmbeddedVLM.from_pretrained()


@pytest.fixture(scope="module")
def purifier() -> PurifierPipeline:
    return PurifierPipeline.from_pretrained()


@pytest.fixture(scope="module")
def cat() -> Tensor:
    return to_tensor(skimage.data.chelsea())


def test_clean_photographs_come_back_to_the_bit(purifier: PurifierPipeline) -> None:
    for photo in (skimage.data.chelsea(), skimage.data.coffee()[:300, :400], skimage.data.rocket()):
        pixels = to_tensor(photo)
        assert torch.equal(purifier(pixels).images, pixels)


def test_an_attack_changes_the_answer_and_purification_changes_it_back(
    vlm: EmbeddedVLM, purifier: PurifierPipeline, cat: Tensor
) -> None:
    small = F.interpolate(cat, (224, 336), mode="bicubic", antialias=True).clamp(0, 1)
    question = ["what animal is it ?"]
    attack = Attack("pgd", eps=8, steps=6)
    moved = run_attack(attack, small, change_answer(vlm, question, [vlm.answer(small, question)[0].text]))
    said = [vlm.answer(x, question)[0].text for x in (small, moved, purifier(moved).images)]
    assert [text == "cat" for text in said] == [True, False, True]
