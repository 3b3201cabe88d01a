"""The purifier: a diffusion pipeline that walks a picture from where an attack moved it back to
where it was.

    purifier = PurifierPipeline.from_pretrained()
    purified = purifier(pixels).images        float [N, 3, H, W] in [0, 1], on 8-bit levels, the
    same size

In this order: the attack detector decides whether a picture was attacked (attack_detector); the
diffusion network walks the bridge (bridge); one guided step moves CLIP's features towards those of
a low-quality JPEG reference (guidance); the result is quantised (filters). `Stages` switches each
of them off. What each is worth stands in the card of the weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, UNet2DModel
from diffusers.utils import BaseOutput, logging
from torch import Tensor

from causalclip.clip.backbones import shared_tower
from causalclip.clip.tower import Tower
from causalclip.clip.weights import fast_dtype
from causalclip.paths import ASSETS, WeightsMissing
from purifier.attacks.budget import LEVELS, to_levels
from purifier.denoiser.attack_detector import TOWER, AttackDetector, clip_moves, decided, statistics
from purifier.denoiser.bridge import guided
from purifier.denoiser.filters import (
    QUALITY,
    REFERENCE_SIDE,
    apply_tiled,
    coarser,
    fine_detail,
    quantise,
    quantise_at,
    quantise_by_chance,
    resize,
)

DEFAULT = ASSETS / "purifier"
Denoise = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> the same
STEPS, MAX_STEPS = 1, 5
SHARD = "8MB"
FINE, APART = 8.0, 4.0  # by which the network's further views of a picture are enlarged
# px of the short side at which a picture is guided, and quality at which it is then quantised
SIDE, FINER = 224, 30
ALWAYS = 4.0  # 1/255, of the noise that is added where the attack detector is not asked


@dataclass(frozen=True, slots=True)
class Stages:
    """Which parts of the purifier are on, so that each can be measured, and shown, without the
    others.

    detector: a picture that the attack detector takes for clean comes back unchanged; off, every
    picture is purified.
    network: the diffusion network takes out what it finds. The detector looks at that whether it is
    taken out or not.
    guided_step: the picture is moved towards the features of its low-quality JPEG reference.
    encoder: those features are the LoRA encoder's; off, CLIP's own.
    quantisation: the result is quantised as a JPEG of quality FINER.
    """

    detector: bool = True
    network: bool = True
    guided_step: bool = True
    encoder: bool = True
    quantisation: bool = True


ALL = Stages()
# the network and nothing else
ALONE = Stages(detector=False, guided_step=False, quantisation=False)


@dataclass
class PurifierOutput(BaseOutput):
    """images: float [N, 3, H, W] in [0, 1], on 8-bit levels."""

    images: Tensor


class PurifierPipeline(DiffusionPipeline):
    """A U-Net on pixels, folded by `fold` (pixel-unshuffle), and the scheduler of its steps.

    Args:
        unet: finds the perturbation; takes the picture, its fine detail FINE times enlarged, and,
            if it has 9 fold^2 channels and not 6, APART times what its low-quality reference adds;
            its output, 3 fold^2 channels, times `scale` is the velocity.
        gate: settings of an AttackDetector. Without them the network's walk is the answer.
        tile, overlap: of pictures with a side above `tile` px.
        coarse: pictures whose short side is at least 1.5 times as long are first purified at this
            short side, and the correction is enlarged: an attack made at the size that CLIP sees is
            as coarse as that.
    """

    # a UNet2DModel; diffusers builds its classes at run time, type checkers see stand-ins
    unet: Any
    scheduler: Any
    config: Any

    def __init__(
        self,
        unet: UNet2DModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        gate: dict[str, Any] | None = None,
        fold: int = 2,
        scale: float = 0.05,
        tile: int = 512,
        overlap: int = 48,
        coarse: int = 256,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)  # type: ignore[attr-defined]
        sizes: dict[str, Any] = {"tile": tile, "overlap": overlap, "coarse": coarse}
        sizes |= {"gate": gate, "fold": fold, "scale": scale}
        self.register_to_config(**sizes)  # type: ignore[attr-defined]
        self.set_progress_bar_config(disable=True)  # type: ignore[attr-defined]

    @property
    def multiple(self) -> int:
        """The network takes sides that are multiples of this, in px."""
        return int(self.config["fold"] * 2 ** (len(self.unet.config["block_out_channels"]) - 1))

    @torch.no_grad()
    def __call__(
        self,
        pixels: Tensor,
        num_inference_steps: int = STEPS,
        noise: float = 0.0,
        generator: torch.Generator | None = None,
        always: bool = False,
        stages: Stages = ALL,
    ) -> PurifierOutput:
        """Purifies pictures.

        Args:
            pixels: float [N, 3, H, W] in [0, 1], any size.
            num_inference_steps: 1 to 5. Without noise and `always`, the same picture gives the same
                result.
            noise: standard deviation, in 1/255, of Gaussian noise that is added first and removed
                with the rest; `generator` draws it; without one, another noise each time.
            always: whether to purify what the attack detector takes for clean, too, with noise of
                ALWAYS at least and a quantisation that are drawn anew each time, in place of the
                guided step. An attacker who knows the purifier can mislead the detector, and
                prepare for a fixed grid. Without a detector, only the noise is added.
            stages: which parts are on; with `always`, only the network's switch counts.

        Raises:
            ValueError: the pixels' shape or type, the steps or the noise are others.
            WeightsMissing: there is an attack detector, and CLIP or the LoRA encoder is not here.
        """
        purified = self.purify(
            pixels, num_inference_steps, noise, generator, always=always, stages=stages
        )
        return PurifierOutput(images=to_levels(purified))

    def purify(
        self,
        pixels: Tensor,
        steps: int = STEPS,
        noise: float = 0.0,
        generator: torch.Generator | None = None,
        *,
        always: bool = False,
        stages: Stages = ALL,
        denoise: Denoise | None = None,
    ) -> Tensor:
        """The same without rounding, and differentiable: what an adaptive attacker has.

        Args:
            denoise: another denoiser in the network's place. The attack detector goes on looking at
                this one's network, so that another denoiser gets the very same pictures.
        """
        _check(pixels, steps, noise)
        noise = max(noise, ALWAYS) if always else noise
        if noise:
            generator = generator or _unforeseen()
            drawn = torch.randn(pixels.shape, generator=generator, dtype=pixels.dtype)
            pixels = pixels + noise / LEVELS * drawn.to(pixels.device)
        looked, found = self.look(pixels)
        if self.config["gate"] is None:
            return self._walked(pixels, found, steps).clamp(0, 1)
        if always:
            walked = (
                looked
                if not stages.network
                else looked - found
                if steps == 1
                else self._walk(looked, steps)
            )
            size = pixels.shape[-2], pixels.shape[-1]
            return quantise_by_chance(walked.clamp(0, 1), size, generator=generator)
        if stages.detector:
            odds = AttackDetector(**self.config["gate"])(_evidence(pixels, looked, found))
            if not torch.is_grad_enabled() and bool((odds <= 0).all()):
                return pixels.clamp(0, 1)
        if denoise is not None:
            walked = denoise(pixels)
        else:
            walked = self._walked(pixels, found, steps) if stages.network else pixels
        purified = self._guided(walked, stages)
        if not stages.detector:
            return purified.clamp(0, 1)
        return (pixels + decided(odds).view(-1, 1, 1, 1) * (purified - pixels)).clamp(0, 1)

    def evidence(self, pixels: Tensor) -> Tensor:
        """What the attack detector decides by, of pixels [N, 3, H, W]: `statistics` and
        `clip_moves`, [N, D]."""
        return _evidence(pixels, *self.look(pixels))

    @torch.no_grad()
    def forced(self, pixels: Tensor, *, steps: int = STEPS, encoder: Tower | None = None) -> Tensor:
        """The pictures as they are purified where the detector finds an attack; not rounded,
        without a gradient.

        encoder: in place of the shipped LoRA encoder.
        """
        return self._guided(self.denoise(pixels, steps), ALL, encoder).clamp(0, 1)

    def denoise(self, pixels: Tensor, steps: int = STEPS) -> Tensor:
        """The network's walk alone, not rounded: float [N, 3, H, W] -> the same."""
        return self._walked(pixels, self.look(pixels)[1], steps)

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The pictures, large ones at `coarse`, and what one step would take out of them."""
        side = min(pixels.shape[-2:])
        looked = (
            resize(pixels, self.config["coarse"] / side)
            if side >= 1.5 * self.config["coarse"]
            else pixels
        )
        return looked, looked - self._walk(looked, 1)

    def _walked(self, pixels: Tensor, found: Tensor, steps: int) -> Tensor:
        """The pictures after the walk; `found` is what `look` found in them."""
        if found.shape == pixels.shape:
            return pixels - found if steps == 1 else self._walk(pixels, steps)
        return self._walk(
            pixels - F.interpolate(found, pixels.shape[-2:], mode="bicubic", align_corners=False),
            steps,
        )

    def _walk(self, pixels: Tensor, steps: int) -> Tensor:
        """Euler steps from t = 1 to t = 0."""
        scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(
            self.scheduler.config
        )  # its own: threads share `self`
        scheduler.set_timesteps(sigmas=np.linspace(1, 0, steps + 1)[:-1].tolist())
        x = pixels
        for t in scheduler.timesteps:
            x = scheduler.step(
                self.velocity(x, t / scheduler.config["num_train_timesteps"]), t, x
            ).prev_sample
        return x

    def velocity(self, pixels: Tensor, t: Tensor) -> Tensor:
        """v of the bridge at pixels [N, 3, H, W] and times t ([N] or scalar, in [0, 1])."""

        def network(part: Tensor) -> Tensor:
            picture, *reference = part.split(3, 1)
            views = [
                picture * 2 - 1,
                FINE * fine_detail(picture),
                *(APART * (other - picture) for other in reference),
            ]
            folded = F.pixel_unshuffle(torch.cat(views, 1), self.config["fold"])
            with torch.autocast(
                part.device.type, torch.bfloat16, enabled=fast_dtype() is torch.bfloat16
            ):
                out = self.unet(folded, t * 1000).sample
            return F.pixel_shuffle(out.float(), self.config["fold"]) * self.config["scale"]

        tiles = {name: self.config[name] for name in ("tile", "overlap")}
        if self.unet.config["in_channels"] == 9 * self.config["fold"] ** 2:
            pixels = torch.cat([pixels, low_quality_reference(pixels)], 1)
        return apply_tiled(network, pixels, multiple=self.multiple, **tiles)

    def _guided(self, walked: Tensor, stages: Stages, encoder: Tower | None = None) -> Tensor:
        """The pictures behind the network without what it leaves of an attack: guided and
        quantised; it may leave [0, 1] a little.

        The gradient goes straight through the step and the rounding: to the pictures that are
        moved, and to what they are moved towards. Of a picture larger than SIDE the part that CLIP
        sees is exchanged; finer detail stays.
        """
        if not stages.guided_step and not stages.quantisation:
            return walked
        if stages.guided_step:
            moved, reference = towards_reference(
                walked, encoder if stages.encoder else shared_tower(TOWER)
            )
            straight_through = reference - reference.detach()
        else:
            moved, straight_through = coarser(walked.clamp(0, 1), SIDE).clamp(0, 1), torch.zeros(())
        restored = (quantise(moved, FINER) if stages.quantisation else moved) + straight_through.to(
            moved
        )
        if restored.shape == walked.shape:
            return restored
        detailed = (
            quantise_at(walked, FINER, min(walked.shape[-2:])) if stages.quantisation else walked
        )
        change = restored - coarser(detailed, SIDE)
        return detailed + F.interpolate(
            change, walked.shape[-2:], mode="bicubic", align_corners=False
        )

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Writes model_index.json, the scheduler's config and the network, in half precision, in
        shards below 9 MB."""
        kept = [(p, p.data) for p in self.unet.parameters()]
        try:
            self.unet.half()
            super().save_pretrained(save_directory, max_shard_size=SHARD, **options)  # type: ignore[misc]
        finally:
            self.unet.float()
            for p, data in kept:
                p.data = data

    @classmethod
    def from_pretrained(cls, folder: str | Path = DEFAULT, **options: Any) -> "PurifierPipeline":
        """Loads a folder that save_pretrained wrote, frozen, in float32.

        Raises:
            WeightsMissing: there is none.
        """
        if not (Path(folder) / "model_index.json").is_file():
            name = Path(folder).name
            raise WeightsMissing(
                f"There is no purifier {name!r}. Train one: python -m training purifier train."
            )
        with _without_progress_bars():
            loaded: PurifierPipeline = super().from_pretrained(
                str(folder),
                dtype=torch.float32,
                low_cpu_mem_usage=False,
                local_files_only=True,
                **options,
            )
        # convolves a quarter faster
        loaded.unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        return loaded


def new_pipeline(
    *,
    channels: tuple[int, ...] = (32, 64, 128),
    layers: int = 1,
    fold: int = 2,
    seed: int = 0,
    **options: Any,
) -> PurifierPipeline:
    """An untrained purifier, which leaves every picture as it is: its last layer is zero.

    Its U-Net has no attention, so that what is said of a tile does not depend on what is far away.

    Args:
        channels: of the U-Net's levels. layers: its residual blocks a level. fold: see
            PurifierPipeline. seed: of the other weights. options: of PurifierPipeline.
    """
    torch.manual_seed(seed)
    unet: Any = UNet2DModel(
        in_channels=9 * fold**2,
        out_channels=3 * fold**2,
        layers_per_block=layers,
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * len(channels),
        up_block_types=("UpBlock2D",) * len(channels),
        add_attention=False,
        norm_num_groups=8,
    )
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    return PurifierPipeline(unet, FlowMatchEulerDiscreteScheduler(), fold=fold, **options)


def _evidence(pixels: Tensor, looked: Tensor, found: Tensor) -> Tensor:
    return torch.cat([statistics(looked, found), clip_moves(shared_tower(TOWER), pixels)], 1)


def towards_reference(walked: Tensor, encoder: Tower | None = None) -> tuple[Tensor, Tensor]:
    """Pictures behind the network, guided at the size that CLIP sees, and their references: [N, 3,
    H, W] in [0, 1].

    encoder: what the references are seen by, in place of the shipped LoRA encoder.
    """
    from purifier.vlm.lora import (
        shared_encoder,  # imports transformers: seconds, at the first picture
    )

    fine = coarser(walked.clamp(0, 1), SIDE).clamp(0, 1)
    reference = low_quality_reference(fine)
    return guided(
        fine, reference, tower=shared_tower(TOWER), encoder=encoder or shared_encoder()
    ), reference


def low_quality_reference(pixels: Tensor) -> Tensor:
    """Quantised as a JPEG of QUALITY, as far below their size as REFERENCE_SIDE is below SIDE:
    little of an attack is left in it."""
    return quantise_at(
        pixels, QUALITY, round(min(pixels.shape[-2:]) * REFERENCE_SIDE / SIDE)
    ).clamp(0, 1)


def _unforeseen() -> torch.Generator:
    """PyTorch's own generator begins every process with the same seed, which an attacker knows."""
    generator = torch.Generator()
    generator.seed()
    return generator


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """diffusers draws them while it loads."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _check(pixels: Tensor, steps: int, noise: float) -> None:
    if pixels.dim() != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
        raise ValueError(
            f"Pixels must be float [N, 3, H, W] in [0, 1], not {pixels.dtype} "
            f"{tuple(pixels.shape)}."
        )
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"The purifier takes 1 to {MAX_STEPS} steps, not {steps}.")
    if not 0 <= noise <= 64:
        raise ValueError(f"The noise is a standard deviation from 0 to 64 (in 1/255), not {noise}.")
