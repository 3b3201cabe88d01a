"""Detector.from_pretrained(...).predict(picture) -> Detection, which page, command line and API
show."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from safetensors.torch import load_file
from torch import Tensor

from causalclip.calibration import Calibration, sigmoid
from causalclip.clip.backbones import load_for_inference, load_tower, shared_tower
from causalclip.clip.embedding import contributions, embed, needs, parse_part, part_widths
from causalclip.clip.runtime import Runtime
from causalclip.clip.tower import Tower, Trace
from causalclip.clip.views import MAX_SQUARES, View, ViewType, plan_views, render
from causalclip.clip.weights import save_weights
from causalclip.detection import Correction, Detection, Head, ImageType, Verdict, ViewAttribution
from causalclip.device import choose_device
from causalclip.hub import PushToHub
from causalclip.image_type import ImageTypeClassifier, is_blank
from causalclip.images.jpeg import compression
from causalclip.images.loading import as_pixels
from causalclip.method import CausalHead
from causalclip.paths import ASSETS, DEFAULT_HEAD, HEADS, detector_folder
from causalclip.settings import read_settings

DEFAULT = HEADS[DEFAULT_HEAD]
IMAGE_TYPES = "image-type.safetensors"
# of a detector's folder
FILES = "config.json", "head.safetensors", IMAGE_TYPES, "training.json", "README.md"
SHIPPED_IMAGE_TYPES = ASSETS / "image-type"  # for both heads, and any other on their embedding
ADVERSARY = "adversary."  # weights of training alone, which older folders hold
# views a pass, as many as a picture of 4:3 has: two take a fifth longer, nine 200 MB more
BATCH = 4


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Settings stored beside the heads.

    Attributes:
        backbone: the tower's name (causalclip.clip.backbones).
        parts: of the embedding (causalclip.clip.embedding).
        share: each kind of view's weight in the raw logit, when both are seen.
        windows: how many native windows at most.
        squares: of the whole picture, at most; 1 is the centre alone.
        calibration: of the raw logit.
        hidden: units of the network that makes a picture's own mask; 0 for one mask for all.
        masked: whether there is a mask.
        revision: of the weights.
    """

    backbone: str
    parts: tuple[str, ...]
    share: dict[ViewType, float]
    windows: int
    calibration: Calibration
    hidden: int = 64
    masked: bool = True
    squares: int = MAX_SQUARES
    revision: str = "unreleased"

    @property
    def head(self) -> Head:
        """Return "causal" where each picture gets a mask of its own, else "linear"."""
        return "causal" if self.masked and self.hidden else "linear"


@dataclass(frozen=True, slots=True)
class ViewScores:
    """Scores of V views by the heads, in calibrated log-odds.

    The logit is sum(channels) + bias, and also causal . embedding + offset.

    Attributes:
        mask: [V, D], in [0, 1].
        causal, non_causal: [V, D], what one unit of each channel adds with the mask, and would add
            with 1 - mask.
        channels, suppressed: [V, D], what each channel adds here, and would add with 1 - mask.
        neutral: [V, D], the patches' total on the average picture.
        bias, offset: [V].
        corrected: [V], what a correction added, which is in the others already.
    """

    mask: Tensor
    causal: Tensor
    non_causal: Tensor
    channels: Tensor
    suppressed: Tensor
    neutral: Tensor
    bias: Tensor
    offset: Tensor
    corrected: Tensor

    @classmethod
    def join(cls, batches: Sequence["ViewScores"]) -> "ViewScores":
        """Return the scores of all views of a few batches."""
        return cls(
            *(torch.cat([getattr(batch, field.name) for batch in batches]) for field in fields(cls))
        )

    def alone(self, kept: Tensor, embedding: Tensor) -> "ViewScores":
        """Return what some channels of the embedding [V, D] say, without the others and the bias.

        kept: bool [D].
        """
        causal, channels = self.causal * kept, self.channels * kept
        return ViewScores(
            mask=self.mask,
            causal=causal,
            non_causal=self.non_causal * kept,
            channels=channels,
            suppressed=self.suppressed * kept,
            neutral=self.neutral,
            bias=0 * self.bias,
            offset=(channels - causal * embedding).sum(1),
            corrected=0 * self.bias,
        )


class Detector(PushToHub):
    """Tower, one causal head a kind of view, and calibration.

    Args:
        tower: frozen.
        heads: one for every kind of view that the config gives a share.
        masks: what training measured of each head's mask
            (training.detector.model_card.mask_report), if it is known.
        correction: changes the score for one source of pictures.
    """

    pipeline_tag = "image-classification"

    def __init__(
        self,
        tower: Tower,
        heads: dict[ViewType, CausalHead],
        config: DetectorConfig,
        *,
        name: str = DEFAULT,
        masks: dict[ViewType, dict[str, Any]] | None = None,
        correction: Correction | None = None,
    ) -> None:
        self.tower = tower
        self.heads = heads
        self.config = config
        self.name = name
        self.masks = masks or {}
        self.correction = correction
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
        """Load a folder that `python -m training detector` wrote, one of assets/models by name, or
        one of the hub.

        Args:
            path: the folder, its name, or `owner/name` of the Hugging Face hub.
            runtime: None picks the processor's, see causalclip.clip.runtime.
            beside: a detector whose tower it shares, where it is the same one.
            device: that the tower computes on; None for what CAUSALCLIP_DEVICE says, or the
                processor. On a card, products are in bfloat16 and `runtime` has no say.

        Raises:
            WeightsMissing: there is no such detector, or its tower is out of reach.
            SettingsError: a variable of the environment makes no sense.
            NoDevice: CAUSALCLIP_DEVICE names none that is there.
        """
        # 1. What is stored beside the heads
        folder = detector_folder(path)
        raw = json.loads((folder / "config.json").read_text())
        calibration = Calibration(
            **{**raw["calibration"], "quality": tuple(raw["calibration"]["quality"])}
        )
        config = DetectorConfig(**{**raw, "parts": tuple(raw["parts"]), "calibration": calibration})

        # 2. The tower
        same_tower = beside is not None and beside.config.backbone == config.backbone
        device = device or choose_device(read_settings().device)
        if beside and same_tower:
            tower = beside.tower
        elif device.type == "cpu":
            tower = load_for_inference(config.backbone, runtime=runtime)
        else:
            tower = load_tower(config.backbone, dtype=torch.bfloat16).to(device)

        # 3. The heads
        width = sum(part_widths(config.parts, tower))
        heads = {
            view_type: CausalHead(
                width, hidden=config.hidden, masked=config.masked
            ).without_adversary()
            for view_type in config.share
        }
        weights = load_file(folder / "head.safetensors")
        for view_type, head in heads.items():
            own = {
                name.removeprefix(f"{view_type}."): weight.float()
                for name, weight in weights.items()
                if name.startswith(f"{view_type}.")
                and not name.startswith(f"{view_type}.{ADVERSARY}")
            }
            head.load_state_dict(own)

        # 4. What training measured, and the classifier of image types
        report_file = folder / "training.json"
        masks = json.loads(report_file.read_text())["masks"] if report_file.is_file() else None
        detector = cls(tower, heads, config, name=folder.name, masks=masks)
        detector.image_types = _load_image_types(folder, config, width)
        return detector

    @property
    def runtime(self) -> Runtime:
        """The runtime that judges."""
        return self.tower.runtime

    @property
    def differentiable(self) -> Tower:
        """The tower in PyTorch, for gradients; loaded when it is first asked for, where another
        runtime judges."""
        if self.tower.runtime == "int8" or self.tower.device.type != "cpu":
            return shared_tower(self.config.backbone)
        return self.tower

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json, head.safetensors (half precision) and, where it tells image types,
        image-type.safetensors.

        Raises:
            NotFinite: a weight is NaN or infinite, in half precision at least; nothing is written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            f"{view_type}.{name}": weight.half()
            for view_type, head in self.heads.items()
            for name, weight in head.state_dict().items()
            if not name.startswith(ADVERSARY)
        }
        save_weights(weights, folder / "head.safetensors", what="head")
        if self.image_types is not None:
            types = self.image_types.state_dict()
            save_weights(types, folder / IMAGE_TYPES, what="classifier of image types")
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")

    @torch.inference_mode()
    def predict(self, picture: str | os.PathLike[str] | Image | np.ndarray) -> Detection:
        """Judge one picture, and say what every patch and channel adds.

        >>> detection = Detector.from_pretrained().predict("picture.jpg")  # doctest: +SKIP
        >>> detection.heatmap().save("map.png")  # doctest: +SKIP

        Args:
            picture: a path, PIL's image, or uint8 RGB [H, W, 3]
                (causalclip.images.loading.as_pixels).

        Raises:
            ImageError: the file is refused.
            TypeError: an array is not uint8 [H, W, 3].
        """
        pixels = as_pixels(picture)
        start = time.perf_counter()
        parts = self.config.parts
        quality = compression(pixels)
        views, scores, embedding, [attributions] = self._attribute_views(pixels)
        image_type = self._image_type(views, embedding, blank=is_blank(pixels))
        verdict = self._verdict(scores, quality, image_type)
        return Detection(
            probability=verdict.probability,
            logit=verdict.logit,
            band=verdict.band,
            low=self.config.calibration.low,
            high=self.config.calibration.high,
            width=pixels.shape[1],
            height=pixels.shape[0],
            views=attributions,
            rest=self.config.calibration.shift(quality),
            compression=tuple(float(q) for q in quality),
            parts=tuple(zip(parts, part_widths(parts, self.tower), strict=True)),
            model=self.name,
            revision=self.config.revision,
            runtime=self.runtime,
            seconds=time.perf_counter() - start,
            correction=self.correction,
            image_type=verdict.image_type,
            head=self.config.head,
            corrected=float(scores.corrected.sum()),
            picture=pixels,
        )

    @torch.inference_mode()
    def represent(self, pixels: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the logit without the correction, and what one learns from.

        Returns:
            The logit, and float32 [K * D]: for each kind of view, in the order of the config's
            shares, the standardised embedding as the verdict weighs its views, divided by the root
            of their share.
        """
        # 1. The logit
        views = self._plan(pixels)
        weight = self.view_weights(views)
        shots = render(pixels, views, size=self.tower.image_size)
        embedding = self._embed(list(shots), batch=BATCH)
        scores = self._score_views(views, embedding, weight)
        logit = self._logit(scores, compression(pixels)) - float(scores.corrected.sum())

        # 2. The features, one view type after another
        features = []
        for view_type, share in self.config.share.items():
            head = self.heads[view_type]
            rows = [i for i, view in enumerate(views) if view.view_type == view_type]
            standardised = (embedding[rows] - head.shift) / head.scale
            features.append((weight[rows, None] * standardised).sum(0) / share**0.5)
        return logit, torch.cat(features).numpy()

    def subject(self, features: np.ndarray) -> np.ndarray:
        """Return what pictures show, out of what `represent` returns of them.

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
        layer = features[:, first : first + widths[last]]
        return layer / np.maximum(np.linalg.norm(layer, axis=1, keepdims=True), 1e-9)

    @torch.inference_mode()
    def score(self, pixels: np.ndarray) -> Verdict:
        """Return the verdict of `predict` without its explanation, for tables and for pictures that
        are only compared."""
        return self.score_batch([pixels])[0]

    @torch.inference_mode()
    def score_batch(
        self,
        pictures: Iterable[np.ndarray],
        *,
        windows: int | None = None,
        squares: int | None = None,
        batch: int = BATCH,
    ) -> list[Verdict]:
        """Score pictures whose views go through the tower side by side, equal ones once.

        Args:
            pictures: uint8 RGB [H, W, 3] each.
            windows: at most so many, where that is fewer than the detector's own number; faster,
                and less sure.
            squares: of the whole picture; as `windows`.
            batch: how many views go through the tower at once.
        """
        # 1. The views of all pictures; equal ones have one key
        plans, qualities, blanks = [], [], []
        keys: list[list[bytes]] = []
        shots: dict[bytes, Tensor] = {}
        for pixels in pictures:
            views = self._plan(pixels, windows=windows, squares=squares)
            shots_of_picture = render(pixels, views, size=self.tower.image_size)
            keys.append([sha256(shot.numpy().tobytes()).digest() for shot in shots_of_picture])
            shots |= dict(zip(keys[-1], shots_of_picture, strict=True))
            plans.append(views)
            qualities.append(compression(pixels))
            blanks.append(is_blank(pixels))

        # 2. Their embeddings
        embeddings = self._embed(list(shots.values()), batch=batch)
        row_of = {key: row for row, key in enumerate(shots)}

        # 3. Picture by picture
        verdicts = []
        for views, own, quality, blank in zip(plans, keys, qualities, blanks, strict=True):
            embedding = embeddings[[row_of[key] for key in own]]
            scores = self._score_views(views, embedding, self.view_weights(views))
            image_type = self._image_type(views, embedding, blank=blank)
            verdicts.append(self._verdict(scores, quality, image_type))
        return verdicts

    @torch.inference_mode()
    def explain_channels(
        self, pixels: np.ndarray, kept: np.ndarray
    ) -> list[tuple[ViewAttribution, ...]]:
        """Return the same views as `predict`'s, with some channels of the embedding alone: where
        their contribution comes from.

        In each view, `causal` and `rest` add up to the contributions of the channels that are
        kept; every other channel and the bias are 0. All sets of channels share one pass of the
        tower.

        Args:
            kept: bool [K, D], a row for each set of channels.

        Returns:
            K times the views.

        Raises:
            ValueError: the embedding has another number of dimensions.
        """
        width = sum(part_widths(self.config.parts, self.tower))
        if kept.ndim != 2 or kept.shape[1] != width:
            raise ValueError(f"Sets of channels are [K, {width}], not {kept.shape}.")
        return self._attribute_views(pixels, kept=torch.from_numpy(kept))[-1]

    def _plan(
        self, pixels: np.ndarray, *, windows: int | None = None, squares: int | None = None
    ) -> list[View]:
        height, width = pixels.shape[:2]
        limits = self.config
        windows = limits.windows if windows is None else min(windows, limits.windows)
        squares = limits.squares if squares is None else min(squares, limits.squares)
        size = self.tower.image_size
        return plan_views(width, height, size=size, windows=windows, squares=squares)

    def _embed(self, shots: Sequence[Tensor], *, batch: int) -> Tensor:
        """Return the embeddings of rendered views, [3, S, S] each: [V, D]."""
        parts = self.config.parts
        reads = needs(parts, self.tower)
        embeddings = []
        for first in range(0, len(shots), batch):
            together = torch.stack(list(shots[first : first + batch]))
            trace = self.tower(together.to(self.tower.device), **reads)
            embeddings.append(embed(trace, parts, self.tower).cpu())
        return torch.cat(embeddings)

    def _attribute_views(
        self, pixels: np.ndarray, *, kept: Tensor | None = None
    ) -> tuple[list[View], ViewScores, Tensor, list[tuple[ViewAttribution, ...]]]:
        """Return views, what their heads say, their embeddings, and attributions: of the verdict
        alone, or of each set of channels in `kept`, bool [K, D]."""
        views = self._plan(pixels)
        shots = render(pixels, views, size=self.tower.image_size)
        weight = self.view_weights(views)
        batches = [slice(first, first + BATCH) for first in range(0, len(views), BATCH)]
        passes = [self._pass(shots[rows], views[rows], weight[rows], kept=kept) for rows in batches]
        scores, embeddings, attributions = zip(*passes, strict=True)
        by_set = [tuple(chain(*of_set)) for of_set in zip(*attributions, strict=True)]
        return views, ViewScores.join(scores), torch.cat(embeddings), by_set

    def _pass(
        self, shots: Tensor, views: Sequence[View], weight: Tensor, *, kept: Tensor | None
    ) -> tuple[ViewScores, Tensor, list[tuple[ViewAttribution, ...]]]:
        """Return the same of a few views, whose trace is let go of before the next: it takes 14 MB
        a view."""
        trace = self.tower(
            shots.to(self.tower.device),
            attributions=True,
            **needs(self.config.parts, self.tower),
        )
        embedding = embed(trace, self.config.parts, self.tower).cpu()
        scores = self._score_views(views, embedding, weight)
        explained = [scores] if kept is None else [scores.alone(k, embedding) for k in kept]
        return scores, embedding, [self._explain(trace, views, each) for each in explained]

    def _image_type(self, views: list[View], embedding: Tensor, *, blank: bool) -> ImageType:
        if blank:
            return "blank"
        if self.image_types is None:
            return "photograph"
        whole = [i for i, view in enumerate(views) if view.view_type == "whole"]
        return self.image_types.classify(embedding[whole])

    def _logit(self, scores: ViewScores, quality: np.ndarray) -> float:
        evidence = float(scores.channels.sum() + scores.bias.sum())
        return self.config.calibration.shift(quality) + evidence

    def _verdict(self, scores: ViewScores, quality: np.ndarray, image_type: ImageType) -> Verdict:
        logit = self._logit(scores, quality)
        probability = sigmoid(logit)
        band = (
            self.config.calibration.band(probability) if image_type == "photograph" else "no answer"
        )
        return Verdict(probability, logit, band, image_type)

    def view_weights(self, views: list[View]) -> Tensor:
        """Return each view's weight in the raw logit, [V].

        Kinds of view have their shares, or all of it where the other one is missing.
        """
        share = self.config.share
        counts = {
            view_type: sum(view.view_type == view_type for view in views)
            for view_type in self.heads
        }
        total = sum(share[view_type] for view_type, count in counts.items() if count)
        return torch.tensor(
            [share[view.view_type] / total / counts[view.view_type] for view in views]
        )

    def _score_views(self, views: Sequence[View], embedding: Tensor, weight: Tensor) -> ViewScores:
        """Score every view by the head of its type, in calibrated log-odds.

        weight: [V], of each in the raw logit.
        """
        calibrated = weight * self.config.calibration.scale
        mask, causal, non_causal, channels, suppressed, neutral = torch.zeros(6, *embedding.shape)
        bias, offset, corrected = torch.zeros(3, len(views))
        scores = ViewScores(
            mask, causal, non_causal, channels, suppressed, neutral, bias, offset, corrected
        )
        for view_type, head in self.heads.items():
            rows = [i for i, view in enumerate(views) if view.view_type == view_type]
            if not rows:
                continue
            out = head(embedding[rows])
            w = calibrated[rows, None]
            scores.mask[rows] = out.mask
            scores.causal[rows] = head.direction(out.mask) * w
            scores.non_causal[rows] = head.direction(1 - out.mask) * w
            scores.channels[rows] = head.verdict.weight[0] * out.causal * w
            scores.suppressed[rows] = head.verdict.weight[0] * out.non_causal * w
            scores.neutral[rows] = head.patch_shift
            scores.bias[rows] = head.verdict.bias * calibrated[rows]
            scores.offset[rows] = head.offset(out.mask) * calibrated[rows]
            if self.correction is not None:  # its log-odds are calibrated already
                distance = embedding[rows] - head.shift
                added = self.correction.correct(view_type, distance / head.scale)
                added = added * weight[rows, None]
                _add_correction(scores, rows, head, distance, added)
        return scores

    def _explain(
        self, trace: Trace, views: Sequence[View], scores: ViewScores
    ) -> tuple[ViewAttribution, ...]:
        """Return what every patch adds to the scores, and what is of no patch."""
        # 1. What the patches add
        parts, g = self.config.parts, self.tower.grid
        device = self.tower.device
        causal, rest = contributions(trace, parts, self.tower, scores.causal.to(device))
        non_causal, _rest = contributions(trace, parts, self.tower, scores.non_causal.to(device))

        # 2. The same against the patches of the average picture
        usual = (scores.causal * scores.neutral).sum(1)
        usual_suppressed = (scores.non_causal * scores.neutral).sum(1)
        causal = causal.cpu() - usual[:, None] / g**2
        non_causal = non_causal.cpu() - usual_suppressed[:, None] / g**2
        rest = rest.cpu() + usual + scores.offset
        return tuple(
            ViewAttribution(
                view_type=view.view_type,
                box=view.box,
                causal=causal[i].view(g, g).numpy(),
                non_causal=non_causal[i].view(g, g).numpy(),
                rest=float(rest[i]),
                mask=scores.mask[i].numpy(),
                channels=scores.channels[i].numpy(),
                suppressed=scores.suppressed[i].numpy(),
                bias=float(scores.bias[i]),
            )
            for i, view in enumerate(views)
        )


def _add_correction(
    scores: ViewScores, rows: list[int], head: CausalHead, distance: Tensor, added: Tensor
) -> None:
    """Add a correction to the scores of views of one type, in place.

    Args:
        rows: of the n views.
        distance: [n, D], of their embeddings from the average picture's.
        added: [n, D + 1] (causalclip.detection.Correction), as the verdict weighs the views.
    """
    direction = added[:, :-1] / head.scale
    pushes = direction * distance
    scores.causal[rows] += direction
    scores.channels[rows] += pushes
    scores.bias[rows] += added[:, -1]
    scores.offset[rows] += added[:, -1] - direction @ head.shift
    scores.corrected[rows] = pushes.sum(1) + added[:, -1]


def _load_image_types(
    folder: Path, config: DetectorConfig, width: int
) -> ImageTypeClassifier | None:
    """Load the classifier of image types: a detector's own, or else the shipped one where that
    reads the same embedding; None where there is neither."""
    weights = folder / IMAGE_TYPES
    if not weights.is_file():
        weights = SHIPPED_IMAGE_TYPES / IMAGE_TYPES
        about = json.loads((SHIPPED_IMAGE_TYPES / "config.json").read_text(encoding="utf-8"))
        if (about["backbone"], tuple(about["parts"])) != (config.backbone, config.parts):
            return None
    types = ImageTypeClassifier(width).eval().requires_grad_(False)
    types.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    return types
