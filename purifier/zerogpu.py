"""A graphics card for as long as one purification takes, where the host lends one (ZeroGPU of Hugging Face Spaces)."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def on_a_lent_card(task: Callable[P, R]) -> Callable[P, R]:
    """The task where a card is lent, the task itself where the package `spaces` is not installed.

    A lent card is there in a process of the task's own: its arguments and its result are pickled and must be on the
    processor, what else it uses is copied.
    """
    try:
        import spaces
    except ImportError:
        return task
    lent: Callable[P, R] = spaces.GPU(task)
    return lent
