"""From CLIP's features to tokens that the language model reads as if they were words."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from purifier.vlm.features import GRID


class Connector(nn.Module):
    """CLIP's features -> visual tokens as the language model's own embeddings, [N, 49 + embedding_tokens, D].

    Args:
        width: D, of the language model.
        layers: how many of the tower's layers the patch tokens come from; each is normalised by itself.
        tower_width, embedding_width: of the tower's tokens and of its embedding.
        embedding_tokens: how many tokens the embedding becomes; they come first.
    """

    def __init__(
        self, width: int, *, layers: int, tower_width: int, embedding_width: int, embedding_tokens: int, dropout: float
    ) -> None:
        super().__init__()
        self.patch = nn.Sequential(nn.Linear(tower_width * layers, width), nn.GELU(), nn.Linear(width, width))
        self.embedding = nn.Linear(embedding_width, embedding_tokens * width)
        self.row = nn.Parameter(torch.randn(GRID, 1, width) * 0.02)
        self.column = nn.Parameter(torch.randn(1, GRID, width) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.width, self.tower_width = width, tower_width

    def forward(self, patches: Tensor, embedding: Tensor) -> Tensor:
        patches, embedding = patches.to(self.row.dtype), embedding.to(self.row.dtype)
        layers = patches.unflatten(-1, (-1, self.tower_width))
        tokens = self.patch(self.dropout(F.layer_norm(layers, (self.tower_width,)).flatten(-2)))  # (N, 49, D)
        tokens = tokens + (self.row + self.column).flatten(0, 1)
        scaled = embedding * math.sqrt(embedding.shape[-1])
        vectors = self.embedding(self.dropout(scaled)).unflatten(-1, (-1, self.width))
        return torch.cat([vectors, tokens], 1)
