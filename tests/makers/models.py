"""Small random vision-language models for tests: an embedded one, and folders of the hub's
kinds."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertTokenizerFast,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForQuestionAnswering,
    BlipImageProcessor,
    BlipProcessor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    PreTrainedTokenizerFast,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

from causalclip.clip.tower import Tower
from purifier.denoiser.attack_detector import MILD, STATISTICS, AttackDetector
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.models import Models
from purifier.vlm.lora import DOWN, MATRICES, UP, LoraEncoder
from purifier.vlm.model import EmbeddedVLM, VLMConfig
from purifier.vlm.vocabulary import Vocabulary
from tests.makers.detectors import CONFIG, tiny_detector, tiny_tower
from training.purifier.untrained import new_pipeline
from training.vlm.tokenizer import train_tokenizer

ANSWERS = ("yes", "no", "dog", "cat", "2", "red, white")
BLOCKS = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
LANGUAGE = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "bos_token_id": None,
}
WORDS = (
    *(
        "what",
        "is",
        "in",
        "the",
        "picture",
        "how",
        "many",
        "dogs",
        "are",
        "there",
        "describe",
        "this",
        "one",
        "short",
    ),
    *("sentence", "answer", "to", "three", "words", "a"),
)
CHAT = (
    "{% for m in messages %}{{ m['role'] }} {% for c in m['content'] %}{% if c['type'] == 'image' "
    "%}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<end_of_utterance>{% endfor %}{% if "
    "add_generation_prompt %} assistant {% endif %}"
)


def tiny_vlm(
    *, answers: Sequence[str] = ANSWERS, seed: int = 0, scale: float = 20.0
) -> EmbeddedVLM:
    """Random weights on the tiny tower (32 px), frozen, in evaluation mode.

    Args:
        scale: of the connector's weights and the logits, so that another picture gets another
            answer.
    """
    texts = [
        *answers,
        "is there a dog",
        "what animal is in the picture",
        "how many dogs are there",
        "a dog runs",
    ]
    vocabulary = Vocabulary(train_tokenizer(texts, size=200))
    words = {
        "vocab_size": len(vocabulary),
        "pad_token_id": vocabulary.pad,
        "eos_token_id": vocabulary.stop,
    }
    torch.manual_seed(seed)
    model = EmbeddedVLM(
        VLMConfig(LANGUAGE | words, layers=(2, 3)), vocabulary, tiny_tower(), answers=answers
    )
    return _enlarged(model, scale).requires_grad_(False)


def _enlarged(model: torch.nn.Module, scale: float) -> Any:
    """So that another picture gets another answer."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale**0.5)
    return model.eval()


def hub_folders(root: Path, *, only: str = "") -> dict[str, str]:
    """Folders that `load_vlm` loads: "vqa" and "caption" are BLIP, "chat" is SmolVLM, "blip-2"
    speaks by OPT, "blip-2-t5" by T5, and "instructblip" by OPT, too. only: makes one of them."""
    makers = {
        "blip-2": lambda: _blip2(root / "tiny-blip-2", OPT),
        "blip-2-t5": lambda: _blip2(root / "tiny-blip-2-t5", T5),
        "instructblip": lambda: _blip2(root / "tiny-instructblip", OPT, instruct=True),
        "vqa": lambda: _blip(root / "tiny-vqa", BlipForQuestionAnswering),
        "caption": lambda: _blip(root / "tiny-captioner", BlipForConditionalGeneration),
        "chat": lambda: _smol(root / "tiny-chat"),
    }
    torch.manual_seed(0)
    return {name: make() for name, make in makers.items() if only in ("", name)}


def _blip(folder: Path, kind: type) -> str:
    vocabulary = {
        t: i
        for i, t in enumerate(
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *WORDS]
        )
    }
    text = BLOCKS | {
        "vocab_size": len(vocabulary),
        "encoder_hidden_size": 16,
        "projection_dim": 16,
        "max_position_embeddings": 64,
        "bos_token_id": 5,
        "eos_token_id": 3,
        "sep_token_id": 3,
        "pad_token_id": 0,
    }
    vision = BLOCKS | {
        "image_size": 32,
        "patch_size": 16,
        "projection_dim": 16,
        "initializer_range": 0.02,
    }
    _enlarged(
        kind(BlipConfig(text_config=text, vision_config=vision, projection_dim=16)), 40
    ).save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab=vocabulary)
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer).save_pretrained(
        folder
    )
    return str(folder)


OPT = {"model_type": "opt", "ffn_dim": 32, "word_embed_proj_dim": 16, "max_position_embeddings": 64}
OPT |= {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
T5 = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}


def _blip2(folder: Path, language: dict[str, Any], *, instruct: bool = False) -> str:
    special = ["<pad>", "<unk>", "<image>", "<end>"]
    tokenizer = _word_tokenizer(
        special, [*WORDS, "Question", "Answer", "Short", "photo", "of", ":", "."]
    )
    config: Any = InstructBlipConfig if instruct else Blip2Config
    model: Any = InstructBlipForConditionalGeneration if instruct else Blip2ForConditionalGeneration
    settings = config(
        vision_config=BLOCKS | {"image_size": 32, "patch_size": 16, "initializer_range": 0.02},
        qformer_config=BLOCKS
        | {"vocab_size": len(tokenizer), "encoder_hidden_size": 16, "max_position_embeddings": 64},
        text_config=language
        | {"vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 3, "eos_token_id": 3}
        | {"decoder_start_token_id": 0},
        num_query_tokens=4,
        image_token_index=2,
    )
    settings.image_token_id = 2
    _enlarged(model(settings), 8 if language is T5 else 40).save_pretrained(folder)
    pictures = BlipImageProcessor(size={"height": 32, "width": 32})
    more = [tokenizer] if instruct else []  # of its Q-Former
    (InstructBlipProcessor if instruct else Blip2Processor)(
        pictures, tokenizer, *more, 4
    ).save_pretrained(folder)
    return str(folder)


def _word_tokenizer(special: list[str], words: Sequence[str]) -> PreTrainedTokenizerFast:
    """A word a token; the first two special ones pad and stand for the unknown, the last one
    ends."""
    vocabulary = {token: i for i, token in enumerate([*special, *words])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token=special[-1],
        additional_special_tokens=special[2:],
    )


def _smol(folder: Path) -> str:
    special = [
        "<pad>",
        "<unk>",
        "<image>",
        "<fake_token_around_image>",
        "<global-img>",
        "<end_of_utterance>",
    ]
    tokenizer = _word_tokenizer(special, ["user", "assistant", *WORDS, "."])
    vocabulary = tokenizer.get_vocab()
    config = SmolVLMConfig(
        image_token_id=2,
        scale_factor=2,
        pad_token_id=0,
        vision_config=BLOCKS | {"image_size": 32, "patch_size": 8},
        text_config=BLOCKS
        | {"model_type": "llama", "num_key_value_heads": 2, "vocab_size": len(vocabulary)}
        | {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 5},
    )
    _enlarged(SmolVLMForConditionalGeneration(config), 40).save_pretrained(folder)
    size = {
        "size": {"longest_edge": 32},
        "max_image_size": {"longest_edge": 32},
        "do_image_splitting": False,
    }
    SmolVLMProcessor(
        SmolVLMImageProcessor(**size),
        tokenizer,
        SmolVLMVideoProcessor(),
        image_seq_len=4,
        chat_template=CHAT,
    ).save_pretrained(folder)
    return str(folder)


LAYERS = CONFIG["vision_cfg"]["layers"]
# numbers that an attack detector gets with a tiny CLIP
EVIDENCE = STATISTICS + len(MILD) * (1 + 3 * LAYERS)


def tiny_purifier(*, seed: int = 0, **options: Any) -> PurifierPipeline:
    """Random weights: it changes pictures by a few levels; tiles of 96 px, a coarse pass at 32
    px."""
    sizes = {"tile": 96, "overlap": 24, "coarse": 32} | options
    pipeline = new_pipeline(channels=(8, 16), seed=seed, **sizes)
    torch.nn.init.normal_(
        pipeline.unet.conv_out.weight, std=0.1, generator=torch.Generator().manual_seed(seed)
    )
    pipeline.unet.eval().requires_grad_(False)
    return pipeline


def tiny_lora(tower: Tower, *, rank: int = 4, seed: int = 0) -> LoraEncoder:
    """Random weights: what the tower sees is something else through it."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, matrix in tower.named_parameters():
        if name.endswith(tuple(f"{matrix}.weight" for matrix in MATRICES)):
            own = name.removesuffix(".weight")
            tensors[own + UP] = torch.randn(matrix.shape[0], rank, generator=generator) * 0.1
            tensors[own + DOWN] = torch.randn(rank, matrix.shape[1], generator=generator) * 0.1
        if name.endswith("ln_post.weight"):
            tensors[name] = matrix.detach() * 1.1
    return LoraEncoder(tensors, {})


def fixed_attack_detector(odds: float) -> dict[str, Any]:
    """Settings of an attack detector that says the same log-odds of every picture, whatever a tiny
    CLIP sees: see tiny_clip."""
    zeros = (0.0,) * EVIDENCE
    return asdict(
        AttackDetector(zeros, (1.0,) * EVIDENCE, ((*zeros, 0.0),), (1.0, odds), false_alarms=0.01)
    )


def tiny_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack detector and the guided step get what a small random tower sees in place of CLIP,
    and through a small LoRA encoder."""
    tower, encoder = tiny_tower(), tiny_lora(tiny_tower()).on(tiny_tower())
    monkeypatch.setattr("purifier.denoiser.pipeline.shared_tower", lambda name: tower)
    monkeypatch.setattr("purifier.vlm.lora.shared_encoder", lambda *_: encoder)


def tiny_models(**replaced: Any) -> Models:
    """Every model small and random. `replaced`: loaders of Models."""
    vlm = tiny_vlm()
    loaders: dict[str, Any] = {
        "vlm": lambda: vlm,
        "purifier": tiny_purifier,
        "lora_vlm": lambda: tiny_lora(vlm.tower).apply_to(vlm),
        "detector": tiny_detector,
    }
    return Models(**loaders | replaced)


SETS = ("flickr8k", "coco", "daquar")
CAPTIONS = ["A dog runs on the grass .", "A brown dog is running ."]
BOXES = [
    {"name": "dog", "xywh": [2, 10, 20, 30], "iscrowd": 0},
    {"name": "cup", "xywh": [40, 10, 10, 10], "iscrowd": 0},
]


def vlm_folder(root: Path, *, pictures: int = 4) -> Path:
    """Writes the three sets, every second picture of `test`, with random pixels of 64 x 48."""
    rng = np.random.default_rng(0)
    for source in SETS:
        (root / source).mkdir(parents=True)
        rows: list[dict[str, Any]] = []
        for i in range(pictures):
            name = f"{source}/{i}.jpg"
            Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(root / name)
            split = "test" if i % 2 else "train"
            if source == "daquar":
                asked = {"question": "How many chairs are ?", "answer": "2", "split": split}
                rows.append({"file": name, "qa": [asked]})
            else:
                rows.append({"file": name, "split": split, "captions": CAPTIONS})
            if source == "coco":
                rows[-1]["boxes"] = BOXES
        (root / f"{source}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def latent_base(folder: Path) -> Path:
    """Write a latent diffusion model of random weights, as diffusers does."""
    torch.manual_seed(0)
    unet: Any = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    vae: Any = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    DDPMScheduler().save_pretrained(folder / "scheduler")  # type: ignore[no-untyped-call]
    return folder
