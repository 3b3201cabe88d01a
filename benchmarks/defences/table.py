"""The table: a row is what a picture goes through before the model sees it, a column who attacks,
knowing what."""

import io
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from statistics import median as median_of
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from benchmarks.defences.adaptive import ExpectationOverTransformation, bpda
from causalclip.clip.backbones import shared_tower
from purifier.attacks import Attack, Objective
from purifier.attacks.budget import to_levels
from purifier.denoiser.attack_detector import AttackDetector
from purifier.denoiser.filters import QUALITY, resize
from purifier.denoiser.pipeline import PurifierPipeline, Stages, mix
from purifier.models import Models
from purifier.pixels import to_array
from purifier.vlm.lora import LoraEncoder

Defence = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> the same

# Rows ---------------------------------------------------------------------------------------------

WHOLE_PURIFIER, NETWORK_ALONE = "ours, 1 step, adapted encoder", "the network alone"
# CoDefend: a denoiser and an encoder, nothing behind
READ_BY_ENCODER = f"{NETWORK_ALONE}, adapted encoder"
UNGATED = "ours, ungated, adapted encoder"
REPEATED: tuple[tuple[str, int, Callable[[Sequence[float]], float]], ...] = (
    (UNGATED, 1, median_of),
    (f"{UNGATED}, majority of five", 5, median_of),
    (f"{UNGATED}, sent eight times", 8, min),
)
WITHOUT = {
    "ours without the network": Stages(network=False),
    "ours without the guided step": Stages(guided_step=False),
    "ours without the quantisation": Stages(quantisation=False),
    "ours without the LoRA encoder": Stages(lora_encoder=False),
}
# the same network, learned from the same pictures by three recipes, and each of them guided by CLIP
# as it learned: name -> folder
RECIPES = {"supervised": "bridge", "unsupervised": "noise", "regression": "regression"}
DENOISERS = RECIPES | {f"guided {name}": f"guided-{folder}" for name, folder in RECIPES.items()}
ADAPTED, OWN_ENCODER = "adapted encoder", "encoder of its own"  # who reads behind a denoiser
COMPARISONS = (  # of which two the answers are compared one by one
    *((WHOLE_PURIFIER, row) for row in WITHOUT),
    *((WHOLE_PURIFIER, f"ours with the {name} denoiser") for name in DENOISERS),
    *((NETWORK_ALONE, f"the {name} denoiser alone") for name in DENOISERS),
    *((READ_BY_ENCODER, f"the {name} denoiser alone, adapted encoder") for name in DENOISERS),
    *(
        (f"the {one} denoiser alone{encoder}", f"the {other} denoiser alone{encoder}")
        for encoder in ("", f", {ADAPTED}", f", {OWN_ENCODER}")
        for one, other in (
            *(("supervised", name) for name in RECIPES if name != "supervised"),
            *(("guided supervised", f"guided {name}") for name in RECIPES if name != "supervised"),
            *((f"guided {name}", name) for name in RECIPES),
        )
    ),
    (WHOLE_PURIFIER, NETWORK_ALONE),
    (WHOLE_PURIFIER, f"JPEG {QUALITY}"),
    ("ours without the network", f"JPEG {QUALITY}"),
)
NOISE = 12.0  # of the unsupervised denoiser, in 1/255: what hides a perturbation of 8/255 under it
LOW_PASS_SIDE = 40  # px of the short side
DRAWS = 4  # of EOT, where a defence draws noise
BUDGETS = (1, 2, 4, 8)  # of less, nothing is left in 8 bits
GREY = "grey box: knows the model, not the defence"
AROUND = "budget by budget, adaptive: gradient around the defence; stops once the answer is another"
THROUGH = "adaptive: gradient through all, around what has none; stops once the answer is another"
STRENGTH = (
    "budget by budget, adaptive: gradient through all, around what has none, the mean of 4 draws "
    "of what is random; stops once the answer is another (of what is random, in 8 draws)"
)
AGAIN = (
    "budget by budget, the strongest: what outlives APGD in 20 steps is attacked in the same way "
    "by PGD in 40, from three random starts (from one through what is random)"
)
SENTENCE = "a white dog is running on the beach"
ASKS = "black box: asks the defended model; stops once the answer is another"
Raises = Callable[[Any], Objective]  # a model -> what an attacker raises of it


@dataclass(frozen=True, slots=True)
class Row:
    """defend: float [N, 3, H, W] in [0, 1] -> the same, not rounded. speaker: the model that
    answers behind it. lora_vlm: the one with the LoRA encoder, where the row has it; it answers
    about pictures that the defence changed.
    smooth: whether it has a gradient of its own. random: whether it draws noise. draws: how often
    the same picture goes through it, and `over` what is made of the outcomes: their median, which
    is the majority's, or the least, where one other answer is enough for the attacker.
    """

    name: str
    defend: Defence
    speaker: Any
    lora_vlm: Any = None
    smooth: bool = True
    random: bool = False
    draws: int = 1
    over: Callable[[Sequence[float]], float] = median_of

    def speaks_of(self, shown: Tensor, given: Tensor) -> Any:
        """Who answers about `shown`, [1, 3, H, W], which the defence made of `given`."""
        return self.lora_vlm if self.lora_vlm and not torch.equal(shown, given) else self.speaker


def build_rows(models: Models, vlm: Any, *, compared: Path | None) -> list[Row]:
    """Every row whose models are here.

    Other denoisers are left out where `compared` does not hold them, and rows of the LoRA encoder
    where another model than the embedded one is asked: it has none.

    Args:
        vlm: which model is attacked and asked.
    """
    ours = models.purifier
    lora_vlm = models.lora_vlm if vlm is models.vlm else None
    by_chance = partial(ours.purify, always=True)

    def alone(pixels: Tensor) -> Tensor:
        return ours.denoise(pixels).clamp(0, 1)

    rows = [
        Row("no defence", lambda x: x, vlm),
        Row("JPEG 75", jpeg, vlm, smooth=False),
        Row(f"JPEG {QUALITY}", lambda x: jpeg(x, QUALITY), vlm, smooth=False),
        Row("median blur", median, vlm, smooth=False),
        Row(f"low pass, {LOW_PASS_SIDE} px", _low_pass, vlm),
        Row("ours, 1 step", ours.purify, vlm),
        Row("ours, 4 steps", partial(ours.purify, steps=4), vlm),
        Row("ours, ungated", by_chance, vlm, random=True),
        Row(WHOLE_PURIFIER, ours.purify, vlm, lora_vlm),
        *(
            Row(name, by_chance, vlm, lora_vlm, random=True, draws=draws, over=over)
            for name, draws, over in REPEATED
        ),
        *(
            Row(
                name,
                partial(ours.purify, stages=stages),
                vlm,
                lora_vlm if stages.lora_encoder else None,
            )
            for name, stages in WITHOUT.items()
        ),
        Row(NETWORK_ALONE, alone, vlm),
        Row(READ_BY_ENCODER, alone, vlm, lora_vlm),
    ]
    for name, denoise in _denoisers(compared, models.device).items():
        random = _adds_noise(name)
        by_itself = f"the {name} denoiser alone"
        whole = with_denoiser(ours, denoise)
        rows.append(Row(f"ours with the {name} denoiser", whole, vlm, lora_vlm, random=random))
        rows.append(Row(by_itself, denoise, vlm, random=random))
        rows.append(Row(f"{by_itself}, {ADAPTED}", denoise, vlm, lora_vlm, random=random))
        own_vlm = _with_own_encoder(compared, name, lora_vlm, models.device)
        if own_vlm:
            rows.append(Row(f"{by_itself}, {OWN_ENCODER}", denoise, vlm, own_vlm, random=random))
    return [row for row in rows if lora_vlm or ADAPTED not in row.name]


def _low_pass(pixels: Tensor, side: int = LOW_PASS_SIDE) -> Tensor:
    """The picture at a short side of `side` px, enlarged to its own size again: too coarse for an
    attack to survive."""
    small = resize(pixels, side / min(pixels.shape[-2:]))
    return F.interpolate(small, pixels.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 1)


def with_denoiser(ours: PurifierPipeline, denoise: Defence) -> Defence:
    """Ours with another denoiser in its network's place. The attack detector goes on looking by
    our network, so that another denoiser gets the very same pictures."""

    def purify(pixels: Tensor) -> Tensor:
        attack_detector = AttackDetector(**ours.config["attack_detector"])
        odds = attack_detector(ours.evidence(pixels))
        if not torch.is_grad_enabled() and bool((odds <= 0).all()):
            return pixels.clamp(0, 1)
        return mix(pixels, ours.restore(denoise(pixels)), odds)

    return purify


def _denoisers(compared: Path | None, device: Any) -> dict[str, Defence]:
    """Return those of DENOISERS that are here: our recipe, the bridge on adversarial pairs, on as
    few pictures as the others had; DiffPure's recipe (Gaussian noise is added, then taken away, and
    no attack was ever seen); and one step of regression on adversarial pairs."""
    denoisers: dict[str, Defence] = {}
    for name, folder in DENOISERS.items():
        if compared is not None and (compared / folder / "model_index.json").is_file():
            pipeline: Any = PurifierPipeline.from_pretrained(compared / folder)
            pipeline.to(device or "cpu")
            noise: dict[str, Any] = (
                {"noise": NOISE, "generator": torch.default_generator} if _adds_noise(name) else {}
            )
            denoisers[name] = partial(pipeline.purify, **noise)
    return denoisers


def _adds_noise(denoiser: str) -> bool:
    """Return whether a denoiser of this name takes away noise that is added first."""
    return denoiser.removeprefix("guided ") == "unsupervised"


def _with_own_encoder(compared: Path | None, denoiser: str, lora_vlm: Any, device: Any) -> Any:
    """Return the model on the LoRA encoder that was trained behind this denoiser, None where there
    is none; it stands beside the denoiser, in FOLDER-encoder."""
    if compared is None or lora_vlm is None:
        return None
    folder = compared / f"{DENOISERS[denoiser]}-encoder"
    if not (folder / "model.safetensors").is_file():
        return None
    encoder = LoraEncoder.from_pretrained(folder)
    return lora_vlm.with_tower(encoder.on(shared_tower(lora_vlm.config.tower))).to(device or "cpu")


def jpeg(pixels: Tensor, quality: int = 75) -> Tensor:
    """A JPEG round trip."""

    def through(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return _by_picture(pixels, through)


def median(pixels: Tensor) -> Tensor:
    """The median of each 3 x 3 px."""
    return _by_picture(pixels, lambda picture: picture.filter(ImageFilter.MedianFilter(3)))


def _by_picture(pixels: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    changed = [
        np.asarray(change(Image.fromarray(to_array(pixels[i : i + 1])))) for i in range(len(pixels))
    ]
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2).to(pixels) / 255


# Columns ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """attack: None is the clean picture. threat: in words. adaptive: made against each row anew,
    knowing or asking it; else once, against the model without a defence. seen: whether the
    purifier, or its attack detector, was trained on this attack. saved: quality of the JPEG as
    which the attacked picture then arrives, where the attack is not adaptive; None is without loss.
    starts: of an adaptive attack, one after the other until the answer is another; one alone where
    the row is random. after: the column whose attack comes first; only answers that outlive it are
    attacked by this one, as AutoAttack does (arXiv 2003.01690), and a row that was not asked there
    is not asked here. backward: "bpda", the defence's gradient is taken as the identity; "either",
    only where it has none. sentence: the caption that the attacker wants said, in place of another
    answer; then every picture is captioned. on_caption: another caption is wanted instead.
    """

    name: str
    threat: str
    attack: Attack | None = None
    _: KW_ONLY
    adaptive: bool = False
    backward: str = ""
    seen: bool = False
    saved: int | None = None
    starts: int = 1
    after: str = ""
    sentence: str = ""
    on_caption: bool = False


COLUMNS = (
    Column("clean", "no attack"),
    Column("PGD 8/255", GREY, Attack("pgd", eps=8, steps=10), seen=True),
    Column(
        "PGD 8/255, as JPEG 90",
        GREY + "; it arrives as a JPEG",
        Attack("pgd", eps=8, steps=10),
        seen=True,
        saved=90,
    ),
    Column("PGD 4/255", GREY, Attack("pgd", eps=4, steps=10), seen=True),
    Column("MI-FGSM 8/255", GREY, Attack("mi-fgsm", eps=8, steps=10), seen=True),
    Column("APGD 8/255", GREY, Attack("apgd", eps=8, steps=10)),
    Column("PGD l2 4.0", GREY, Attack("pgd", eps=4, norm="l2", steps=10), seen=True),
    Column("DI-FGSM 8/255", GREY, Attack("di-fgsm", eps=8, steps=10)),
    Column("CW l2 4.0", GREY, Attack("cw", eps=4, norm="l2", steps=20)),
    Column(
        "PGD 8/255, the caption",
        f"{GREY}; changes the caption",
        Attack("pgd", eps=8, steps=10),
        seen=True,
        on_caption=True,
    ),
    Column(
        "PGD 8/255, a sentence",
        GREY + "; wants one sentence said",
        Attack("pgd", eps=8, steps=30),
        sentence=SENTENCE,
    ),
    Column("patch 2 %", GREY, Attack("patch", steps=20), seen=True),
    Column("full-gradient PGD-40 4/255", THROUGH, Attack("pgd", eps=4, steps=40), adaptive=True),
    Column("full-gradient APGD 4/255", THROUGH, Attack("apgd", eps=4, steps=40), adaptive=True),
    Column("Square 8/255", ASKS, Attack("square", eps=8, steps=100), adaptive=True, seen=True),
    *(
        Column(
            f"BPDA + EOT {eps:g}/255",
            AROUND,
            Attack("pgd", eps=eps, steps=20),
            adaptive=True,
            backward="bpda",
        )
        for eps in BUDGETS
    ),
    *(
        Column(
            f"APGD {eps:g}/255, white-box adaptive",
            STRENGTH,
            Attack("apgd", eps=eps, steps=20),
            adaptive=True,
            backward="either",
        )
        for eps in BUDGETS
    ),
    *(
        Column(
            f"APGD, then PGD-40 {eps:g}/255, white-box adaptive",
            AGAIN,
            Attack("pgd", eps=eps, steps=40),
            adaptive=True,
            backward="either",
            starts=3,
            after=f"APGD {eps:g}/255, white-box adaptive",
        )
        for eps in BUDGETS
    ),
)


@dataclass(frozen=True, slots=True)
class DefendedObjective:
    """What is raised of a picture [1, 3, H, W] behind a row's defence, of whoever speaks there:
    which model that is may depend on whether the defence changed the picture."""

    row: Row
    defence: Defence
    raises: Raises

    def __call__(self, pixels: Tensor) -> Tensor:
        shown = self.defence(pixels)
        speaker = self.row.speaks_of(to_levels(shown.detach()), to_levels(pixels.detach()))
        return self.raises(speaker)(shown)


def attacker_objective(column: Column, row: Row, raises: Raises) -> Objective | None:
    """What this attacker raises; None where the attack does not apply (no gradient to follow)."""
    attack = column.attack
    if attack is None or not column.adaptive or row.name == "no defence":
        return raises(row.speaker)
    if column.backward == "bpda" or not row.smooth:
        if attack.attacker.needs_gradient and not column.backward:
            return None  # a full gradient that is zero everywhere; BPDA is the attack on this row
        defended = DefendedObjective(row, bpda(row.defend), raises)
    else:
        defended = DefendedObjective(row, row.defend, raises)
    if row.random and attack.attacker.needs_gradient:
        return ExpectationOverTransformation(defended, DRAWS)
    return defended
