"""The device that models compute on: a graphics card where there is one, else the processor."""

from typing import get_args

import torch

from causalclip.settings import Device

DEVICES: tuple[str, ...] = get_args(Device)


class NoDevice(ValueError):
    """A device was asked for that is not there; the message says which could be."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Args:
        name: "auto" (a card if PyTorch sees one), "cpu" or "cuda".

    Raises:
        NoDevice: it is none of these, or PyTorch sees no card.
    """
    if name not in DEVICES:
        raise NoDevice(f"The device {name!r} is none of {', '.join(DEVICES)}.")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise NoDevice(
            "PyTorch sees no graphics card: its build has no CUDA, or the driver is missing. Use "
            "--device cpu, or auto."
        )
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
