"""The columns of the table: who attacks, knowing what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from purifier.attacks import Attack
from purifier.attacks.budget import to_levels
from purifier.attacks.state import Objective
from purifier.attacks.wrappers import Averaged, bpda
from purifier.evaluation.rows import Row

DRAWS = 4  # of EOT, where a defence draws noise
Raises = Callable[[Any], Objective]  # a model -> what an attacker raises of it


@dataclass(frozen=True, slots=True)
class Column:
    """attack: None is the clean picture. threat: in words. adaptive: made against each row anew, knowing or asking it;
    else once, against the model without a defence. seen: whether the purifier, or its gate, was trained on this attack.
    saved: quality of the JPEG as which the attacked picture then arrives, where the attack is not adaptive; None is
    without loss. starts: of an adaptive attack, one after the other until the answer is another; one alone where the
    row is random. after: the column whose attack comes first; only answers that outlive it are attacked by this one,
    as AutoAttack does (arXiv 2003.01690), and a row that was not asked there is not asked here.
    """

    name: str
    threat: str
    attack: Attack | None = None
    adaptive: bool = False
    backward: str = ""  # "bpda": the defence's gradient is taken as the identity; "either": only where it has none
    seen: bool = False
    saved: int | None = None
    starts: int = 1
    after: str = ""


GREY = "grey box: knows the model, not the defence"
AROUND = "budget by budget, adaptive: gradient around the defence; stops once the answer is another"
THROUGH = "adaptive: gradient through all, around what has none; stops once the answer is another"
STRENGTH = (
    "budget by budget, adaptive: gradient through all, around what has none, the mean of 4 draws of what is random; "
    "stops once the answer is another (of what is random, in 8 draws)"
)
AGAIN = (
    "budget by budget, the strongest: what outlives APGD in 20 steps is attacked in the same way by PGD in 40, from "
    "three random starts (from one through what is random)"
)
BUDGETS = (1, 2, 4, 8)  # of less, nothing is left in 8 bits
ASKS = "black box: asks the defended model; stops once the answer is another"
COLUMNS = (
    Column("clean", "no attack"),
    Column("PGD 8/255", GREY, Attack("pgd", eps=8, steps=10), seen=True),
    Column(
        "PGD 8/255, as JPEG 90", GREY + "; it arrives as a JPEG", Attack("pgd", eps=8, steps=10), seen=True, saved=90
    ),
    Column("PGD 4/255", GREY, Attack("pgd", eps=4, steps=10), seen=True),
    Column("MI-FGSM 8/255", GREY, Attack("mi-fgsm", eps=8, steps=10), seen=True),
    Column("APGD 8/255", GREY, Attack("apgd", eps=8, steps=10)),
    Column("PGD l2 4.0", GREY, Attack("pgd", eps=4, norm="l2", steps=10), seen=True),
    Column("patch 2 %", GREY, Attack("patch", steps=20), seen=True),
    Column(
        "full-gradient PGD-40 4/255",
        THROUGH,
        Attack("pgd", eps=4, steps=40),
        True,
    ),
    Column(
        "full-gradient APGD 4/255",
        THROUGH,
        Attack("apgd", eps=4, steps=40),
        True,
    ),
    Column(
        "Square 8/255",
        ASKS,
        Attack("square", eps=8, steps=100),
        True,
    ),
    *(Column(f"BPDA + EOT {eps:g}/255", AROUND, Attack("pgd", eps=eps, steps=20), True, "bpda") for eps in BUDGETS),
    *(
        Column(f"APGD {eps:g}/255, white-box adaptive", STRENGTH, Attack("apgd", eps=eps, steps=20), True, "either")
        for eps in BUDGETS
    ),
    *(
        Column(
            f"APGD, then PGD-40 {eps:g}/255, white-box adaptive",
            AGAIN,
            Attack("pgd", eps=eps, steps=40),
            True,
            "either",
            starts=3,
            after=f"APGD {eps:g}/255, white-box adaptive",
        )
        for eps in BUDGETS
    ),
)


@dataclass(frozen=True, slots=True)
class Defended:
    """What is raised of a picture [1, 3, H, W] behind a row's defence, of whoever speaks there: which model that is may
    depend on whether the defence changed the picture."""

    row: Row
    defence: Callable[[Tensor], Tensor]
    raises: Raises

    def __call__(self, pixels: Tensor) -> Tensor:
        shown = self.defence(pixels)
        speaker = self.row.speaks_of(to_levels(shown.detach()), to_levels(pixels.detach()))
        return self.raises(speaker)(shown)


def seen_by(column: Column, row: Row, raises: Raises) -> Objective | None:
    """What this attacker raises; None where the attack does not apply (no gradient to follow)."""
    attack = column.attack
    if attack is None or not column.adaptive or row.name == "no defence":
        return raises(row.speaker)
    if column.backward == "bpda" or not row.smooth:
        if attack.name != "square" and not column.backward:
            return None  # a full gradient that is zero everywhere; BPDA is the attack on this row
        defended = Defended(row, bpda(row.defend), raises)
    else:
        defended = Defended(row, row.defend, raises)
    return Averaged(defended, DRAWS) if row.random and attack.name != "square" else defended
