"""The runtime that multiplies a tower's matrices on this processor.

The fastest that this processor serves, or the one that CAUSALCLIP_RUNTIME names:

    bfloat16   PyTorch, with AMX, or with AVX-512's bfloat16 instructions where there is no VNNI
    int8       OpenVINO, with VNNI or AVX2: the weights stay as they are on the disk
    float32    PyTorch, everywhere else

Training, attacks and purification are PyTorch's, whichever it is.
"""

import torch

from causalclip.settings import ALL_INSTRUCTIONS, Runtime, read_settings

VNNI = "avx512_vnni", "avx_vnni"


def choose_runtime() -> Runtime:
    """The runtime of this process.

    Raises:
        SettingsError: CAUSALCLIP_RUNTIME names none, or one that cannot run under the environment's
            other limits.
    """
    if chosen := read_settings().runtime:
        return chosen
    half = fast_dtype() == torch.bfloat16
    if _unlimited() and _has_vnni() and not (half and torch.cpu._is_amx_tile_supported()):
        return "int8"
    if half:
        return "bfloat16"
    return "int8" if _unlimited() and _has_avx2() else "float32"


def fast_dtype() -> torch.dtype:
    """Return bfloat16 where the processor multiplies it faster, float32 elsewhere.

    That is with AMX (five times as fast) or AVX-512's bfloat16 instructions (two to three times),
    if oneDNN may use them.
    """
    has = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if (_unlimited() or "AMX" in _limit()) and has else torch.float32


def _has_vnni() -> bool:
    """Return whether the processor multiplies int8 four at a time."""
    flags = torch.cpu.get_capabilities()
    return any(flags.get(name, False) for name in VNNI)


def _has_avx2() -> bool:
    return bool(torch.cpu.get_capabilities().get("avx2", False))


def _unlimited() -> bool:
    """Return whether oneDNN may use all of the processor. OpenVINO, half of which does not know the
    limit, must not run then: it gives empty answers."""
    return _limit() in ALL_INSTRUCTIONS


def _limit() -> str:
    return read_settings().onednn_limit
