"""What the Purify tab says of a picture: title, agreement, likelihood, progress, who speaks."""

from dataclasses import replace
from typing import Any

import pytest

from purifier.exhibit import Exhibit, Said, Wish, make_attack
from purifier.models import Voice
from purifier.names import OTHER
from tests.ui.purify.test_tab import QUESTION, run
from ui.purify import facts, words


def shown(clean: str | None, moved: str, purified: str, *, answers: tuple[str, str, str] | None = None, sure=True):
    """By captions; answers of the three pictures, if any."""
    captions = {"clean": clean, "adversarial": moved, "purified": purified}
    said = {
        name: Said(f"a <b>{caption}</b>", spoken, spoken, sure, 0.5 if clean else None)
        for (name, caption), spoken in zip(captions.items(), answers or ("", "", ""), strict=True)
        if caption
    }
    return Exhibit(Wish(QUESTION, attack=make_attack("pgd", 8, 5) if clean else None), said=said)


@pytest.mark.parametrize(
    ("captions", "title"),
    [
        (("cat", "dog", "cat"), "The attack changed the caption; purification brought the caption back"),
        (("cat", "dog", "dog"), "The attack changed the caption; purification did not bring it back"),
        (("cat", "cat", "cat"), "The attack did not change the caption"),
        (("cat", "cat", "dog"), "The attack did not change the caption, but purification did"),
        ((None, "cat", "cat"), "Purified: the caption stayed the same"),
        ((None, "cat", "dog"), "Purified: the caption is another one now"),
    ],
)
def test_the_card_says_what_happened_first(captions: tuple[Any, ...], title: str) -> None:
    exhibit = shown(*captions)
    assert f"<h2>{title}</h2>" in words.result(exhibit)
    assert "Purified in" in facts.notes(exhibit)
    assert "may read as generated" in facts.notes(exhibit)


@pytest.mark.parametrize(
    ("captions", "answers", "title"),
    [
        ("cdc", "121", "changed the caption and the answer; purification brought both back"),
        ("cdd", "121", "changed the caption and the answer; purification brought the answer back, not the caption"),
        ("cdc", "122", "changed the caption and the answer; purification brought the caption back, not the answer"),
        ("cde", "123", "changed the caption and the answer; purification brought neither back"),
        ("ccc", "121", "changed the answer; purification brought the answer back"),
        ("cdc", "111", "changed the caption; purification brought the caption back"),
        ("ccc", "111", "changed neither the caption nor the answer"),
        ("ccd", "111", "changed neither the caption nor the answer, but purification changed the caption"),
        ("cdc", "112", "changed the caption; purification brought the caption back, but changed the answer"),
    ],
)
def test_an_answer_that_was_sure_is_in_the_title(captions: str, answers: str, title: str) -> None:
    exhibit = shown(*captions, answers=tuple(answers))
    assert f"<h2>The attack {title}</h2>" in words.result(exhibit)


def test_of_an_answer_that_was_a_guess_nothing_is_claimed() -> None:
    answers = ("2", "3", "2")
    exhibit = shown("cat", "cat", "cat", answers=answers, sure=False)
    guessed = words.result(exhibit)
    assert "<h2>The attack did not change the caption</h2>" in guessed
    assert "not sure of its answer on the clean picture" in guessed
    assert "answer" not in words.said(exhibit, "adversarial", "After")
    sure = shown("cat", "cat", "cat", answers=answers)
    sentence = "The answer was \u201c2\u201d, \u201c3\u201d under the attack, and \u201c2\u201d after purification."
    assert sentence in words.result(sure)
    assert "answer differs" in words.said(sure, "adversarial", "After")


def test_case_and_a_full_stop_are_no_difference() -> None:
    exhibit = shown("cat", "dog", "cat", answers=("Yes.", "no", "yes"))
    assert "purification brought both back" in words.result(exhibit)


def test_agreement_is_in_words_and_nothing_is_unescaped() -> None:
    exhibit = shown("cat", "dog", "cat")
    assert "caption differs" in words.said(exhibit, "adversarial", "After")
    assert "caption as before" in words.said(exhibit, "purified", "Then")
    assert "caption" not in words.said(exhibit, "clean", "Before")
    assert "<b>" not in words.answers(exhibit)
    assert "caption" not in words.answers(shown(None, "cat", "cat"))


def test_the_likelihood_of_the_clean_words_is_drawn() -> None:
    exhibit = run(Wish(QUESTION, attack=make_attack("pgd", 8, 4)))[-1]
    values = [exhibit.said[name].likelihood for name in ("clean", "adversarial", "purified")]
    assert all(value is not None and 0 <= value <= 1 for value in values)
    html = words.answers(exhibit)
    assert "<th scope='col'></th>" not in html  # a column without a name is told as one
    assert "<span class=cc-hidden></span>" not in html
    assert html.count("<tr>") == 4
    assert html.count("<svg") == 3
    assert f"<td>{100 * values[1]:.0f} %</td>" in html
    for share, said in ((0.001, "under 1 %"), (0.999, "over 99 %")):
        exhibit.said["adversarial"] = replace(exhibit.said["adversarial"], likelihood=share)
        assert f"<td>{said}</td>" in words.answers(exhibit)
    assert "How likely" not in words.answers(run(Wish(QUESTION))[-1])


def test_each_part_of_a_run_is_named_with_a_bar_and_the_time() -> None:
    wish = Wish(QUESTION, attack=make_attack("pgd", 8, 20))
    exhibit = Exhibit(wish, said={"clean": Said("a dog")}, step=4, steps=20, attack_seconds=2)
    drawn = words.working(exhibit)
    assert "Part 2 of 4. Step 4 of 20. A step takes 0.5 s: about 8 s left for them." in drawn
    assert "<progress max='4' value='1.20'" in drawn
    assert "cc-elapsed" in drawn
    exhibit.step = 20
    assert "Asking about the attacked picture" in words.working(exhibit)
    exhibit.said["adversarial"] = Said("a cat")
    assert "Part 4 of 4." in words.working(exhibit)
    assert "Part 2 of 2." in words.working(Exhibit(Wish(QUESTION), said={"adversarial": Said("a cat")}))
    assert "Waiting, 2 before you. Part 4 of 4." in words.working(exhibit, before=2)
    assert "Waiting, 1 before you" in words.working(None, before=1)


def test_who_speaks_is_named_and_why() -> None:
    exhibit = shown("cat", "dog", "cat", answers=("1", "2", "1"))
    assert "What the embedded model says" in words.answers(exhibit)
    assert "made 5 steps through the gradient of the embedded model" in facts.notes(Exhibit(exhibit.wish, step=5))
    exhibit.voice = Voice(problem="smol could not be loaded, so the embedded model speaks in its place.")
    assert "<p>smol could not be loaded" in words.result(exhibit)
    exhibit.voice = Voice(OTHER, "smol<")
    assert "What smol&lt; says" in words.answers(exhibit)
    assert "through the gradient of smol&lt;" in facts.notes(exhibit)
    assert "carried over" not in words.result(exhibit)
    exhibit.wish = replace(exhibit.wish, objective="features")
    assert "The attack was made on CLIP alone: what it does to smol&lt; is carried over." in words.result(exhibit)
    exhibit.voice = Voice(OTHER, "smol", asks=False)
    assert "smol only captions, so the question was not asked." in words.result(exhibit)


def test_captions_are_compared_by_meaning_and_the_measure_is_named() -> None:
    exhibit = shown("cat on a couch", "dog on a lawn", "cat on a wall")
    exhibit.said["adversarial"] = replace(exhibit.said["adversarial"], alike=0.3)
    exhibit.said["purified"] = replace(exhibit.said["purified"], alike=0.9)
    assert "changed the caption; purification brought the caption back" in words.result(exhibit)
    assert "caption differs (similarity 0.30)" in words.said(exhibit, "adversarial", "After")
    assert "caption means the same (similarity 0.90)" in words.said(exhibit, "purified", "Then")
    assert "the cosine of their mean word vectors" in facts.notes(exhibit)
