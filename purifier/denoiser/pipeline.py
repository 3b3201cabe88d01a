"""The purifier: a diffusion pipeline that walks a picture from where an attack moved it back to
where it was.

    purifier = PurifierPipeline.from_pretrained()
    purified = purifier(pixels).images  # float [N, 3, H, W] in [0, 1], on 8-bit levels

In this order: the attack detector decides whether a picture was attacked (attack_detector); the
diffusion network walks the bridge between both (training.purifier.bridge says what that is); one
guided step moves CLIP's features towards those of a low-quality JPEG reference (guidance); the
result is quantised (filters). `Stages` switches each of them off. What each is worth stands in the
card of the weights.
"""

from collections.abc import Iterator
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
from causalclip.clip.runtime import fast_dtype
from causalclip.clip.tower import Tower
from causalclip.clip.weights import check_finite
from causalclip.hub import folder_of
from causalclip.paths import ASSETS, WeightsMissing
from purifier.attacks.budget import LEVELS, to_levels
from purifier.denoiser.attack_detector import (
    TOWER,
    AttackDetector,
    attack_decision,
    clip_moves,
    statistics,
)
from purifier.denoiser.filters import (
    QUALITY,
    REFERENCE_SIDE,
    coarser,
    fine_detail,
    quantise,
    quantise_at,
    quantise_by_chance,
    resize,
)
from purifier.denoiser.guidance import guided_step
from purifier.denoiser.tiles import Parts, apply_tiled, finish
from purifier.pixels import check_pixels

DEFAULT = ASSETS / "purifier"
# diffusers loads it with custom_pipeline=FOLDER and trust_remote_code=True
PIPELINE = '''"""The class that diffusers finds for this folder: the code is in CausalCLIP."""

from purifier.denoiser.pipeline import PurifierPipeline

__all__ = ["PurifierPipeline"]
'''
STEPS = 1
MAX_STEPS = 5
SHARD = "8MB"
LORA_WEIGHTS = "pytorch_lora_weights.safetensors"  # of a LatentPurifier, by diffusers' name
FINE = 8.0  # by which the fine detail is enlarged that the network is given beside a picture
APART = 4.0  # by which what the low-quality reference adds is enlarged
SIDE = 224  # px, the short side at which a picture is guided
FINER = 30  # the quality at which it is then quantised
ALWAYS = 4.0  # 1/255, of the noise that is added where the attack detector is not asked


@dataclass(frozen=True, slots=True)
class Stages:
    """Switches for the purifier's parts, so that a visitor can see what each of them does.

    Attributes:
        network: the diffusion network takes out what it finds. The attack detector looks at that
            whether it is taken out or not.
        guided_step: the picture is moved towards the features of its low-quality JPEG reference.
        lora_encoder: those features are the LoRA encoder's; off, CLIP's own.
        quantisation: the result is quantised as a JPEG of quality FINER.
    """

    network: bool = True
    guided_step: bool = True
    lora_encoder: bool = True
    quantisation: bool = True


ALL_STAGES = Stages()


@dataclass
class PurifierOutput(BaseOutput):
    """The pipeline's output. images: float [N, 3, H, W] in [0, 1], on 8-bit levels."""

    images: Tensor


class PurifierPipeline(DiffusionPipeline):
    """A U-Net on pixels, folded by `fold` (pixel-unshuffle), and the scheduler of its steps.

    Args:
        unet: finds the perturbation; takes the picture, its fine detail FINE times enlarged, and,
            if it has 9 fold^2 channels and not 6, APART times what its low-quality reference adds;
            its output, 3 fold^2 channels, times `scale` is the velocity.
        attack_detector: settings of an AttackDetector. Without them the network's walk is the
            answer.
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
        attack_detector: dict[str, Any] | None = None,
        fold: int = 2,
        scale: float = 0.05,
        tile: int = 512,
        overlap: int = 48,
        coarse: int = 256,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)  # type: ignore[attr-defined]
        sizes: dict[str, Any] = {"tile": tile, "overlap": overlap, "coarse": coarse}
        sizes |= {"attack_detector": attack_detector, "fold": fold, "scale": scale}
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
        stages: Stages = ALL_STAGES,
    ) -> PurifierOutput:
        """Purify pictures.

        >>> pipeline = PurifierPipeline.from_pretrained()  # doctest: +SKIP
        >>> purified = pipeline(torch.rand(1, 3, 240, 320)).images  # doctest: +SKIP

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
        pictures = self.purify(
            pixels, num_inference_steps, noise, generator, always=always, stages=stages
        )
        return PurifierOutput(images=to_levels(pictures))

    def purify(
        self,
        pixels: Tensor,
        steps: int = STEPS,
        noise: float = 0.0,
        generator: torch.Generator | None = None,
        *,
        always: bool = False,
        stages: Stages = ALL_STAGES,
    ) -> Tensor:
        """Purify pictures as calling the pipeline does, but without rounding, so that there is a
        gradient: what an adaptive attacker has.

        Args:
            pixels, noise, generator, always, stages: as of `__call__`.
            steps: its num_inference_steps.

        Returns:
            float [N, 3, H, W] in [0, 1].

        Raises:
            ValueError, WeightsMissing: as `__call__`.
        """
        return finish(
            self.purify_in_parts(pixels, steps, noise, generator, always=always, stages=stages)
        )

    def purify_in_parts(
        self,
        pixels: Tensor,
        steps: int = STEPS,
        noise: float = 0.0,
        generator: torch.Generator | None = None,
        *,
        always: bool = False,
        stages: Stages = ALL_STAGES,
    ) -> Parts[Tensor]:
        """Purify pictures as `purify` does; yield between the tiles of large ones."""
        _check(pixels, steps, noise)

        # 1. Add noise
        noise = max(noise, ALWAYS) if always else noise
        if noise:
            generator = generator or _unforeseen()
            normal = torch.randn(pixels.shape, generator=generator, dtype=pixels.dtype)
            pixels = pixels + noise / LEVELS * normal.to(pixels.device)

        # 2. Look for a perturbation
        views, perturbation = yield from self._look(pixels)
        if self.config["attack_detector"] is None:
            denoised = yield from self._walk_at_full_size(pixels, perturbation, steps, stages)
            return denoised.clamp(0, 1)
        if always:
            return (
                yield from self._purify_at_random(
                    pixels, views, perturbation, steps, generator, stages
                )
            )

        # 3. Leave clean pictures as they are
        odds = self._odds(pixels, views, perturbation)
        if not torch.is_grad_enabled() and bool((odds <= 0).all()):
            return pixels.clamp(0, 1)

        # 4. Denoise, guide and quantise
        denoised = yield from self._walk_at_full_size(pixels, perturbation, steps, stages)
        return mix(pixels, self.restore(denoised, stages), odds)

    def _odds(self, pixels: Tensor, views: Tensor, perturbation: Tensor) -> Tensor:
        """Return the detector's log-odds [N] from what `look` found in the pictures."""
        detector = AttackDetector(**self.config["attack_detector"])
        return detector(_evidence(pixels, views, perturbation))

    def _purify_at_random(
        self,
        pixels: Tensor,
        views: Tensor,
        perturbation: Tensor,
        steps: int,
        generator: torch.Generator | None,
        stages: Stages,
    ) -> Parts[Tensor]:
        """Purify without the detector's answer: denoise, then quantise in a way that is drawn
        anew."""
        if not stages.network:
            denoised = views
        elif steps == 1:
            denoised = views - perturbation
        else:
            denoised = yield from self._walk(views, steps)
        size = pixels.shape[-2], pixels.shape[-1]
        return quantise_by_chance(denoised.clamp(0, 1), size, generator=generator)

    def evidence(self, pixels: Tensor) -> Tensor:
        """Return what the attack detector decides by, of pixels [N, 3, H, W]: `statistics` and
        `clip_moves`, [N, D]."""
        return _evidence(pixels, *self.look(pixels))

    def denoise(self, pixels: Tensor, steps: int = STEPS) -> Tensor:
        """Return pictures [N, 3, H, W] in [0, 1] after the network's walk alone, float, neither
        rounded nor clamped."""
        return finish(self._walk_at_full_size(pixels, self.look(pixels)[1], steps))

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pictures that the network looks at, large ones resized to `coarse`, and the
        perturbation that one step would take out of them."""
        return finish(self._look(pixels))

    def _look(self, pixels: Tensor) -> Parts[tuple[Tensor, Tensor]]:
        """Return what `look` does; yield between tiles."""
        side = min(pixels.shape[-2:])
        views = pixels
        if side >= 1.5 * self.config["coarse"]:
            views = resize(pixels, self.config["coarse"] / side)
        denoised = yield from self._walk(views, 1)
        return views, views - denoised

    def _walk_at_full_size(
        self, pixels: Tensor, perturbation: Tensor, steps: int, stages: Stages = ALL_STAGES
    ) -> Parts[Tensor]:
        """Return the pictures after the walk, as they are where the network is off; `perturbation`
        is what `look` found in them."""
        if not stages.network:
            return pixels
        if perturbation.shape == pixels.shape:
            if steps == 1:
                return pixels - perturbation
            return (yield from self._walk(pixels, steps))
        size = pixels.shape[-2:]
        coarse = F.interpolate(perturbation, size, mode="bicubic", align_corners=False)
        return (yield from self._walk(pixels - coarse, steps))

    def _walk(self, pixels: Tensor, steps: int) -> Parts[Tensor]:
        """Walk from t = 1 to t = 0 in Euler steps."""
        # a scheduler of its own: threads share `self`
        scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(sigmas=np.linspace(1, 0, steps + 1)[:-1].tolist())
        x = pixels
        for t in scheduler.timesteps:
            velocity = yield from self._velocity(x, t / scheduler.config["num_train_timesteps"])
            x = scheduler.step(velocity, t, x).prev_sample
        return x

    def velocity(self, pixels: Tensor, t: Tensor) -> Tensor:
        """Return v of the bridge at pixels [N, 3, H, W] and times t ([N] or scalar, in [0, 1])."""
        return finish(self._velocity(pixels, t))

    def _velocity(self, pixels: Tensor, t: Tensor) -> Parts[Tensor]:
        """Return what `velocity` does; yield between tiles."""

        def network(part: Tensor) -> Tensor:
            picture, *reference = part.split(3, 1)
            views = [
                picture * 2 - 1,
                FINE * fine_detail(picture),
                *(APART * (other - picture) for other in reference),
            ]
            blocks = F.pixel_unshuffle(torch.cat(views, 1), self.config["fold"])
            fast = part.is_cuda or fast_dtype() is torch.bfloat16
            with torch.autocast(part.device.type, torch.bfloat16, enabled=fast):
                out = self.unet(blocks, t * 1000).sample
            return F.pixel_shuffle(out.float(), self.config["fold"]) * self.config["scale"]

        tiles = {name: self.config[name] for name in ("tile", "overlap")}
        if self.unet.config["in_channels"] == 9 * self.config["fold"] ** 2:
            pixels = torch.cat([pixels, _low_quality_reference(pixels)], 1)
        return (yield from apply_tiled(network, pixels, multiple=self.multiple, **tiles))

    def restore(
        self, denoised: Tensor, stages: Stages = ALL_STAGES, *, lora_encoder: Tower | None = None
    ) -> Tensor:
        """Take out what the network leaves of an attack: guide and quantise.

        The gradient goes straight through the step and the rounding: to the pictures that are
        moved, and to what they are moved towards. Of a picture larger than SIDE the part that CLIP
        sees is exchanged; finer detail stays.

        Args:
            denoised: float [N, 3, H, W], the pictures behind the network.
            lora_encoder: in place of the shipped one.

        Returns:
            float [N, 3, H, W], which may leave [0, 1] a little.
        """
        if not stages.guided_step and not stages.quantisation:
            return denoised

        # 1. Guide, at the size that CLIP sees
        if stages.guided_step:
            encoder = lora_encoder if stages.lora_encoder else shared_tower(TOWER)
            guided_pixels, reference = towards_reference(denoised, encoder)
            straight_through = reference - reference.detach()
        else:
            guided_pixels = coarser(denoised.clamp(0, 1), SIDE).clamp(0, 1)
            straight_through = torch.zeros(())

        # 2. Quantise
        result = quantise(guided_pixels, FINER) if stages.quantisation else guided_pixels
        result = result + straight_through.to(guided_pixels)
        if result.shape == denoised.shape:
            return result

        # 3. Enlarge the change to the picture's own size
        detail = denoised
        if stages.quantisation:
            detail = quantise_at(denoised, FINER, min(denoised.shape[-2:]))
        change = result - coarser(detail, SIDE)
        size = denoised.shape[-2:]
        return detail + F.interpolate(change, size, mode="bicubic", align_corners=False)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write model_index.json, the scheduler's config and the network, in half precision, in
        shards below 9 MB, and pipeline.py, by which diffusers finds this class.

        Raises:
            NotFinite: a weight is NaN or infinite, in half precision at least; nothing is written.
        """
        originals = [(p, p.data) for p in self.unet.parameters()]
        try:
            self.unet.half()
            check_finite(self.unet.state_dict(), "purifier's network")
            super().save_pretrained(save_directory, max_shard_size=SHARD, **options)  # type: ignore[misc]
            (Path(save_directory) / "pipeline.py").write_text(PIPELINE, encoding="utf-8")
        finally:
            self.unet.float()
            for p, data in originals:
                p.data = data

    @classmethod
    def from_pretrained(cls, folder: str | Path = DEFAULT, **options: Any) -> "PurifierPipeline":
        """Load a folder that save_pretrained wrote, or `owner/name` of the hub, frozen, in float32;
        a low-rank update with its base (denoiser/latent.py).

        Raises:
            WeightsMissing: there is none, its base is not here, or the hub cannot be reached.
        """
        folder = folder_of(folder)
        if not (Path(folder) / "model_index.json").is_file():
            name = Path(folder).name
            raise WeightsMissing(
                f"There is no purifier {name!r}. Train one: python -m training purifier train."
            )
        if (Path(folder) / LORA_WEIGHTS).is_file():
            from purifier.denoiser.latent import load  # which needs this class

            return load(Path(folder))
        with _without_progress_bars():
            pipeline: PurifierPipeline = super().from_pretrained(
                str(folder),
                dtype=torch.float32,
                low_cpu_mem_usage=False,
                local_files_only=True,
                **options,
            )
        # convolves a quarter faster
        pipeline.unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        return pipeline


def mix(pixels: Tensor, purified: Tensor, odds: Tensor) -> Tensor:
    """Return the purified pictures where the log-odds [N] say that they were attacked, else the
    pictures themselves; all [N, 3, H, W] in [0, 1]."""
    return (pixels + attack_decision(odds).view(-1, 1, 1, 1) * (purified - pixels)).clamp(0, 1)


def _evidence(pixels: Tensor, views: Tensor, perturbation: Tensor) -> Tensor:
    """Return what the attack detector reads, [N, D], from what `look` found in the pictures."""
    return torch.cat([statistics(views, perturbation), clip_moves(shared_tower(TOWER), pixels)], 1)


def towards_reference(denoised: Tensor, encoder: Tower | None = None) -> tuple[Tensor, Tensor]:
    """Return pictures behind the network, guided at the size that CLIP sees, and their references:
    [N, 3, H, W] in [0, 1].

    Args:
        denoised: float [N, 3, H, W], of any size.
        encoder: what the references are seen by, in place of the shipped LoRA encoder.
    """
    # at the first picture: it imports transformers, which takes seconds
    from purifier.vlm.lora import shared_encoder

    fine = coarser(denoised.clamp(0, 1), SIDE).clamp(0, 1)
    reference = _low_quality_reference(fine)
    encoder = encoder or shared_encoder(TOWER)
    return guided_step(fine, reference, tower=shared_tower(TOWER), encoder=encoder), reference


def _low_quality_reference(pixels: Tensor) -> Tensor:
    """Quantise pictures as a JPEG of QUALITY, as far below their size as REFERENCE_SIDE is below
    SIDE: little of an attack is left in them."""
    side = round(min(pixels.shape[-2:]) * REFERENCE_SIDE / SIDE)
    return quantise_at(pixels, QUALITY, side).clamp(0, 1)


def _unforeseen() -> torch.Generator:
    """Return a generator with a seed that nobody foresees: PyTorch's own begins every process with
    the same one, which an attacker knows."""
    generator = torch.Generator()
    generator.seed()
    return generator


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep diffusers from drawing progress bars while it loads."""
    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if had_bars:
            logging.enable_progress_bar()


def _check(pixels: Tensor, steps: int, noise: float) -> None:
    """Refuse what `purify` does not take.

    Raises:
        ValueError: the pixels' shape or type, the steps or the noise are others.
    """
    check_pixels(pixels)
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"The purifier takes 1 to {MAX_STEPS} steps, not {steps}.")
    if not 0 <= noise <= 64:
        raise ValueError(f"The noise is a standard deviation from 0 to 64 (in 1/255), not {noise}.")
