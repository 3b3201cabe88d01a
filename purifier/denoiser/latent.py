"""The purifier on a pretrained latent diffusion network, as CoDefend has one: a U-Net of diffusers
that stays as it is, and a low-rank update (LoRA) by which it walks the bridge.

    purifier = PurifierPipeline.from_pretrained(folder)  # a LatentPurifier, if the folder has one

The folder holds the update and the name of its base. The bridge lies between the latents of the
attacked and of the clean picture; all else is as in PurifierPipeline.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor, nn

from causalclip.clip.weights import check_finite
from causalclip.paths import WeightsMissing
from purifier.denoiser.pipeline import LORA_WEIGHTS, PurifierPipeline
from purifier.denoiser.tiles import Parts

CONFIG = "model_index.json"
# By its schedule, Stable Diffusion's noise is about 0.2 of a latent's deviation at step 50 of its
# 1,000. That an attack is like noise of that strength is assumed, not measured.
LAST_STEP, SPREAD = 50, 0.2


class LatentPurifier(PurifierPipeline):
    """A PurifierPipeline whose network sees latents; its prompt is zero.

    Args:
        unet, vae: of the base, frozen.
        base: its name, a folder or `owner/name` of the hub.
        attack_detector, coarse: as of PurifierPipeline.
        scale: of the velocity, by which the loss is divided.
        fold, tile, overlap: unused; diffusers wants every setting as an argument.

    Raises:
        ValueError: the network takes other inputs than a latent, a time and a prompt.
    """

    vae: Any

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        scheduler: FlowMatchEulerDiscreteScheduler,
        base: str = "",
        attack_detector: dict[str, Any] | None = None,
        fold: int = 1,
        scale: float = SPREAD,
        tile: int = 512,
        overlap: int = 48,
        coarse: int = 256,
    ) -> None:
        super().__init__(unet, scheduler, attack_detector, fold, scale, tile, overlap, coarse)
        self.register_modules(vae=vae)  # type: ignore[attr-defined]
        self.register_to_config(base=base)  # type: ignore[attr-defined]
        network, channels = self.unet.config, self.vae.config["latent_channels"]
        has_other_inputs = network["addition_embed_type"] or network["class_embed_type"]
        if (
            has_other_inputs
            or not network["in_channels"] == network["out_channels"] == channels
            or not isinstance(network["cross_attention_dim"], int)
        ):
            raise ValueError(
                f"The network of {base!r} cannot be fine-tuned here: it must take a latent, a time "
                "and a prompt, as those of Stable Diffusion 1 and 2 do."
            )

    @property
    def multiple(self) -> int:
        """Pictures are enlarged to sides that are multiples of this, in px."""
        halvings = (len(net.config["block_out_channels"]) - 1 for net in (self.vae, self.unet))
        return int(2 ** sum(halvings))

    def update(self) -> dict[str, nn.Parameter]:
        """Return the matrices of the low-rank update by name."""
        return {name: p for name, p in self.unet.named_parameters() if ".lora_" in name}

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the latents [N, C, h, w], of a deviation of about 1, of pixels [N, 3, H, W]."""
        height, width = pixels.shape[-2:]
        margin = (0, -width % self.multiple, 0, -height % self.multiple)
        enlarged = F.pad(pixels, margin, mode="replicate") * 2 - 1
        return self.vae.encode(enlarged).latent_dist.mode() * self.vae.config["scaling_factor"]

    def decode(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the pictures [N, 3, *size] of latents."""
        height, width = size
        enlarged = self.vae.decode(latents / self.vae.config["scaling_factor"]).sample
        return (enlarged[..., :height, :width] + 1) / 2

    def _walk(self, pixels: Tensor, steps: int) -> Parts[Tensor]:
        """Walk from t = 1 to t = 0 in Euler steps, between latents."""
        latents = yield from super()._walk(self.encode(pixels), steps)
        return self.decode(latents, (pixels.shape[-2], pixels.shape[-1]))

    def _velocity(self, pixels: Tensor, t: Tensor) -> Parts[Tensor]:
        """Return v of the bridge at latents: the noise that the network finds, times `scale`."""
        yield from ()
        prompt = pixels.new_zeros(len(pixels), 1, self.unet.config["cross_attention_dim"])
        noise = self.unet(pixels, t * LAST_STEP, encoder_hidden_states=prompt).sample
        return noise * self.config["scale"]

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write the update and model_index.json, which names the base.

        Raises:
            NotFinite: a weight of the update is NaN or infinite; nothing is written.
        """
        check_finite(self.update(), "purifier's low-rank update")
        folder = Path(save_directory)
        self.unet.save_lora_adapter(folder, weight_name=LORA_WEIGHTS)
        kept = {name: self.config[name] for name in ("base", "attack_detector", "coarse")}
        config = {"_class_name": type(self).__name__} | kept
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_base(base: str, **options: Any) -> LatentPurifier:
    """Load a base from a folder with unet/, vae/ and scheduler/, or `owner/name` of the hub,
    frozen, in float32, as a purifier without an update.

    Args:
        options: of LatentPurifier.

    Raises:
        WeightsMissing: the base is not here, and the hub has none or cannot be reached; or peft is
            not installed.
        ValueError: as of LatentPurifier, or the network predicts no noise.
    """
    if find_spec("peft") is None:
        raise WeightsMissing("The low-rank update of a diffusion network needs pip install peft.")
    parts: tuple[tuple[Any, str], ...] = ((UNet2DConditionModel, "unet"), (AutoencoderKL, "vae"))
    try:
        networks = [
            network.from_pretrained(
                base, subfolder=part, use_safetensors=True, low_cpu_mem_usage=False
            )
            for network, part in parts
        ]
        schedule = FlowMatchEulerDiscreteScheduler.load_config(base, subfolder="scheduler")
    except OSError as error:  # of diffusers, where a file is missing or the hub out of reach
        raise WeightsMissing(
            f"The diffusion model {base!r} is not here, and could not be fetched from the hub. "
            "Fetch it where there is a network, and give a folder with its unet, vae and scheduler."
        ) from error
    if schedule.get("prediction_type", "epsilon") != "epsilon":
        raise ValueError(
            f"The network of {base!r} predicts {schedule['prediction_type']!r}; give one that "
            "predicts noise, as Stable Diffusion 1 does, or 2 at 512 px."
        )
    unet, vae = (network.eval().requires_grad_(False) for network in networks)
    return LatentPurifier(unet, vae, FlowMatchEulerDiscreteScheduler(), base=base, **options)


def load(folder: Path) -> LatentPurifier:
    """Load what `save_pretrained` wrote, on its base; raises as `load_base` does."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    pipeline = load_base(**{name: value for name, value in config.items() if name[0] != "_"})
    pipeline.unet.load_lora_adapter(
        folder, weight_name=LORA_WEIGHTS, prefix=None, adapter_name="default"
    )
    pipeline.unet.requires_grad_(False)
    return pipeline
