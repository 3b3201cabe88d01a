"""From CLIP's features to tokens that the language model reads as if they were words."""

import copy
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from causalclip.clip.backbones import shared_tower
from causalclip.clip.tower import Tower
from causalclip.clip.weights import (
    INT8,
    SCALE,
    check_finite,
    load_weights,
    quantize,
    save_shards,
)
from causalclip.hub import PushToHub, folder_of
from causalclip.paths import ASSETS
from purifier.pixels import check_pixels
from purifier.vlm.features import GRID, LAYERS, clip_features
from purifier.vlm.interface import CAPTION_PROMPT, Answer, Caption, normalise_question
from purifier.vlm.vocabulary import Vocabulary


class Connector(nn.Module):
    """CLIP's features -> visual tokens as the language model's own embeddings, [N, 49 +
    embedding_tokens, D].

    Args:
        width: D, of the language model.
        layers: how many of the tower's layers the patch tokens come from; each is normalised by
            itself.
        tower_width, embedding_width: of the tower's tokens and of its embedding.
        embedding_tokens: how many tokens the embedding becomes; they come first.
    """

    def __init__(
        self,
        width: int,
        *,
        layers: int,
        tower_width: int,
        embedding_width: int,
        embedding_tokens: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.patch = nn.Sequential(
            nn.Linear(tower_width * layers, width), nn.GELU(), nn.Linear(width, width)
        )
        self.embedding = nn.Linear(embedding_width, embedding_tokens * width)
        self.row = nn.Parameter(torch.randn(GRID, 1, width) * 0.02)
        self.column = nn.Parameter(torch.randn(1, GRID, width) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.width, self.tower_width = width, tower_width

    def forward(self, patches: Tensor, embedding: Tensor) -> Tensor:
        patches, embedding = patches.to(self.row), embedding.to(self.row)
        layers = patches.unflatten(-1, (-1, self.tower_width))
        # (N, 49, D)
        tokens = self.patch(self.dropout(F.layer_norm(layers, (self.tower_width,)).flatten(-2)))
        tokens = tokens + (self.row + self.column).flatten(0, 1)
        unit = embedding * math.sqrt(embedding.shape[-1])
        vectors = self.embedding(self.dropout(unit)).unflatten(-1, (-1, self.width))
        return torch.cat([vectors, tokens], 1)


class AnswerTrie:
    """The known answers as a tree of tokens: which tokens may follow a beginning."""

    def __init__(self, answers: Iterable[Sequence[int]], *, stop: int) -> None:
        self.stop = stop
        self.root: dict[int, dict] = {}
        for ids in answers:
            node = self.root
            for token in ids:
                node = node.setdefault(token, {})

    def allowed(self, ids: Sequence[int]) -> list[int]:
        """The tokens that may follow `ids`; [SEP] after a whole answer."""
        node = self.root
        for token in ids:
            node = node.get(token, {})
        return list(node) or [self.stop]


@dataclass(frozen=True, slots=True)
class VLMConfig:
    """The model's configuration.

    language: the configuration of a transformers causal language model. tower: CLIP's image tower,
    by name; layers: of the tower, whose patch tokens are seen; embedding_tokens: how many tokens
    its embedding becomes. slope, offset: the confidence is sigmoid(slope * log p + offset) of the
    answer's likelihood p, fitted on held-out questions. threshold: from which confidence on the
    model is sure. beams: of a caption's search; answer_beams: of an answer's, among the known ones
    (most are one token, so one beam is nearly always enough, at a quarter of the cost).
    """

    language: dict[str, Any]
    tower: str = "clip-vit-b-16"
    layers: tuple[int, ...] = LAYERS
    embedding_tokens: int = 4
    dropout: float = 0.1
    beams: int = 4
    answer_beams: int = 1
    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5


class EmbeddedVLM(nn.Module, PushToHub):
    """The shipped model. Everything from pixels to the likelihood of an answer is
    differentiable."""

    asks = differentiable = True
    pipeline_tag = "image-to-text"

    def __init__(
        self,
        config: VLMConfig,
        vocabulary: Vocabulary,
        tower: Tower,
        *,
        answers: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.language: Any = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(**config.language)
        )
        self.connector = Connector(
            self.width,
            layers=len(config.layers),
            tower_width=tower.width,
            embedding_width=int(tower.visual.proj.shape[1]),
            embedding_tokens=config.embedding_tokens,
            dropout=config.dropout,
        )
        self.answers = tuple(answers)
        self._trie = AnswerTrie((vocabulary.answer(a) for a in self.answers), stop=vocabulary.stop)
        self._tower = [tower]  # in a list: frozen and shared, no part of this model's own weights

    @property
    def tower(self) -> Tower:
        return self._tower[0]

    @property
    def width(self) -> int:
        """D, of the language model's embeddings."""
        return int(self.language.config.hidden_size)

    def see(self, pixels: Tensor) -> Tensor:
        """Turn float [N, 3, H, W] in [0, 1] into visual tokens [N, V, D].

        Raises:
            ValueError: the shape or the range is another one.
        """
        check_pixels(pixels)
        patches, embedding = clip_features(self.tower, pixels, layers=self.config.layers)
        visual: Tensor = self.connector(patches, embedding)
        return visual

    def to(self, *args: Any, **options: Any) -> Self:
        """Move the model, and its tower to the same device."""
        super().to(*args, **options)
        self.tower.to(self.connector.row.device)
        return self

    def with_tower(self, tower: Tower) -> "EmbeddedVLM":
        """Return a model with the same weights that sees by another tower."""
        other = copy.copy(self)
        other._tower = [tower]
        return other

    def head(self, hidden: Tensor) -> Tensor:
        """The language model's last hidden states [.., D] -> logits [.., vocabulary]."""
        last: nn.Module = (
            self.language.cls if hasattr(self.language, "cls") else self.language.lm_head
        )
        logits: Tensor = last(hidden)
        return logits

    def log_likelihood(
        self, pixels: Tensor, prompts: Sequence[str], answers: Sequence[str]
    ) -> Tensor:
        """Return log p(answer | picture, prompt) of each picture, [N], summed over the answer's
        tokens and its end."""
        return self.score(self.see(pixels), prompts, answers)

    def score(self, visual: Tensor, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """Return `log_likelihood` from visual tokens [N, V, D]."""
        logits, targets = self.logits(visual, prompts, answers)
        flat = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return -flat.view_as(targets).sum(1)

    def logits(
        self, visual: Tensor, prompts: Sequence[str], answers: Sequence[str]
    ) -> tuple[Tensor, Tensor]:
        """Return what the language model expects at each of an answer's tokens and its end, [N, T,
        vocabulary] in float32, and these tokens, [N, T]; padded in front, where the tokens are
        -100."""
        _match(visual, prompts)
        _match(visual, answers)
        before = [self.vocabulary.prompt(normalise_question(text)) for text in prompts]
        after = [self.vocabulary.answer(text) for text in answers]
        embeds, mask = self._inputs(
            visual, [b + a[:-1] for b, a in zip(before, after, strict=True)]
        )
        longest = max(map(len, after))
        with self._fast():
            logits = self.language(
                inputs_embeds=embeds,
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp_min(0),
            ).logits
        targets = torch.tensor(
            [[-100] * (longest - len(a)) + a for a in after], device=visual.device
        )
        return logits[:, -longest:].float(), targets

    @torch.no_grad()
    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """Return the best of the known answers to each question, or free text if none are known."""
        questions = [question] * len(pixels) if isinstance(question, str) else list(question)
        return self.answer_seen(self.see(pixels), questions)

    @torch.no_grad()
    def answer_seen(self, visual: Tensor, questions: Sequence[str]) -> list[Answer]:
        """Return the answers to one question a picture from visual tokens [N, V, D]."""
        prompts = [normalise_question(text) for text in questions]
        outputs = self._search(visual, prompts, known=bool(self.answers), limit=12)
        answers = []
        for text, score, _ in outputs:
            confidence = 1 / (1 + math.exp(-(self.config.slope * score + self.config.offset)))
            answers.append(Answer(text, confidence, confidence >= self.config.threshold))
        return answers

    @torch.no_grad()
    def caption(self, pixels: Tensor) -> list[Caption]:
        """Return one sentence a picture, by beam search."""
        return self.caption_seen(self.see(pixels))

    @torch.no_grad()
    def caption_seen(self, visual: Tensor) -> list[Caption]:
        """Return a caption a picture from visual tokens [N, V, D], by beam search."""
        outputs = self._search(visual, [CAPTION_PROMPT] * len(visual), known=False, limit=24)
        return [Caption(text, math.exp(score / max(1, length))) for text, score, length in outputs]

    def _search(
        self, visual: Tensor, prompts: Sequence[str], *, known: bool, limit: int
    ) -> list[tuple[str, float, int]]:
        """(text, log-likelihood, tokens) of each picture's best beam."""
        _match(visual, prompts)
        embeds, mask = self._inputs(visual, [self.vocabulary.prompt(text) for text in prompts])
        beams = self.config.answer_beams if known else self.config.beams
        penalty = {"length_penalty": 0.0 if known else 1.0} if beams > 1 else {}
        with self._fast():
            out = self.language.generate(
                inputs_embeds=embeds,
                attention_mask=mask,
                num_beams=beams,
                **penalty,
                do_sample=False,
                max_new_tokens=limit,
                eos_token_id=self.vocabulary.stop,
                pad_token_id=self.vocabulary.pad,
                prefix_allowed_tokens_fn=(lambda _, ids: self._trie.allowed(ids.tolist()))
                if known
                else None,
            )
        texts = [self.vocabulary.decode(row) for row in out.tolist()]
        scores = self.score(visual, prompts, texts).tolist()
        return [(t, s, len(self.vocabulary.answer(t))) for t, s in zip(texts, scores, strict=True)]

    def _fast(self) -> torch.autocast:
        """The tower's fast type for the language model too, if it has one."""
        return torch.autocast(
            self.connector.row.device.type,
            dtype=torch.bfloat16,
            enabled=self.tower.dtype == torch.bfloat16,
        )

    def _inputs(self, visual: Tensor, texts: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """[padding, visual tokens, text] -> embeddings [N, T, D], mask [N, T]; padded on the
        left."""
        table = self.language.get_input_embeddings()
        longest = max(map(len, texts))
        rows, masks = [], []
        for tokens, ids in zip(visual, texts, strict=True):
            words = table(torch.tensor(ids, device=visual.device))
            gap = visual.new_zeros(longest - len(ids), self.width)
            rows.append(torch.cat([gap, tokens, words]))
            masks.append(torch.arange(len(rows[-1]), device=visual.device) >= len(gap))
        return torch.stack(rows), torch.stack(masks).long()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json, tokenizer.json, answers.json and int8 shards; the tower is not part
        of them.

        Raises:
            NotFinite: a weight is NaN or infinite; nothing is written.
        """
        check_finite(self._own_state(), "language model")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.safetensors"):
            old.unlink()
        weights: dict[str, Tensor] = {}
        for name, tensor in self._own_state().items():
            if tensor.dim() == 2 and tensor.numel() >= 1 << 14:
                weights[name + INT8], weights[name + SCALE] = quantize(tensor)
            else:
                weights[name] = tensor
        save_shards(weights, folder, metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        (folder / "answers.json").write_text(json.dumps(self.answers, indent=0) + "\n")
        self.vocabulary.tokenizer.save(str(folder / "tokenizer.json"))

    def _own_state(self) -> dict[str, Tensor]:
        """The weights without the copies that are tied to others."""
        copies = set(getattr(self.language, "all_tied_weights_keys", {}))
        return {
            k: v for k, v in self.state_dict().items() if k.removeprefix("language.") not in copies
        }

    @classmethod
    def from_pretrained(
        cls, folder: str | Path = ASSETS / "vlm", *, tower: Tower | None = None
    ) -> "EmbeddedVLM":
        """Load the model from a folder or from `owner/name` of the Hugging Face hub, frozen and in
        evaluation mode; the tower by its name unless one is given.

        Raises:
            WeightsMissing: the folder, or the tower's, has no weights.
        """
        folder = folder_of(folder)
        weights = load_weights(folder)
        settings = json.loads((folder / "config.json").read_text())
        config = VLMConfig(**settings | {"layers": tuple(settings["layers"])})
        answers = json.loads((folder / "answers.json").read_text())
        vocabulary = Vocabulary.from_file(folder / "tokenizer.json")
        model = cls(config, vocabulary, tower or shared_tower(config.tower), answers=answers)
        missing, unknown = model.load_state_dict(weights, strict=False)
        absent = set(missing) & set(model._own_state())
        if absent or unknown:
            raise ValueError(
                f"The weights in {folder.name!r} do not fit its config.json: {sorted(absent)[:3]} "
                f"{unknown[:3]}."
            )
        model.language.tie_weights()
        return model.eval().requires_grad_(False)


def _match(visual: Tensor, texts: Sequence[str]) -> None:
    if len(visual) != len(texts):
        raise ValueError(
            f"There are {len(visual)} pictures but {len(texts)} texts; give one text for each "
            "picture."
        )
