"""What the Purify tab says of a picture: title, agreement, likelihood, progress, which model answers."""

from dataclasses import replace
from typing import Any

import pytest

from purifier.demo import DemoRequest, DemoResponse, DemoRun, make_attack
from purifier.models import ModelInfo
from purifier.names import OTHER
from ui.purify import words

QUESTION = "Is there a dog?"


def shown(clean: str | None, moved: str, purified: str, *, answers: tuple[str, str, str] | None = None, sure=True):
    """By captions; answers of the three pictures, if any."""
    captions = {"clean": clean, "adversarial": moved, "purified": purified}
    said = {
        name: DemoResponse(f"a <b>{caption}</b>", spoken, spoken, sure, 0.5 if spoken else None)
        for (name, caption), spoken in zip(captions.items(), answers or ("", "", ""), strict=True)
        if caption
    }
    return DemoRun(DemoRequest(QUESTION, attack=make_attack("pgd", 8, 5) if clean else None), said=said)


@pytest.mark.parametrize(
    ("captions", "title"),
    [
        (("cat", "dog", "cat"), "The attack changed the caption; purification brought the caption back"),
        (("cat", "dog", "dog"), "The attack changed the caption; purification did not bring it back"),
        (("cat", "cat", "dog"), "The attack did not change the caption, but purification did"),
        ((None, "cat", "dog"), "Purified: the caption is another one now"),
    ],
)
def test_the_card_says_what_happened_first(captions: tuple[Any, ...], title: str) -> None:
    made = shown(*captions)
    assert f"<h2>{title}</h2>" in words.result(made)
    assert "Purified in" in words.notes(made)
    assert "may read as generated" in words.notes(made)


@pytest.mark.parametrize(
    ("captions", "answers", "title"),
    [
        ("cdc", "121", "changed the caption and the answer; purification brought both back"),
        ("cde", "123", "changed the caption and the answer; purification brought neither back"),
        ("ccc", "111", "changed neither the caption nor the answer"),
        ("cdc", "112", "changed the caption; purification brought the caption back, but changed the answer"),
    ],
)
def test_an_answer_that_was_sure_is_in_the_title(captions: str, answers: str, title: str) -> None:
    made = shown(*captions, answers=tuple(answers))
    assert f"<h2>The attack {title}</h2>" in words.result(made)


def test_an_answer_that_is_not_sure_is_not_brought_back() -> None:
    made = shown("cat", "dog", "cat", answers=("1", "2", "1"))
    made.said["purified"] = replace(made.said["purified"], sure=False)
    assert "purification brought the caption back, not the answer" in words.result(made)
    assert "(answer differs)" in words.said(made, "purified")


def test_agreement_is_in_words_and_nothing_is_unescaped() -> None:
    made = shown("cat", "dog", "cat")
    assert "(caption differs)" in words.said(made, "adversarial")
    assert "(caption as before)" in words.said(made, "purified")
    assert "(caption" not in words.said(made, "clean")
    assert "<b>" not in "".join(words.said(made, which) for which in made.said)
    assert "(caption" not in words.said(shown(None, "cat", "cat"), "purified")


def test_who_speaks_is_named_and_why() -> None:
    made = shown("cat", "dog", "cat", answers=("1", "2", "1"))
    assert "made 5 steps through the gradient of the embedded model" in words.notes(DemoRun(made.request, step=5))
    made.model = ModelInfo(problem="smol could not be loaded, so the embedded model speaks in its place.")
    assert "<p>smol could not be loaded" in words.result(made)
    made.model = ModelInfo(OTHER, "smol<")
    assert "smol&lt; can be wrong" in words.notes(made)
    assert "through the gradient of smol&lt;" in words.notes(made)
    assert "carried over" not in words.result(made)
    made.request = replace(made.request, objective="features")
    assert "The attack was made on CLIP alone: what it does to smol&lt; is carried over." in words.result(made)
    made.model = ModelInfo(OTHER, "smol", asks=False)
    assert "smol only captions, so the question was not asked." in words.result(made)
