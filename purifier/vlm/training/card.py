"""The model card of the embedded vision-language model, written from its configuration and its measured results."""

from pathlib import Path
from typing import Any

from purifier.vlm.model import EmbeddedVLM

HEAD = """---
license: other
language: en
tags: [image-to-text, visual-question-answering]
---

# A small vision-language model for captions and answers

It captions a photo and answers short questions about it, and it says when it is not sure. It is here to show what
an attack changes and what a purifier brings back. It is no match for a large model.

* Eyes: CLIP ViT-B/16's image tower (OpenAI's weights, int8 in `../clip-vit-b-16`), frozen. Patch tokens of layers 8 and
  11, averaged to 7 x 7, and the embedding. The whole picture is squeezed to 224 x 224; resize and normalisation are
  inside, and all is differentiable.
* Voice: a causal {kind} of {layers} layers, width {width}, {parameters:.1f} M parameters with the connector, {tokens}
  word pieces; int8 matrices with one scale a row.{warm}
* `config.json` (how it is built, the fit of its confidence), `tokenizer.json`, `answers.json` (the {answers} answers
  that it may give), `*.safetensors`.

## Trained on
Captions of Flickr8k (a part: 815 photos) and COCO (437 photos), questions and answers of DAQUAR (its official training
questions, less a tenth that was held out), and questions made by templates from COCO's boxes. Flickr8k's pictures and
captions are for non-commercial research; the pictures of COCO are their owners' under Flickr's terms; DAQUAR is for
research. No picture or caption is in these files. {settings}

## Measured on `test`
"""
BLIND = "* The blind baseline is the same model trained without the picture.\n"
NO_BLIND = (
    "* The blind baseline (the same model trained without the picture) has not been measured for these weights.\n"
)
TAIL = """
{blind}* The majority is the most frequent training answer to that type of question. Answers match exactly: lower case,
  `_` as a space, the members of a list in any order.
* DAQUAR's official split is by question: most test pictures also have training questions, so its test flatters every
  model that sees the picture. The row for pictures without training questions (all theirs were held out) does not.
* Intervals are 95 %, bootstrapped over questions or pictures.

## Its confidence
The probability of being right, fitted to the likelihood of the answer on held-out questions of the training split
(Platt scaling); from {threshold} on it is sure, below it says "I am not sure" and its guess. On `test`: {sure}.

## Limits
English, everyday photos, short answers from a fixed list. It guesses at small objects, counts beyond three, text and
colours; it does not know people. It is easy to fool, which is why it is used here.
"""


def write_card(
    folder: Path, results: dict[str, Any], *, model: EmbeddedVLM, warm: str = "", settings: str = ""
) -> Path:
    """Writes README.md beside the weights.

    Args:
        results: what `evaluate_vlm` measured on `test`.
        model: the one in the folder.
        warm: a sentence on the weights that the language model started from.
        settings: a sentence on how it was trained.
    """
    language = model.config.language
    parts = [
        HEAD.format(
            kind=language["model_type"].upper() if language["model_type"] == "bert" else language["model_type"].title(),
            layers=language["num_hidden_layers"],
            width=model.width,
            parameters=sum(p.numel() for p in model.parameters()) / 1e6,
            tokens=len(model.vocabulary),
            answers=len(model.answers),
            warm=f" {warm}" if warm else "",
            settings=settings,
        ),
        caption_table(results["captions"]),
        "\n",
        answer_table(results["answers"]),
        TAIL.format(
            blind=BLIND if _has_blind(results) else NO_BLIND,
            threshold=model.config.threshold,
            sure=_sure_words(results["sure"]),
        ),
    ]
    path = folder / "README.md"
    path.write_text("".join(parts))
    return path


def _has_blind(results: dict[str, Any]) -> bool:
    return all("blind" in row for row in results["answers"].values())


def caption_table(rows: dict[str, Any]) -> str:
    """Captions by collection, as Markdown."""
    lines = ["| captions | pictures | CIDEr | 95 % | BLEU-4 |\n|---|---|---|---|---|\n"]
    for name, row in rows.items():
        low, high = row["cider_interval"]
        lines.append(
            f"| {name} | {row['pictures']} | {row['cider']:.3f} | {low:.2f} to {high:.2f} | {row['bleu4']:.3f} |\n"
        )
    return "".join(lines)


def answer_table(rows: dict[str, Any]) -> str:
    """Answers by type of question, beside what needs no picture, as Markdown."""
    lines = ["| questions | number | accuracy | 95 % | blind | majority |\n|---|---|---|---|---|---|\n"]
    for name, row in rows.items():
        low, high = row["interval"]
        blind = f"{row['blind']:.3f}" if "blind" in row else ""
        numbers = f"{row['accuracy']:.3f} | {low:.2f} to {high:.2f} | {blind} | {row['majority']:.3f}"
        lines.append(f"| {name} | {row['questions']} | {numbers} |\n")
    return "".join(lines)


def _sure_words(rows: dict[str, Any]) -> str:
    said = []
    for name, row in rows.items():
        right = "none was right" if row["accuracy"] is None else f"{row['accuracy']:.0%} of those right"
        said.append(f"{name}: sure of {row['share']:.0%} of the answers, {right}")
    return "; ".join(said)
