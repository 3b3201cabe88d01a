"""A rung without CLIP: neighbouring pixel relations (NPR, Tan et al., CVPR 2024, arXiv 2312.10461), on the same data.

A picture minus itself after halving and doubling with the nearest neighbour keeps only how pixels differ from their
neighbours, which upsampling layers betray. A small ResNet judges that residual: the first two stages, as in the paper,
here of ResNet-18, trained from nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from causalclip.pictures.delivery import random_delivery
from causalclip.training.data import Record
from causalclip.training.recipe import balance

SIDE = 128  # px, of a training crop
MOST = 448  # px, of the middle of a test picture, at native scale


class NprNet(nn.Module):
    """[B, 3, H, W] in [0, 1], H and W even -> logit [B]."""

    def __init__(self) -> None:
        super().__init__()
        net = timm.create_model("resnet18", pretrained=False, num_classes=1)
        net.layer3, net.layer4, net.fc = nn.Identity(), nn.Identity(), nn.Linear(128, 1)
        self.net: nn.Module = net

    def forward(self, pixels: Tensor) -> Tensor:
        coarse = F.interpolate(pixels[..., ::2, ::2], scale_factor=2.0, mode="nearest")
        logits: Tensor = self.net(pixels - coarse)
        return logits[:, 0]


def middle(picture: Image.Image, side: int, x: float = 0.5, y: float = 0.5) -> Tensor:
    """A square of at most `side` px at native scale, even sides: float [3, h, w] in [0, 1]."""
    w, h = (min(side, v) // 2 * 2 for v in picture.size)
    left, top = int(x * (picture.width - w)), int(y * (picture.height - h))
    pixels = np.array(picture.crop((left, top, left + w, top + h)))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def fit_npr(records: Sequence[Record], root: Path, *, epochs: int = 8, batch: int = 32, seed: int = 0) -> NprNet:
    """Trained on random crops of the records' native windows after light random deliveries, both classes balanced."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = NprNet()
    pictures = [Image.open(root / r.path).convert("RGB") for r in records]
    labels, weight = torch.tensor([float(r.label) for r in records]), balance(records)
    steps = epochs * (len(records) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in tqdm(range(steps), desc=f"NPR, seed {seed}"):
        rows = rng.choice(len(records), batch, replace=False)
        crops = [_training_crop(pictures[i], rng) for i in rows]
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(torch.stack(crops))
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels[rows], weight=weight[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def _training_crop(picture: Image.Image, rng: np.random.Generator) -> Tensor:
    worn = random_delivery(picture, rng, strength=0.3)
    if min(worn.size) < SIDE:
        worn = picture
    crop = middle(worn, SIDE, float(rng.random()), float(rng.random()))
    return crop.flip(2) if rng.random() < 0.5 else crop


@torch.inference_mode()
def npr_logits(net: NprNet, records: Sequence[Record], root: Path) -> np.ndarray:
    """Raw logits [N] of the middle of every record, at native scale."""
    logits = []
    for record in tqdm(records, desc="NPR", unit="picture"):
        with Image.open(root / record.path) as file:
            logits.append(float(net(middle(file.convert("RGB"), MOST)[None])[0]))
    return np.array(logits)
