"""How many steps an attack may take on this machine, fixed before it begins: no load of a server changes a picture.

What a step costs is measured once, before the first attack of its kind. Where there is no graphics card that is the
time of one thread on the processor: what else the machine does at that moment does not count, and a second thread that
waits for its turn would. Each of several threads is taken to do SHARED of what one does alone.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from purifier.aims import make_aim
from purifier.attacks import Attack, AttackName, attack_steps
from purifier.models import Models
from purifier.names import OTHER

SIDES = 224, 896  # px, of the two pictures that a step is measured on: the cost grows with the number of pixels
QUESTION = "what is it?"
SHARED = 0.7


def within(models: Models, vlm: str, objective: str, attack: Attack, pixels: Tensor, longest: float) -> Attack:
    """The same attack with as many steps as `longest` seconds hold at most, and one at least.

    Args:
        vlm: EMBEDDED or OTHER, see Models.voice. objective: see `make_aim`. pixels: [N, 3, H, W].
    """
    if attack.name == "fgsm":  # one step, whatever is wished
        return attack
    asked: AttackName = (
        "square" if attack.name == "square" else "pgd"
    )  # the one asks only, all others take the gradient
    fixed, each = models.pace((vlm, objective, asked), lambda: costs(models, vlm, objective, asked))
    cost = fixed + each * pixels.shape[-1] * pixels.shape[-2]
    return replace(attack, steps=max(1, min(attack.steps, int(longest / max(cost, 1e-6)))))


def costs(models: Models, vlm: str, objective: str, attack: AttackName) -> tuple[float, float]:
    """What one step of an attack costs: seconds of any picture, and seconds a pixel more."""
    given = (vlm, objective, attack)
    taken = models.on_card(timed, *given) if vlm == OTHER else timed(models, *given)
    small, large = (side**2 for side in SIDES)
    each = max(0.0, (taken[1] - taken[0]) / (large - small))
    return max(0.0, taken[0] - each * small), each


def timed(models: Models, vlm: str, objective: str, attack: AttackName) -> list[float]:
    """Seconds of one step on a picture of each side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of this thread alone
    try:
        alone = _timed(models, vlm, objective, attack)
    finally:
        torch.set_num_threads(threads)
    return [seconds / (1.0 if torch.cuda.is_available() else max(1.0, SHARED * threads)) for seconds in alone]


def _timed(models: Models, vlm: str, objective: str, attack: AttackName) -> list[float]:
    seconds = []
    for side in SIDES:
        picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        aim = make_aim(models, picture, objective, question=QUESTION if objective == "answer" else None, vlm=vlm)
        states = attack_steps(Attack(attack, steps=2), picture, aim.objective)
        next(states)  # the first one sets up what later ones use
        clock = _clock()
        begun = clock()
        float(next(states).loss)  # waits for a graphics card
        seconds.append(clock() - begun)
    return seconds


def _clock() -> Callable[[], float]:
    return time.perf_counter if torch.cuda.is_available() else time.thread_time
