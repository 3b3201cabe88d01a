"""What a command writes is never what it reads."""

from collections.abc import Iterable
from pathlib import Path


class OverwritesInput(ValueError):
    """A command would write over a file that it reads; the message names it."""


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Check, before any work, that no file that is to be written is one that is read.

    Args:
        outputs, inputs: files, which need not be there; links are followed.

    Raises:
        OverwritesInput: one is.
    """
    written = {path.resolve(): path for path in outputs}
    for path in inputs:
        if path.resolve() in written:
            raise OverwritesInput(
                f"{written[path.resolve()]} is read by this command and would be written over: "
                "give --out another name."
            )
