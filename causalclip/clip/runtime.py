"""The runtime that multiplies a tower's matrices on this processor.

The fastest that this processor serves, or the one that CAUSALCLIP_RUNTIME names:

    bfloat16   PyTorch, with AMX, or with AVX-512's bfloat16 instructions where there is no VNNI
    int8       OpenVINO, with VNNI or AVX2: the weights stay as they are on the disk
    float32    PyTorch, everywhere else

Training, attacks and purification always run in PyTorch.
"""

import torch

from causalclip.settings import ALL_INSTRUCTIONS, Runtime, read_settings

VNNI = ("avx512_vnni", "avx_vnni")


def choose_runtime() -> Runtime:
    """The runtime of this process.

    Raises:
        SettingsError: CAUSALCLIP_RUNTIME names none, or one that cannot run under the environment's
            other limits.
    """
    if chosen := read_settings().runtime:
        return chosen
    bfloat16_is_fast = fast_dtype() == torch.bfloat16
    if _unlimited() and _has(*VNNI) and not (bfloat16_is_fast and _has("amx_tile")):
        return "int8"
    if bfloat16_is_fast:
        return "bfloat16"
    return "int8" if _unlimited() and _has("avx2") else "float32"


def fast_dtype() -> torch.dtype:
    """Return bfloat16 where the processor multiplies it faster, float32 elsewhere.

    That is with AMX (five times as fast) or AVX-512's bfloat16 instructions (two to three times),
    if oneDNN may use them.
    """
    allowed = _unlimited() or "AMX" in _limit()
    return torch.bfloat16 if allowed and _has("amx_tile", "avx512_bf16") else torch.float32


def _has(*instructions: str) -> bool:
    """Return whether the processor has one of these sets of instructions."""
    flags = torch.cpu.get_capabilities()
    return any(flags.get(name, False) for name in instructions)


def _unlimited() -> bool:
    """Return whether oneDNN may use all of the processor. Under a limit OpenVINO must not run: not
    all of its kernels know it, and it gives empty answers."""
    return _limit() in ALL_INSTRUCTIONS


def _limit() -> str:
    return read_settings().onednn_limit
