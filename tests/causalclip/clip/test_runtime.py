"""Which runtime judges: by the processor, or by the environment."""

import pytest
import torch

from causalclip.clip.runtime import UnknownRuntime, choose_runtime


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch):
    """Sets what the processor has: processor("avx512_vnni")."""
    for name in ("CAUSALCLIP_RUNTIME", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)

    def has(*flags: str) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(flags, True))
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: "amx_tile" in flags)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: "avx512_bf16" in flags)

    return has


@pytest.mark.parametrize(
    ("flags", "runtime"),
    [
        (("amx_tile", "avx512_vnni"), "bfloat16"),
        (("avx512_bf16",), "bfloat16"),
        (("avx512_bf16", "avx512_vnni"), "int8"),
        (("avx512_vnni",), "int8"),
        (("avx2", "avx_vnni"), "int8"),
        (("avx2", "avx512_bf16"), "bfloat16"),
        (("avx2",), "int8-avx2"),
        ((), "float32"),
    ],
)
def test_the_processor_decides(processor, flags: tuple[str, ...], runtime: str) -> None:
    processor(*flags)
    assert choose_runtime() == runtime


@pytest.mark.parametrize("runtime", ["bfloat16", "int8", "int8-avx2", "float32"])
def test_the_environment_overrides_it(processor, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    processor("avx2")
    monkeypatch.setenv("CAUSALCLIP_RUNTIME", runtime.upper())
    assert choose_runtime() == runtime


def test_a_wrong_name_is_one_sentence(processor, monkeypatch: pytest.MonkeyPatch) -> None:
    processor("avx2")
    monkeypatch.setenv("CAUSALCLIP_RUNTIME", "int4")
    with pytest.raises(UnknownRuntime, match=r"^\S+ can be bfloat16, int8, int8-avx2, float32, not 'int4'\.$"):
        choose_runtime()


def test_avx2_is_asked_for_where_it_is(processor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSALCLIP_RUNTIME", "int8-avx2")
    processor("avx")
    with pytest.raises(UnknownRuntime, match=r"needs a processor with AVX2"):
        choose_runtime()
    processor("avx2")
    monkeypatch.setattr("causalclip.clip.runtime.multiplies_exactly", lambda: False)
    with pytest.raises(UnknownRuntime, match=r"needs a processor with AVX2"):
        choose_runtime()
    monkeypatch.delenv("CAUSALCLIP_RUNTIME")
    assert choose_runtime() == "float32"


def test_no_int8_of_openvinos_where_onednn_is_limited(processor, monkeypatch: pytest.MonkeyPatch) -> None:
    processor("avx2", "avx512_vnni")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX")
    assert choose_runtime() == "float32"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert choose_runtime() == "int8-avx2"
    monkeypatch.setenv("CAUSALCLIP_RUNTIME", "int8")
    with pytest.raises(UnknownRuntime, match="unset one of them"):
        choose_runtime()
