"""Every attack raises its loss and keeps its budget exactly; FGSM and PGD agree with foolbox."""

import foolbox
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.defences.adaptive import bpda
from causalclip.detector import Detector
from purifier import choices
from purifier.attacks import ATTACKS, Attack, linf, run_attack
from purifier.attacks.algorithms import CarliniWagner
from purifier.attacks.budget import Budget
from purifier.attacks.goals import OBJECTIVES, GoalError, make_goal
from purifier.attacks.objectives import FlipVerdict, detector_logit
from purifier.models import Models
from purifier.request import Request
from tests.makers.detectors import tiny_detector
from tests.makers.models import tiny_models

LINF = [
    Attack(name, eps=6, steps=12, seed=3) for name, attacker in ATTACKS.items() if attacker.bounded
]
L2 = [
    Attack(name, eps=0.8, norm="l2", steps=12, seed=3)
    for name, attacker in ATTACKS.items()
    if attacker.bounded and "l2" in attacker.norms
]


class Net(nn.Module):
    """A small smooth classifier of three classes; any size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.last = nn.Conv2d(3, 8, 5, stride=2), nn.Linear(8, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.last(torch.tanh(4 * self.first(pixels - 0.5)).mean((2, 3))) * 10


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def clean() -> Tensor:
    pixels = torch.rand(3, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    pixels[0, :, :4] = 0  # values at both ends, where the range cuts the budget
    pixels[1, :, :4] = 1
    return (pixels * 255).round() / 255


@pytest.fixture(scope="module")
def labels(net: Net, clean: Tensor) -> Tensor:
    return net(clean).argmax(1)


def untargeted(net: Net, labels: Tensor):
    return lambda pixels: F.cross_entropy(net(pixels), labels, reduction="none")


def levels(pixels: Tensor) -> Tensor:
    return pixels.double() * 255


@pytest.mark.parametrize("attack", LINF + L2, ids=lambda a: f"{a.name}-{a.norm}")
def test_it_raises_the_loss_and_keeps_its_budget_after_rounding(
    attack: Attack, net, clean, labels
) -> None:
    objective = untargeted(net, labels)
    adversarial = run_attack(attack, clean, objective)
    assert (objective(adversarial) > objective(clean)).all()
    assert torch.allclose(levels(adversarial), levels(adversarial).round(), atol=1e-4)
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    change = levels(adversarial).round() - levels(clean).round()
    if attack.norm == "linf":
        assert change.abs().max() == attack.eps  # whole levels: exact
        assert linf(adversarial, clean).max().item() == pytest.approx(attack.eps, abs=1e-4)
    else:
        lengths = change.flatten(1).norm(dim=1) / 255
        assert (lengths <= attack.eps).all()
        assert (lengths > 0.8 * attack.eps).all()


@pytest.mark.parametrize(
    ("norm", "eps", "change", "kept"),
    [
        ("linf", 0.1, [0.3, -0.05, -0.2], [0.1, -0.05, -0.1]),
        ("l2", 0.1, [0.3, 0.4, 0.0], [0.06, 0.08, 0.0]),
        ("l2", 0.6, [0.3, 0.4, 0.0], [0.3, 0.4, 0.0]),  # inside, so left as it is
        ("linf", 0.7, [0.65, -0.65, 0.2], [0.5, -0.5, 0.2]),  # cut by the range
    ],
)
def test_a_projection_by_hand(norm, eps, change, kept) -> None:
    grey = torch.full((2, 3, 1, 1), 0.5)
    moved = grey.clone()
    moved[1] += torch.tensor(change).view(3, 1, 1)
    found = Budget(eps, norm).project(moved, grey)
    assert torch.equal(found[0], grey[0])  # each picture has a ball of its own
    assert (found[1] - grey[1]).flatten().tolist() == pytest.approx(kept, abs=1e-6)


def test_a_patch_changes_one_square_alone(net, clean, labels) -> None:
    objective = untargeted(net, labels)
    adversarial = run_attack(Attack("patch", steps=10, area=0.1), clean, objective)
    assert (objective(adversarial) > objective(clean)).all()
    for changed in (adversarial != clean).any(1):
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        assert max(rows.max() - rows.min(), columns.max() - columns.min()) < (0.1 * 20 * 28) ** 0.5
    assert torch.allclose(levels(adversarial), levels(adversarial).round(), atol=1e-4)


def test_pgd_is_as_strong_as_foolbox_s(net, clean, labels) -> None:
    model = foolbox.PyTorchModel(net, bounds=(0, 1))
    library = foolbox.attacks.LinfPGD(abs_stepsize=1.5 / 255, steps=20)
    torch.manual_seed(0)
    theirs, _, _ = library(model, clean, labels, epsilons=6 / 255)
    ours = run_attack(Attack("pgd", eps=6, steps=20, step_size=1.5), clean, untargeted(net, labels))
    loss = untargeted(net, labels)
    assert torch.allclose(loss(ours), loss(theirs), rtol=0.03)


def test_carlini_wagner_needs_less_than_its_budget_where_length_costs(
    net, clean, labels, monkeypatch
) -> None:
    attack, objective = Attack("cw", eps=2, norm="l2", steps=40), untargeted(net, labels)
    lengths = []
    for weight in (0.0, 20.0):
        monkeypatch.setattr(CarliniWagner, "WEIGHT", weight)
        adversarial = run_attack(attack, clean, objective)
        assert (objective(adversarial) > objective(clean)).all()
        lengths.append((adversarial - clean).flatten(1).norm(dim=1))
    assert (lengths[0] <= 2).all()
    assert (lengths[1] < 0.8 * lengths[0]).all()


def test_input_diversity_sees_shrunk_pictures_and_repeats_with_its_seed(net, clean, labels) -> None:
    seen = []

    def objective(pixels: Tensor) -> Tensor:
        seen.append(bool((pixels == 0).all(1).flatten(1).any(1).all()))  # a border of padding
        return untargeted(net, labels)(pixels)

    bright = clean.clamp_min(0.1)
    attack = Attack("di-fgsm", eps=8, steps=20, seed=5)
    first = run_attack(attack, bright, objective)
    assert 3 <= sum(seen) <= 18
    assert torch.equal(first, run_attack(attack, bright, objective))
    assert not torch.equal(
        first, run_attack(Attack("di-fgsm", eps=8, steps=20, seed=6), bright, objective)
    )


def test_bpda_passes_the_gradient_by(net, clean, labels) -> None:
    def coarse(pixels: Tensor) -> Tensor:
        return (pixels * 8).round() / 8  # no gradient of its own

    objective = untargeted(net, labels)
    passing = bpda(coarse)

    def seeing(pixels: Tensor) -> Tensor:
        return objective(passing(pixels))

    x = clean.clone().requires_grad_(True)
    y = coarse(clean).requires_grad_(True)
    assert torch.equal(
        torch.autograd.grad(seeing(x).sum(), x)[0], torch.autograd.grad(objective(y).sum(), y)[0]
    )
    adversarial = run_attack(Attack("pgd", eps=16, steps=10), clean, seeing)
    assert (seeing(adversarial) > seeing(clean)).all()


def test_every_attack_and_objective_that_can_be_chosen_is_there() -> None:
    assert list(ATTACKS) == list(choices.ATTACK_CHOICES)
    assert list(OBJECTIVES) == list(choices.OBJECTIVE_TITLES)


def test_every_attack_has_a_sentence_and_its_own_number_of_steps() -> None:
    for name, attacker in ATTACKS.items():
        assert attacker.name == name
        assert attacker.summary.endswith(".")
        assert attacker.default_steps >= 1
    assert not ATTACKS["square"].needs_gradient


def test_what_cannot_be_is_refused(net, clean, labels) -> None:
    for wrong in ({"name": "magic"}, {"steps": 0}, {"name": "square", "norm": "l2"}, {"area": 0.9}):
        with pytest.raises(ValueError, match="attack|patch"):
            Attack(**wrong)
    for eps, words in (
        (-1, "budget must be above 0"),
        (900, "budget must be at most 255 .of 255., not 900"),
    ):
        with pytest.raises(ValueError, match=words):
            run_attack(Attack(eps=eps), clean, untargeted(net, labels))
    with pytest.raises(ValueError, match="Pixels must be"):
        run_attack(Attack(), (clean * 255).byte(), untargeted(net, labels))


def test_a_fractional_budget_is_rounded_down(net, clean, labels) -> None:
    adversarial = run_attack(Attack("pgd", eps=2.7, steps=5), clean, untargeted(net, labels))
    assert (levels(adversarial) - levels(clean)).abs().max().item() == pytest.approx(2, abs=1e-4)


QUESTION = "What animal is in the picture?"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return tiny_detector()


@pytest.fixture(scope="module")
def two_pictures() -> Tensor:
    pixels = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    return (pixels * 255).round() / 255


def raised(objective, two_pictures: Tensor, **options) -> Tensor:
    with torch.no_grad():
        return objective(
            run_attack(Attack(eps=8, steps=8, **options), two_pictures, objective)
        ) - objective(two_pictures)


def test_the_differentiable_logit_is_nearly_the_detector_s(
    detector: Detector, two_pictures: Tensor
) -> None:
    shown = (two_pictures * 255).round().byte().permute(0, 2, 3, 1).numpy()
    theirs = [detector.predict(np.ascontiguousarray(p)).logit for p in shown]
    assert detector_logit(detector, two_pictures).tolist() == pytest.approx(theirs, abs=0.15)


def test_the_verdict_is_pushed_to_the_other_side(detector: Detector, two_pictures: Tensor) -> None:
    before = detector_logit(detector, two_pictures)
    adversarial = run_attack(
        Attack(eps=8, steps=8), two_pictures, FlipVerdict(detector, two_pictures)
    )
    after = detector_logit(detector, adversarial)
    assert (torch.where(before > 0, before - after, after - before) > 0.05).all()
    up = run_attack(
        Attack(eps=8, steps=8),
        two_pictures,
        FlipVerdict(detector, two_pictures, target="generated"),
    )
    assert (detector_logit(detector, up) > before + 0.05).all()
    with pytest.raises(ValueError, match="generated or not generated"):
        FlipVerdict(detector, two_pictures, target="real")


@pytest.fixture(scope="module")
def models() -> Models:
    return tiny_models()


@pytest.mark.parametrize("objective", ["answer", "caption", "features", "detector"])
def test_every_goal_is_raised_and_says_what_the_model_says(
    models: Models, two_pictures: Tensor, objective: str
) -> None:
    request = Request(objective=objective, question=QUESTION)
    goal = make_goal(models, two_pictures[:1], request)
    assert goal.before == goal.say(two_pictures[:1])
    assert not goal.reached(goal.before)
    assert (raised(goal.objective, two_pictures[:1]) > 0).all()


def test_a_target_is_reached_only_by_itself_and_is_not_what_is_said_already(
    models: Models, two_pictures: Tensor
) -> None:
    picture = two_pictures[:1]
    asked = Request(objective="answer", question=QUESTION)
    before = make_goal(models, picture, asked).before
    target = next(a for a in models.vlm.answers if a != before)
    goal = make_goal(models, picture, asked.model_copy(update={"target": f" {target.upper()} "}))
    assert goal.reached(target)
    assert not goal.reached("something else")
    with pytest.raises(GoalError, match="already answers"):
        make_goal(models, picture, asked.model_copy(update={"target": before}))
    verdict = make_goal(models, picture, Request(objective="detector"))
    assert {verdict.before, verdict.target} == {"generated", "not generated"}
    with pytest.raises(GoalError, match="already says"):
        make_goal(models, picture, Request(objective="detector", target=verdict.before))
