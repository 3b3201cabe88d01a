"""How the purifier is trained."""

from dataclasses import dataclass
from typing import Literal

from purifier.vlm.features import LAYERS


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a run.

    kind: "bridge" is ours; "regression" and "noise" are what it is compared with, on the same network: one step from
        the adversarial picture to the clean one by squared error alone, and the removal of Gaussian noise without ever
        seeing an attack (DiffPure's recipe).
    steps: of the optimiser. batch: pictures a step. crop: px, where CLIP does not guide.
    guided: the share of steps that CLIP guides (they cost ten times as much), after the first `guide_from` of the run;
        guidance: its weight.
    clean: the share of pictures that come in clean. noisy: the share with Gaussian noise, up to `noise` (1/255).
    decay: the last share of the run, over which the learning rate falls to 0. average: of the weights.
    check: every how many steps it is measured on held-out pairs, the first `held` files, and saved.
    stop_after: end after so many steps, with the learning rate where it is then.
    layers: of CLIP, that guide beside its embedding.
    """

    kind: Literal["bridge", "regression", "noise"] = "bridge"
    steps: int = 3000
    batch: int = 6
    crop: int = 160
    lr: float = 1e-3
    guided: float = 0.3
    guide_from: float = 0.1
    guidance: float = 0.5
    clean: float = 0.15
    noisy: float = 0.25
    noise: float = 16.0
    decay: float = 0.3
    average: float = 0.995
    check: int = 100
    held: int = 2
    stop_after: int | None = None
    layers: tuple[int, ...] = LAYERS
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RefiningConfig:
    """steps, rate: of the optimiser; a step is one batch of attacks. decay: the last share of the run, over which the
    rate falls nearly to 0. pixels, left, said: weights of the squared error, of what is left of an attack's shift, and
    of the divergence. clean: the share of pictures that come in clean. between: of steps at another time of the bridge
    than its start. quantised: of steps after which the result is looked at quantised, as it is at use. units: batches
    by which an attack's shift is measured. average: of the weights. check: every how many steps it is saved."""

    steps: int = 1700
    rate: float = 4e-4
    decay: float = 0.5
    pixels: float = 1.5
    left: float = 0.6
    said: float = 0.6
    clean: float = 0.1
    between: float = 0.2
    quantised: float = 0.5
    units: int = 6
    average: float = 0.995
    check: int = 100
    seed: int = 0
