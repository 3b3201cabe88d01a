"""The attacks, a class each. CONTRIBUTING.md says how to add one.

tests/purifier/test_attacks.py holds every one to its budget.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from purifier.attacks.attacker import Attacker, GradientAttack, Objective, Plan, State, register


@register("pgd")
class PGD(GradientAttack):
    """Projected gradient ascent from a random start (Madry et al., ICLR 2018, arXiv 1706.06083)."""

    def step(self, adversarial: Tensor, gradient: Tensor, loss: Tensor, number: int) -> Tensor:
        return self.budget.project(
            adversarial + self.plan.step_size * self.budget.ascent(gradient), self.clean
        )


@register("apgd")
class APGD(GradientAttack):
    """Projected gradient ascent whose step size halves by itself (Croce & Hein, ICML 2020, arXiv
    2003.01690): steps of 2 eps at first, momentum, a return to the best picture at every
    halving."""

    MOMENTUM = 0.75  # alpha of the paper
    SUCCESSES = 0.75  # rho: the share of steps that must raise the loss, or the step size halves

    def __init__(self, clean: Tensor, plan: Plan) -> None:
        super().__init__(clean, plan)
        self.size = torch.full((len(clean), 1, 1, 1), 2 * plan.budget.eps, device=clean.device)
        self.due = set(_apgd_checkpoints(plan.steps))
        self.before: Tensor | None = None
        self.last = torch.full((len(clean),), -torch.inf, device=clean.device)
        self.rises, self.best = torch.zeros(len(clean)), torch.full((len(clean),), -torch.inf)
        self.halved, self.checked = torch.ones(len(clean), dtype=torch.bool), 0

    def step(self, adversarial: Tensor, gradient: Tensor, loss: Tensor, number: int) -> Tensor:
        before = adversarial if self.before is None else self.before
        self.rises += (loss > self.last).float().cpu()
        self.last = loss
        if number in self.due and number > 1:
            halve = self._stuck(number).to(adversarial.device).view(-1, 1, 1, 1)
            self.size = torch.where(halve, self.size / 2, self.size)
            adversarial = torch.where(halve, self.pixels, adversarial)
        straight = self.budget.project(
            adversarial + self.size * self.budget.ascent(gradient), self.clean
        )
        onward = (
            adversarial
            + self.MOMENTUM * (straight - adversarial)
            + (1 - self.MOMENTUM) * (adversarial - before)
        )
        self.before = adversarial
        return straight if number == 1 else self.budget.project(onward, self.clean)

    def _stuck(self, number: int) -> Tensor:
        """The paper's conditions for halving, [N]: too few steps raised the loss; or nothing was
        halved last time and the best has not improved since."""
        best = self.loss.cpu()
        few = self.rises < self.SUCCESSES * (number - self.checked)
        still = ~self.halved & (best <= self.best)
        self.halved, self.best, self.checked = few | still, best.clone(), number
        self.rises = torch.zeros_like(self.rises)
        return self.halved


@register("mi-fgsm")
class MIFGSM(GradientAttack):
    """Steps along an accumulated gradient, g = g + grad / |grad|_1 (Dong et al., CVPR 2018, arXiv
    1710.06081)."""

    random_start = False
    momentum: Tensor | float = 0.0

    def step(self, adversarial: Tensor, gradient: Tensor, loss: Tensor, number: int) -> Tensor:
        self.momentum = self.momentum + gradient / gradient.abs().mean(
            (1, 2, 3), keepdim=True
        ).clamp_min(1e-12)
        return self.budget.project(
            adversarial + self.plan.step_size * self.budget.ascent(self.momentum), self.clean
        )


@register("di-fgsm")
class DIFGSM(MIFGSM):
    """MI-FGSM on pictures that are shrunk and moved by chance before every step, so that less of it
    hangs on one grid (input diversity: Xie et al., CVPR 2019, arXiv 1803.06978)."""

    SHARE = 0.5  # of the steps that see such a picture
    SMALLEST = 0.9  # of its side

    def run(self, objective: Objective) -> Iterator[State]:
        generator = self.plan.generator()

        def diverse(pixels: Tensor) -> Tensor:
            return objective(self._shrink_at_random(pixels, generator))

        diverse.flat = getattr(objective, "flat", False)  # type: ignore[attr-defined]
        yield from super().run(diverse)

    def offer(self, pixels: Tensor, loss: Tensor) -> Tensor:
        """Take the newest: what the objective says of differently shrunk pictures does not
        compare."""
        self.loss = torch.full_like(self.loss, -torch.inf)
        return super().offer(pixels, loss)

    def _shrink_at_random(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the pictures, or as often as SHARE says, shrunk and put at a random place."""
        draw, factor, down, right = torch.rand(4, generator=generator).tolist()
        if draw >= self.SHARE:
            return pixels
        height, width = pixels.shape[-2:]
        factor = self.SMALLEST + (1 - self.SMALLEST) * factor
        small = F.interpolate(
            pixels, (round(height * factor), round(width * factor)), mode="nearest"
        )
        top = int(down * (height - small.shape[-2] + 1))
        left = int(right * (width - small.shape[-1] + 1))
        return F.pad(
            small, (left, width - small.shape[-1] - left, top, height - small.shape[-2] - top)
        )


@register("cw")
class CarliniWagner(GradientAttack):
    """Raises the objective less the squared length of the change, by Adam on tanh-coded pictures
    (Carlini & Wagner, S&P 2017, arXiv 1608.04644). The constant between the two is fixed, and the
    budget bounds the change."""

    random_start = False
    WEIGHT = 0.02  # of the squared length on the [0, 1] scale
    DECAY = (0.9, 0.999)
    EDGE = 1e-4  # how near to 0 and 1 a coded value comes

    def __init__(self, clean: Tensor, plan: Plan) -> None:
        super().__init__(clean, plan)
        self.mean, self.square = torch.zeros_like(clean), torch.zeros_like(clean)
        # Adam changes every value by about its rate: all together by the step size.
        length = math.sqrt(clean[0].numel()) if plan.budget.norm == "l2" else 1.0
        self.rate = 2 * plan.step_size / length

    def step(self, adversarial: Tensor, gradient: Tensor, loss: Tensor, number: int) -> Tensor:
        code = torch.atanh(adversarial.clamp(self.EDGE, 1 - self.EDGE) * 2 - 1)
        slope = gradient - 2 * self.WEIGHT * (adversarial - self.clean)
        slope = slope * 2 * adversarial * (1 - adversarial)  # d x / d code, x = (1 + tanh code) / 2
        first, second = self.DECAY
        self.mean = first * self.mean + (1 - first) * slope
        self.square = second * self.square + (1 - second) * slope.square()
        mean, square = self.mean / (1 - first**number), self.square / (1 - second**number)
        code = code + self.rate * mean / (square.sqrt() + 1e-12)
        return self.budget.project((torch.tanh(code) + 1) / 2, self.clean)


@register("fgsm")
class FGSM(GradientAttack):
    """One step of the whole budget along the gradient's sign (Goodfellow et al., ICLR 2015, arXiv
    1412.6572)."""

    random_start = False
    default_steps = 1
    steps = 1

    def step(self, adversarial: Tensor, gradient: Tensor, loss: Tensor, number: int) -> Tensor:
        return self.budget.project(
            adversarial + self.budget.eps * self.budget.ascent(gradient), self.clean
        )


@register("square")
class Square(Attacker):
    """A black box attack by random search over squares (Andriushchenko et al., ECCV 2020, arXiv
    1912.00049): starts from vertical stripes of +-eps; a square of new signs stays if it raises the
    loss. Needs no gradient."""

    norms = ("linf",)
    default_steps = 100
    needs_gradient = False

    FIRST_SHARE = 0.8  # of the picture that the first squares cover (p_init of the paper)
    # queries of 10,000 at which the share halves
    HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)

    @torch.no_grad()
    def run(self, objective: Objective) -> Iterator[State]:
        clean, generator, eps = self.clean, self.plan.generator(), self.budget.eps
        start = (clean + eps * _signs(generator, len(clean), clean.shape[3]).to(clean)).clamp(0, 1)
        self.offer(clean, objective(clean).float())
        better = self.offer(start, objective(start).float())
        best = torch.where(better.view(-1, 1, 1, 1), start, clean)
        for number in range(1, self.plan.steps + 1):
            candidate = self._with_squares(best, self._side(number), generator)
            better = self.offer(candidate, objective(candidate).float())
            best = torch.where(better.view(-1, 1, 1, 1), candidate, best)
            yield self.state(number)

    def _side(self, number: int) -> int:
        """The side of the squares at this step, in px."""
        at, (height, width) = number / self.plan.steps * 10_000, self.clean.shape[-2:]
        share = self.FIRST_SHARE / 2 ** sum(at > h for h in self.HALVINGS)
        return max(1, min(height, width, round(math.sqrt(share * height * width))))

    def _with_squares(self, best: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """One square a picture, at a random place, of a random sign a channel."""
        candidate, (count, _, height, width) = best.clone(), best.shape
        places = list(_places(count, height - side, width - side, generator))
        signs = _signs(generator, count, 1).to(best)
        for i, top, left in places:
            place = (i, slice(None), slice(top, top + side), slice(left, left + side))
            candidate[place] = (self.clean[place] + self.budget.eps * signs[i]).clamp(0, 1)
        return candidate


@register("patch")
class Patch(GradientAttack):
    """A square of the picture that may become anything (Brown et al., 2017, arXiv 1712.09665, on
    one picture): sign ascent inside `plan.area`, at a seeded random place; everything else stays as
    it is."""

    bounded = False
    STEP = 16 / 255  # of the sign of the gradient, at first; falls to a quarter of it

    def start(self, objective: Objective) -> Tensor:
        generator = self.plan.generator()
        self.mask = self._squares(generator)
        return torch.where(
            self.mask, torch.rand(self.clean.shape, generator=generator).to(self.clean), self.clean
        )

    def step(self, adversarial: Tensor, gradient: Tensor, loss: Tensor, number: int) -> Tensor:
        size = self.STEP * (1 - 0.75 * number / self.steps)
        return torch.where(
            self.mask, (adversarial + size * gradient.sign()).clamp(0, 1), self.clean
        )

    def _squares(self, generator: torch.Generator) -> Tensor:
        """Return a mask that is True inside each picture's square, [N, 1, H, W]."""
        count, _, height, width = self.clean.shape
        side = max(1, min(height, width, math.floor(math.sqrt(self.plan.area * height * width))))
        mask = torch.zeros(count, 1, height, width, dtype=torch.bool)
        for i, top, left in _places(count, height - side, width - side, generator):
            mask[i, :, top : top + side, left : left + side] = True
        return mask.to(self.clean.device)


def _apgd_checkpoints(steps: int) -> list[int]:
    """The steps at which APGD looks at its step size: p0 = 0, p1 = 0.22, then gaps that shrink by
    0.03 to 0.06."""
    shares, gap = [0.0, 0.22], 0.22
    while shares[-1] < 1:
        gap = max(gap - 0.03, 0.06)
        shares.append(shares[-1] + gap)
    return [min(steps, max(1, round(s * steps))) for s in shares[1:]]


def _places(
    count: int, down: int, right: int, generator: torch.Generator
) -> Iterator[tuple[int, int, int]]:
    """A random top and left of each picture, at most `down` and `right`."""
    tops = torch.randint(down + 1, (count,), generator=generator).tolist()
    lefts = torch.randint(right + 1, (count,), generator=generator).tolist()
    return zip(range(count), tops, lefts, strict=True)


def _signs(generator: torch.Generator, count: int, width: int) -> Tensor:
    return torch.randint(2, (count, 3, 1, width), generator=generator).float() * 2 - 1
