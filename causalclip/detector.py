"""Detector.from_pretrained(...).predict(picture) -> Detection, which page, command line and API
show."""

import copy
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from causalclip.calibration import Band, Calibration, sigmoid
from causalclip.clip.backbones import load_for_inference, load_tower, shared_tower
from causalclip.clip.embedding import contributions, embed, needs, parse_part, part_widths
from causalclip.clip.runtime import Runtime
from causalclip.clip.tower import Tower, Trace
from causalclip.clip.views import MAX_SQUARES, View, ViewType, plan_views, render
from causalclip.device import VARIABLE as DEVICE_VARIABLE
from causalclip.device import choose_device
from causalclip.image_type import ImageType, ImageTypeClassifier, is_blank
from causalclip.images.jpeg import compression
from causalclip.languages import _
from causalclip.method import CausalHead
from causalclip.paths import ASSETS, DEFAULT_HEAD, HEADS, detector_folder
from causalclip.private_head import PrivateHead
from causalclip.reference import COMMAND, NO_PROFILE, BadProfile, Profile, Standing

DEFAULT = HEADS[DEFAULT_HEAD]
IMAGE_TYPES = "image-type.safetensors"
SHIPPED_IMAGE_TYPES = ASSETS / "image-type"  # for both heads, and any other on their embedding
ADVERSARY = "adversary."  # weights of training alone, which older folders hold
Head = Literal["causal", "linear"]
# views a pass, as many as a picture of 4:3 has: two take a fifth longer, nine 200 MB more
BATCH = 4


@dataclass(frozen=True, slots=True)
class ViewAttribution:
    """One view and its share of the verdict, in calibrated log-odds.

    kind: "whole" or "window". box: left, top, right, bottom in picture pixels.
    causal: float32 [g, g], what each patch adds to Detection.logit through the causal part, against
        a patch of the average training picture (these are the evidence).
    non_causal: float32 [g, g], what it would have added with 1 - mask in place of the mask. rest:
    what is of no patch.
    mask: float32 [D] in [0, 1], the share of each dimension that was let through.
    channels: float32 [D], what each dimension adds to Detection.logit, against the average training
        picture; with the view's `bias` they add up to its part of the logit, as causal and rest do.
    held: float32 [D], what each dimension would have added with 1 - mask in place of the mask.
    """

    kind: ViewType
    box: tuple[float, float, float, float]
    causal: np.ndarray
    non_causal: np.ndarray
    rest: float
    mask: np.ndarray
    channels: np.ndarray
    held: np.ndarray
    bias: float


@dataclass(frozen=True, slots=True)
class Detection:
    """The verdict on one picture.

    probability: calibrated, in [0, 1], that it was generated. logit: its log-odds.
    band: in words, by the thresholds low and high (probabilities) that are stored with the model.
    views: with their attributions; the sum of all `causal` and all `rest`, plus `rest` here, is the
    logit.
    rest: the calibration's own offset. compression: estimated from the pixels
    (causalclip.images.jpeg).
    parts: names of the embedding's parts, and how many dimensions each has.
    model, revision: which model judged. runtime: in which numbers (causalclip.clip.runtime).
    seconds: the time it took.
    profile: of the archive that it is held to, if it is. kind: what is no photograph gets no
    answer.
    correction: log-odds that the profile's private head added.
    head: "causal" where the mask is the picture's own, "linear" where all pictures have the same.
    """

    probability: float
    logit: float
    band: Band
    low: float
    high: float
    width: int
    height: int
    views: tuple[ViewAttribution, ...]
    rest: float
    compression: tuple[float, ...]
    parts: tuple[tuple[str, int], ...]
    model: str
    revision: str
    runtime: Runtime
    seconds: float
    profile: Profile | None = None
    kind: ImageType = "photograph"
    head: Head = "linear"
    correction: float = 0.0

    @property
    def standing(self) -> Standing | None:
        """Where the score stands among the archive's; None without one, and where there is no
        answer."""
        held = None if self.band == "no answer" else self.profile
        shipped = sigmoid(self.logit - self.correction)
        return held.standing(self.probability, high=self.high, shipped=shipped) if held else None

    @property
    def measured_as(self) -> str | None:
        """The revision whose benchmark speaks of its answer; None where an archive's threshold or
        private head made it another one."""
        own = self.profile and (self.profile.private or self.profile.raised(self.high))
        return None if own else self.revision


@dataclass(frozen=True, slots=True)
class Verdict:
    """A Detection's probability, logit, band and kind alone."""

    probability: float
    logit: float
    band: Band
    kind: ImageType = "photograph"


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What is stored beside the heads.

    parts: of the embedding (causalclip.clip.embedding). share: each view kind's weight in the raw
    logit, when both are seen. windows: how many native windows at most.
    """

    backbone: str
    parts: tuple[str, ...]
    share: dict[ViewType, float]
    windows: int
    calibration: Calibration
    hidden: int = 64
    masked: bool = True
    revision: str = "unreleased"

    @property
    def head(self) -> Head:
        """Whether each picture gets a mask of its own."""
        return "causal" if self.masked and self.hidden else "linear"


@dataclass(frozen=True, slots=True)
class ViewScores:
    """What the heads say of V views, in calibrated log-odds.

    [V, D] each: mask, what one unit of each channel adds (causal, non_causal), what it adds here
    (channels) and would add with 1 - mask (held), and the patches' total on the average picture
    (neutral). [V] each: bias, offset, and correction: what a private head added, which is in the
    others already. The logit is sum(channels) + bias, and also causal . embedding + offset.
    """

    mask: Tensor
    causal: Tensor
    non_causal: Tensor
    channels: Tensor
    held: Tensor
    neutral: Tensor
    bias: Tensor
    offset: Tensor
    correction: Tensor

    @classmethod
    def joined(cls, few: Sequence["ViewScores"]) -> "ViewScores":
        """Those of all views."""
        return cls(
            *(torch.cat([getattr(judged, field.name) for judged in few]) for field in fields(cls))
        )

    def alone(self, channel: int, embedding: Tensor) -> "ViewScores":
        """One channel of the embedding [V, D] without the others and the bias."""
        chosen = torch.zeros(embedding.shape[1])
        chosen[channel] = 1
        causal, channels = self.causal * chosen, self.channels * chosen
        offset = (channels - causal * embedding).sum(1)
        non_causal, held = self.non_causal * chosen, self.held * chosen
        return ViewScores(
            self.mask,
            causal,
            non_causal,
            channels,
            held,
            self.neutral,
            0 * self.bias,
            offset,
            0 * self.bias,
        )


class Detector:
    """Tower, one causal head a kind of view, and calibration.

    Args:
        tower: frozen.
        heads: one for every kind of view that the config gives a share.
        masks: what training measured of each head's mask
            (training.detector.model_card.mask_report), if it is known.
    """

    def __init__(
        self,
        tower: Tower,
        heads: dict[ViewType, CausalHead],
        config: DetectorConfig,
        *,
        name: str = DEFAULT,
        masks: dict[ViewType, dict[str, Any]] | None = None,
    ) -> None:
        self.tower, self.heads, self.config, self.name, self.masks = (
            tower,
            heads,
            config,
            name,
            masks or {},
        )
        self.profile: Profile | None = None
        self.private: PrivateHead | None = None
        # without it, every image is taken for a photograph
        self.image_types: ImageTypeClassifier | None = None
        for head in heads.values():
            head.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path = DEFAULT,
        *,
        runtime: Runtime | None = None,
        beside: "Detector | None" = None,
        device: torch.device | None = None,
    ) -> "Detector":
        """Loads a folder that `python -m training detector` wrote, or one of assets/models by name.

        runtime: None picks the processor's, see causalclip.clip.runtime.
        beside: a detector whose tower it shares, where it is the same one.
        device: that the tower computes on; None for what CAUSALCLIP_DEVICE says, or the processor.
            On a card, products are in bfloat16 and `runtime` has no say.

        Raises:
            WeightsMissing: there is no such detector, or its tower is out of reach.
            UnknownRuntime: CAUSALCLIP_RUNTIME names none.
            NoDevice: CAUSALCLIP_DEVICE names none that is there.
        """
        folder = detector_folder(path)
        raw = json.loads((folder / "config.json").read_text())
        calibration = Calibration(
            **{**raw["calibration"], "quality": tuple(raw["calibration"]["quality"])}
        )
        config = DetectorConfig(**{**raw, "parts": tuple(raw["parts"]), "calibration": calibration})
        shared = beside is not None and beside.config.backbone == config.backbone
        device = device or choose_device(os.environ.get(DEVICE_VARIABLE) or "cpu")
        if beside and shared:
            tower = beside.tower
        elif device.type == "cpu":
            tower = load_for_inference(config.backbone, runtime=runtime)
        else:
            tower = load_tower(config.backbone, dtype=torch.bfloat16).to(device)
        width = sum(part_widths(config.parts, tower))
        heads = {
            k: CausalHead(width, hidden=config.hidden, masked=config.masked).deployed()
            for k in config.share
        }
        weights = load_file(folder / "head.safetensors")
        for kind, head in heads.items():
            own = {
                k.removeprefix(f"{kind}."): v.float()
                for k, v in weights.items()
                if k.startswith(f"{kind}.")
            }
            head.load_state_dict({k: v for k, v in own.items() if not k.startswith(ADVERSARY)})
        measured = folder / "training.json"
        masks = json.loads(measured.read_text())["masks"] if measured.is_file() else None
        detector = cls(tower, heads, config, name=folder.name, masks=masks)
        detector.image_types = _load_image_types(folder, config, width)
        return detector

    def with_profile(self, profile: Profile) -> "Detector":
        """The same, held to an archive: its threshold for "likely generated" is the stricter one of
        both.

        Raises:
            BadProfile: another model judged the archive.
        """
        profile.check(self.name, self.config.revision)
        calibration = self.config.calibration
        held = copy.copy(self)
        held.config = replace(
            self.config, calibration=replace(calibration, high=profile.high(calibration.high))
        )
        held.profile, held.private = profile, profile.private
        if held.private is not None:
            for kind, head in self.heads.items():
                try:
                    held.private.direction(kind, len(head.shift))
                except ValueError as error:
                    raise BadProfile(_(NO_PROFILE, command=COMMAND)) from error
        return held

    @property
    def runtime(self) -> Runtime:
        """Which runtime judges."""
        return self.tower.runtime

    @property
    def differentiable(self) -> Tower:
        """The tower in PyTorch, for gradients; loaded when it is first asked for, where another
        runtime judges."""
        return (
            shared_tower(self.config.backbone)
            if self.tower.runtime in ("int8", "int8-avx2") or self.tower.device.type != "cpu"
            else self.tower
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes config.json, head.safetensors (half precision) and, where it tells image types,
        image-type.safetensors."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            f"{kind}.{k}": v.half().contiguous()
            for kind, head in self.heads.items()
            for k, v in head.state_dict().items()
            if not k.startswith(ADVERSARY)
        }
        save_file(weights, folder / "head.safetensors")
        if self.image_types is not None:
            save_file(
                {k: v.contiguous() for k, v in self.image_types.state_dict().items()},
                folder / IMAGE_TYPES,
            )
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")

    @torch.inference_mode()
    def predict(self, pixels: np.ndarray) -> Detection:
        """Judges one picture: uint8 RGB [H, W, 3] (see causalclip.images.loading.load_image)."""
        started = time.perf_counter()
        parts, quality = self.config.parts, compression(pixels)
        views, judged, embedding, seen = self._explained(pixels)
        verdict = self._verdict(
            judged, quality, self._image_type(views, embedding, blank=is_blank(pixels))
        )
        return Detection(
            probability=verdict.probability,
            logit=verdict.logit,
            band=verdict.band,
            low=self.config.calibration.low,
            high=self.config.calibration.high,
            width=pixels.shape[1],
            height=pixels.shape[0],
            views=seen,
            rest=self.config.calibration.shift(quality),
            compression=tuple(float(q) for q in quality),
            parts=tuple(zip(parts, part_widths(parts, self.tower), strict=True)),
            model=self.name,
            revision=self.config.revision,
            runtime=self.runtime,
            seconds=time.perf_counter() - started,
            profile=self.profile,
            kind=verdict.kind,
            head=self.config.head,
            correction=float(judged.correction.sum()),
        )

    @torch.inference_mode()
    def represent(self, pixels: np.ndarray) -> tuple[Verdict, np.ndarray]:
        """The verdict without a profile, and what a private head learns from.

        Returns:
            The verdict, and float32 [K * D]: for each kind of view, in the order of the config's
            shares, the standardised embedding as the verdict weighs its views, divided by the root
            of the kind's share.
        """
        shipped = copy.copy(self)
        shipped.private = None
        views, quality = self._plan(pixels), compression(pixels)
        shots, weight = render(pixels, views, size=self.tower.image_size), self.view_weights(views)
        needed, parts = needs(self.config.parts, self.tower), self.config.parts
        few = (shots[first : first + BATCH] for first in range(0, len(views), BATCH))
        embedding = torch.cat(
            [
                embed(self.tower(s.to(self.tower.device), **needed), parts, self.tower).cpu()
                for s in few
            ]
        )
        judged = shipped._score_views(views, embedding, weight)
        image_type = self._image_type(views, embedding, blank=is_blank(pixels))
        found = []
        for kind, share in self.config.share.items():
            head, rows = self.heads[kind], [i for i, v in enumerate(views) if v.kind == kind]
            E = (embedding[rows] - head.shift) / head.scale
            found.append((weight[rows, None] * E).sum(0) / share**0.5)
        return shipped._verdict(judged, quality, image_type), torch.cat(found).numpy()

    def subject(self, features: np.ndarray) -> np.ndarray:
        """What pictures show, out of what `represent` returns of them.

        Args:
            features: [N, K * D].

        Returns:
            [N, W], rows of length 1: CLIP's last layer of those that the verdict looks at, of the
            whole picture. Pictures of the same thing have a higher product than others.
        """
        parts = [parse_part(part, self.tower) for part in self.config.parts]
        last = max(range(len(parts)), key=lambda i: (parts[i][0] != "patch", parts[i][1]))
        widths = part_widths(self.config.parts, self.tower)
        first = list(self.config.share).index("whole") * sum(widths) + sum(widths[:last])
        found = features[:, first : first + widths[last]]
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)

    @torch.inference_mode()
    def score(self, pixels: np.ndarray) -> Verdict:
        """The verdict of `predict` without its explanation, for tables and for pictures that are
        only compared."""
        return self.score_batch([pixels])[0]

    @torch.inference_mode()
    def score_batch(
        self,
        pictures: Iterable[np.ndarray],
        *,
        windows: int | None = None,
        squares: int = MAX_SQUARES,
    ) -> list[Verdict]:
        """As `score`, for pictures whose views go through the tower side by side, equal ones once.

        windows: at most so many, where that is fewer than the detector's own number; faster, and
        less sure. squares: of the whole picture, at most.
        """
        plans, qualities, blank = [], [], []
        keys, once = list[list[bytes]](), dict[bytes, Tensor]()  # equal views have one key
        for pixels in pictures:
            plans.append(self._plan(pixels, windows=windows, squares=squares))
            shots = render(pixels, plans[-1], size=self.tower.image_size)
            keys.append([sha256(shot.numpy().tobytes()).digest() for shot in shots])
            once |= dict(zip(keys[-1], shots, strict=True))
            qualities.append(compression(pixels))
            blank.append(is_blank(pixels))
        needed, parts, shown = (
            needs(self.config.parts, self.tower),
            self.config.parts,
            list(once.values()),
        )
        batches = (
            torch.stack(shown[first : first + BATCH]) for first in range(0, len(shown), BATCH)
        )
        seen = torch.cat(
            [
                embed(self.tower(batch.to(self.tower.device), **needed), parts, self.tower).cpu()
                for batch in batches
            ]
        )
        row = {key: i for i, key in enumerate(once)}
        each = [seen[[row[key] for key in own]] for own in keys]
        return [
            self._verdict(
                self._score_views(plan, embedding, self.view_weights(plan)),
                quality,
                self._image_type(plan, embedding, blank=empty),
            )
            for plan, embedding, quality, empty in zip(plans, each, qualities, blank, strict=True)
        ]

    @torch.inference_mode()
    def explain_channel(self, pixels: np.ndarray, channel: int) -> tuple[ViewAttribution, ...]:
        """The same views as `predict`'s, with one dimension of the embedding alone: where its
        contribution comes from.

        In each view, `causal` and `rest` add up to channels[channel]; every other channel and the
        bias are 0.

        Raises:
            IndexError: the embedding has no such dimension.
        """
        return self._explained(pixels, channel=channel)[-1]

    def _plan(
        self, pixels: np.ndarray, *, windows: int | None = None, squares: int = MAX_SQUARES
    ) -> list[View]:
        size, most = self.tower.image_size, self.config.windows
        windows = most if windows is None else min(windows, most)
        return plan_views(
            pixels.shape[1], pixels.shape[0], size=size, windows=windows, squares=squares
        )

    def _explained(
        self, pixels: np.ndarray, *, channel: int | None = None
    ) -> tuple[list[View], ViewScores, Tensor, tuple[ViewAttribution, ...]]:
        """Views, what their heads say, their embeddings, and attributions: of the verdict, or of
        one channel."""
        views = self._plan(pixels)
        shots, weight = render(pixels, views, size=self.tower.image_size), self.view_weights(views)
        few = [slice(first, first + BATCH) for first in range(0, len(views), BATCH)]
        passes = [
            self._pass(shots[rows], views[rows], weight[rows], channel=channel) for rows in few
        ]
        judged, embeddings, seen = zip(*passes, strict=True)
        return views, ViewScores.joined(judged), torch.cat(embeddings), tuple(chain(*seen))

    def _pass(
        self, shots: Tensor, views: Sequence[View], weight: Tensor, *, channel: int | None
    ) -> tuple[ViewScores, Tensor, tuple[ViewAttribution, ...]]:
        """The same of a few views, whose trace is let go of before the next: it takes 14 MB a
        view."""
        trace = self.tower(
            shots.to(self.tower.device),
            attributions=True,
            **needs(self.config.parts, self.tower),
        )
        embedding = embed(trace, self.config.parts, self.tower).cpu()
        judged = self._score_views(views, embedding, weight)
        explained = judged if channel is None else judged.alone(channel, embedding)
        return judged, embedding, self._explain(trace, views, explained)

    def _image_type(self, views: list[View], embedding: Tensor, *, blank: bool) -> ImageType:
        if blank:
            return "blank"
        if self.image_types is None:
            return "photograph"
        return self.image_types.classify(
            embedding[[i for i, view in enumerate(views) if view.kind == "whole"]]
        )

    def _verdict(self, judged: ViewScores, quality: np.ndarray, kind: ImageType) -> Verdict:
        calibration = self.config.calibration
        logit = calibration.shift(quality) + float(judged.channels.sum() + judged.bias.sum())
        probability = sigmoid(logit)
        band = calibration.band(probability) if kind == "photograph" else "no answer"
        return Verdict(probability, logit, band, kind)

    def view_weights(self, views: list[View]) -> Tensor:
        """[V]: each view's weight in the raw logit. Kinds have their shares (all of it where one is
        missing)."""
        counts = {kind: sum(v.kind == kind for v in views) for kind in self.heads}
        total = sum(self.config.share[k] for k, n in counts.items() if n)
        return torch.tensor([self.config.share[v.kind] / total / counts[v.kind] for v in views])

    def _score_views(self, views: Sequence[View], embedding: Tensor, weight: Tensor) -> ViewScores:
        """Every view by the head of its kind, in calibrated log-odds. weight [V]: of each in the
        raw logit."""
        part = weight  # of each view in the whole, for what is in log-odds already
        weight = weight * self.config.calibration.scale
        mask, causal, non_causal, channels, held, neutral = torch.zeros(6, *embedding.shape)
        bias, offset, correction = torch.zeros(3, len(views))
        judged = ViewScores(
            mask, causal, non_causal, channels, held, neutral, bias, offset, correction
        )
        for kind, head in self.heads.items():
            rows = [i for i, v in enumerate(views) if v.kind == kind]
            if not rows:
                continue
            out = head(embedding[rows])
            w = weight[rows, None]
            judged.mask[rows] = out.mask
            judged.causal[rows] = head.direction(out.mask) * w
            judged.non_causal[rows] = head.direction(1 - out.mask) * w
            judged.channels[rows] = head.verdict.weight[0] * out.causal * w
            judged.held[rows] = head.verdict.weight[0] * out.non_causal * w
            judged.neutral[rows] = head.patch_shift
            judged.bias[rows] = head.verdict.bias * weight[rows]
            judged.offset[rows] = head.offset(out.mask) * weight[rows]
            if self.private is not None:
                self._correct(judged, rows, embedding[rows], part[rows], kind)
        return judged

    def _correct(
        self, judged: ViewScores, rows: list[int], embedding: Tensor, part: Tensor, kind: ViewType
    ) -> None:
        """Adds what the private head says of these views, in place. part: of each in the whole."""
        assert self.private is not None
        head = self.heads[kind]
        learned = torch.from_numpy(self.private.direction(kind, len(head.shift)))
        direction = part[:, None] * learned / head.scale
        pushes = direction * (embedding - head.shift)
        judged.causal[rows] += direction
        judged.channels[rows] += pushes
        judged.bias[rows] += part * self.private.offset
        judged.offset[rows] += part * self.private.offset - direction @ head.shift
        judged.correction[rows] = pushes.sum(1) + part * self.private.offset

    def _explain(
        self, trace: Trace, views: Sequence[View], judged: ViewScores
    ) -> tuple[ViewAttribution, ...]:
        parts, g = self.config.parts, self.tower.grid
        device = self.tower.device
        causal, rest = (
            found.cpu()
            for found in contributions(trace, parts, self.tower, judged.causal.to(device))
        )
        non_causal = contributions(trace, parts, self.tower, judged.non_causal.to(device))[0].cpu()
        # what the patches of the average picture add
        usual = (judged.causal * judged.neutral).sum(1)
        causal = causal - usual[:, None] / g**2
        non_causal = non_causal - (judged.non_causal * judged.neutral).sum(1, keepdim=True) / g**2
        rest = rest + usual + judged.offset
        return tuple(
            ViewAttribution(
                kind=view.kind,
                box=view.box,
                causal=causal[i].view(g, g).numpy(),
                non_causal=non_causal[i].view(g, g).numpy(),
                rest=float(rest[i]),
                mask=judged.mask[i].numpy(),
                channels=judged.channels[i].numpy(),
                held=judged.held[i].numpy(),
                bias=float(judged.bias[i]),
            )
            for i, view in enumerate(views)
        )


def _load_image_types(
    folder: Path, config: DetectorConfig, width: int
) -> ImageTypeClassifier | None:
    """The classifier of image types: a detector's own, or else the shipped one where that reads the
    same embedding; None where there is neither."""
    weights = folder / IMAGE_TYPES
    if not weights.is_file():
        weights = SHIPPED_IMAGE_TYPES / IMAGE_TYPES
        about = json.loads((SHIPPED_IMAGE_TYPES / "config.json").read_text(encoding="utf-8"))
        if (about["backbone"], tuple(about["parts"])) != (config.backbone, config.parts):
            return None
    types = ImageTypeClassifier(width).eval().requires_grad_(False)
    types.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    return types
