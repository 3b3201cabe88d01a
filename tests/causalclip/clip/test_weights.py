"""Weights on disk: int8 within half a step, shards within their size, nothing lost on the way."""

from pathlib import Path

import pytest
import torch

from causalclip.clip import weights
from causalclip.clip.weights import INT8, SCALE, WeightsMissing, dequantize, load_weights, quantize, save_shards


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channel", [0, 1])
def test_int8_is_within_half_a_step_of_its_channel(channel: int) -> None:
    weight = random(6, 9) * torch.logspace(-3, 2, 6)[:, None]
    values, scale = quantize(weight, channel=channel)
    assert values.dtype == torch.int8
    assert scale.shape == ((6, 1) if channel == 0 else (1, 9))
    assert ((values * scale - weight).abs() <= scale / 2 + 1e-9).all()
    assert (values.abs().amax(1 - channel) == 127).all()  # every channel uses the whole range


def test_a_channel_of_zeros_stays_zero() -> None:
    values, scale = quantize(torch.zeros(3, 4))
    assert torch.equal(values * scale, torch.zeros(3, 4))


def test_int8_and_scale_become_one_tensor_and_the_rest_passes() -> None:
    matrix = random(4, 5)
    values, scale = quantize(matrix)
    lone = torch.ones(3)
    joined = dequantize({f"a{INT8}": values, f"a{SCALE}": scale, "b": lone, f"c{SCALE}": lone})
    assert set(joined) == {"a", "b", f"c{SCALE}"}  # a name that only looks like a scale is a weight of its own
    assert torch.equal(joined["a"], values.float() * scale)


def test_shards_keep_to_their_size_and_give_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHARD_BYTES", 1000)
    stored = {f"w{i}": random(10 + i, 7, seed=i) for i in range(12)} | {"large": random(30, 30).T}
    paths = save_shards(stored, tmp_path / "new", metadata={"origin": "test"})
    assert len(paths) > 3
    assert [p.name for p in paths] == [f"model-{i + 1:05d}-of-{len(paths):05d}.safetensors" for i in range(len(paths))]
    loaded = load_weights(tmp_path / "new")
    assert loaded.keys() == stored.keys()
    assert all(torch.equal(loaded[n], stored[n]) for n in stored)
    small = [p for p in paths if p.stat().st_size < 2000]
    assert len(small) == len(paths) - 1  # all but the tensor that alone is larger


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=rf"no weights .* in '{tmp_path.name}'"):
        load_weights(tmp_path)
