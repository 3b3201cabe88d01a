"""The adapted encoder: a low-rank update of a tower, on small random models."""

from pathlib import Path

import pytest
import torch

from causalclip.clip.backbones import shared_tower
from causalclip.clip.weights import WeightsMissing
from purifier.vlm import EmbeddedVLM, VisionLanguageModel
from purifier.vlm.lora import DOWN, UP, LoraEncoder, shared_encoder
from tests.makers.models import tiny_vlm
from tests.makers.purifiers import tiny_lora
from tests.makers.towers import tiny_tower, write_tower


@pytest.fixture(scope="module")
def model() -> EmbeddedVLM:
    return tiny_vlm().eval()


def test_each_matrix_gets_the_product_and_the_model_keeps_its_own_tower(model: EmbeddedVLM) -> None:
    eye, before = tiny_lora(model.tower), {n: p.clone() for n, p in model.tower.named_parameters()}
    after = dict(eye.applied_to(model).tower.named_parameters())
    assert all(torch.equal(p, before[n]) for n, p in model.tower.named_parameters())
    changed = {name.removesuffix(UP) + ".weight" for name in eye.tensors if name.endswith(UP)}
    assert len(changed) == 3 * model.tower.layers
    for name, value in after.items():
        if name in changed:
            own = name.removesuffix(".weight")
            added = torch.einsum("or,ri->oi", eye.tensors[own + UP], eye.tensors[own + DOWN])
            assert torch.allclose(value.float(), before[name].float() + added, atol=0.02)
        else:
            assert torch.equal(value, eye.tensors.get(name, before[name]))
            assert (value is dict(model.tower.named_parameters())[name]) == (name not in eye.tensors)


def test_written_and_read_it_sees_the_same(model: EmbeddedVLM, tmp_path: Path) -> None:
    eye = tiny_lora(model.tower)
    LoraEncoder(eye.tensors, {"steps": 3}).save_pretrained(tmp_path)
    again = LoraEncoder.from_pretrained(tmp_path)
    assert again.facts == {"steps": 3}
    pixels = torch.rand(2, 3, 40, 32, generator=torch.Generator().manual_seed(0))
    seen, read = eye.applied_to(model).see(pixels), again.applied_to(model).see(pixels)
    assert torch.allclose(seen, read, atol=0.02 * float(seen.abs().max()))
    assert not torch.allclose(seen, model.see(pixels), atol=0.1 * float(seen.abs().max()))


def test_an_attacker_has_the_gradient_through_it_and_nothing_of_it_learns(model: EmbeddedVLM) -> None:
    adapted = tiny_lora(model.tower).applied_to(model)
    assert isinstance(adapted, VisionLanguageModel)
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    told = adapted.log_likelihood(pixels, ["what is it"], ["dog"])
    assert torch.allclose(adapted.score(adapted.see(pixels), ["what is it"], ["dog"]), told, atol=1e-4)
    own = model.log_likelihood(pixels, ["what is it"], ["dog"])
    through, other = (torch.autograd.grad(x.sum(), pixels)[0] for x in (told, own))
    assert through.abs().sum() > 0
    assert not torch.allclose(through, other, atol=0.1 * float(other.abs().max()))
    assert not any(p.requires_grad for p in adapted.tower.parameters())


def test_of_another_tower_or_missing_it_says_how_to_train_one(model: EmbeddedVLM, tmp_path: Path) -> None:
    eye = tiny_lora(model.tower)
    wider = LoraEncoder({name: torch.cat([value, value]) for name, value in eye.tensors.items()}, {})
    unknown = LoraEncoder({f"other.{name}": value for name, value in eye.tensors.items()}, {})
    fewer = LoraEncoder({name: value for name, value in eye.tensors.items() if ".0." not in name}, {})
    for wrong in (wider, unknown, fewer):
        with pytest.raises(ValueError, match="train-eye"):
            wrong.applied_to(model)
    with pytest.raises(WeightsMissing, match="train-eye"):
        LoraEncoder.from_pretrained(tmp_path)


def test_the_shared_eye_is_loaded_once_and_for_gradients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    eye, name = tiny_lora(tiny_tower()), write_tower(tmp_path / "tower")
    monkeypatch.setattr(LoraEncoder, "from_pretrained", lambda: eye)
    with torch.inference_mode():
        shared = shared_encoder(name)
    assert shared_encoder(name) is shared
    assert not any(p.is_inference() for p in shared.parameters())
    assert not any(p.is_inference() for p in shared_tower(name).parameters())
