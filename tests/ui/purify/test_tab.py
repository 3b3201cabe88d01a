"""The Purify tab: its callbacks, its words, what is on the page and when; and its prepared
examples."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from causalclip.measured import measured
from purifier.models import ModelInfo, Models
from purifier.request import Request
from purifier.scenario import Response, Scenario, make_attack
from purifier.vlm.interface import EMBEDDED, OTHER
from tests.makers.models import fixed_attack_detector, tiny_clip, tiny_models, tiny_purifier
from tests.makers.pictures import encode, photo
from ui.jobs import Cancelled
from ui.panel import new_request
from ui.server.uploads import new_folder
from ui.tabs.purify import answers, facts, rendering
from ui.tabs.purify.examples import PREPARED, Prepared, load, run
from ui.tabs.purify.rendering import PARTS
from ui.tabs.purify.storyboard import GAP, SIDE, TITLE
from ui.tabs.purify.tab import PurifyTab, build_purify_tab
from ui.tabs.purify.widgets import worth

QUESTION = "Is there a dog?"


@pytest.fixture(scope="module")
def tab() -> PurifyTab:
    with gr.Blocks():
        return build_purify_tab(tiny_models())


def settings(
    question: str = QUESTION,
    attack: str = "pgd",
    eps: float = 8,
    objective: str = "answer",
    target: str = "",
    always: bool = False,
    on: tuple[bool, ...] = (True, True, True, False),
):
    return [question, 1, always, *on, attack, eps, 3, objective, target, False, EMBEDDED]


def payload(folder: Path, data: bytes | None = None) -> dict[str, str]:
    path = folder / "picture.png"
    path.write_bytes(data or encode(photo(96, 72), "PNG"))
    return {"path": str(path)}


@pytest.fixture
def inside(uploads: Path) -> Path:
    return new_folder()


def followed(updates: Iterator[dict[Any, Any]]) -> dict[Any, Any]:
    """What is on the page at the end."""
    last: dict[Any, Any] = {}
    for update in updates:
        last |= update
    return last


def test_attack_and_purify_fill_the_row_exactly(tab: PurifyTab, inside: Path) -> None:
    last = followed(
        tab.run_again(new_request("purify"), payload(inside), *settings(), with_attack=True)
    )
    assert "The attack" in last[tab.headline]
    assert last[tab.status] == ""
    for name in ("clean", "adversarial", "purified"):
        file = last[tab.pictures[name]]["value"]
        assert file.endswith(".png")
        assert np.array(Image.open(file)).shape == (72, 96, 3)
    for name in ("clean", "adversarial", "purified"):
        assert f"id='purify-{name}-said'" in last[tab.responses[name]]
    assert len(last[tab.slider]["value"]) == 2
    assert last[tab.pictures["adversarial"]]["label"] == "Attacked"
    change = np.array(Image.open(last[tab.changes["attack-change"]])).astype(int)
    moved = np.array(Image.open(last[tab.pictures["adversarial"]]["value"])).astype(int)
    assert np.array_equal(change, (128 + 10 * (moved - photo(96, 72))).clip(0, 255))


def test_a_new_picture_blanks_and_a_new_wish_does_not_until_there_is_its_result(
    tab: PurifyTab, inside: Path
) -> None:
    given = payload(inside)
    first = next(tab.run_given(new_request("purify"), given, *settings()))
    assert set(first) == set(tab.outputs)
    assert not any(value for part, value in first.items() if part is not tab.status)
    assert set(tab.begin(gr.EventData(None, None), given)) == set(tab.outputs)
    assert set(tab.again(gr.EventData(None, None), given)) == {tab.status}
    nothing = [*tab.run_again(new_request("purify"), None, *settings(), with_attack=True)]
    assert [set(update) for update in nothing] == [{tab.status}]  # the last result stays
    *updates, last = tab.run_again(new_request("purify"), given, *settings(), with_attack=True)
    assert all(set(update) == {tab.status} for update in updates)
    said = "".join(update[tab.status] for update in updates)
    # 3 of the attack, and 3 more
    steps = [int(step) for step in re.findall(r"Step (\d) of 6\.", said)]
    assert steps == sorted(steps)
    assert set(steps) == {1, 2, 3, 4, 5, 6}
    # questions that were asked about the pictures before go with them
    assert set(last) == set(tab.outputs)
    assert (last[tab.history], last[tab.follow_ups]) == ("", ())
    assert f"Asked: <bdi lang='en'>{QUESTION}</bdi>" in last[tab.question]
    assert set(tab.stopped()) == {tab.status}


def test_an_attack_shows_the_first_answer_at_once_and_then_the_noise_and_what_it_does(
    tab: PurifyTab, inside: Path
) -> None:
    updates = tab.run_again(new_request("purify"), payload(inside), *settings(), with_attack=True)
    cards = [update[tab.status] for update in updates if update[tab.status]]
    first = next(i for i, card in enumerate(cards) if "The picture as given" in card)
    assert "Step 2 of 6" in cards[first]  # before the attack's first step
    noises = [re.findall("src='(data:[^']+)'", card) for card in cards if "Still believed" in card]
    assert len({noise for (noise,) in noises}) == 3  # a step, another noise
    assert "<img" not in cards[-1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eps": 99}, "at most 32"),
        ({"target": "zebra"}, "none of the 6 answers"),
        ({"objective": "detector", "target": "true"}, "can be “generated” or “not generated”"),
        ({"question": "?"}, "The question is empty"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_nothing_is_lost(
    tab: PurifyTab, inside: Path, options: dict[str, Any], sentence: str
) -> None:
    *_, last = tab.run_again(
        new_request("purify"), payload(inside), *settings(**options), with_attack=True
    )
    assert set(last) == {tab.status}
    assert sentence in last[tab.status]


def test_a_broken_picture_is_a_sentence_and_leaves_nothing(tab: PurifyTab, inside: Path) -> None:
    *_, last = tab.run_given(
        new_request("purify"), payload(inside, encode(photo(96, 72), "JPEG")[:400]), *settings()
    )
    assert "cut short or damaged" in last[tab.status]
    assert last[tab.picture] is None
    assert last[tab.pictures["purified"]] is None


def test_a_picture_that_is_left_as_it_is_is_said_to_be(
    inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_clip(monkeypatch)
    page_models = tiny_models(
        purifier=lambda: tiny_purifier(attack_detector=fixed_attack_detector(-1.0))
    )
    with gr.Blocks():
        untouched = build_purify_tab(page_models)
    last = followed(untouched.run_given(new_request("purify"), payload(inside), *settings()))
    assert "comes back unchanged" in last[untouched.headline]
    assert "Purify even if no attack is found" in last[untouched.headline]
    assert "cc-kept" in last[untouched.headline]
    assert last[untouched.pictures["clean"]] is None
    last = followed(
        untouched.run_given(new_request("purify"), payload(inside), *settings(always=True))
    )
    assert "Purified" in last[untouched.headline]
    assert "whether an attack was found or not" in last[untouched.notes]


def test_one_step_and_four_are_compared_with_how_many_questions_each_rests_on() -> None:
    with gr.Blocks():
        steps = build_purify_tab(tiny_models()).settings["steps"]
    one, four = re.findall(r"(\d\d)% of (\d+)", steps.info)
    kept = [
        measured()[f"purification.{defence}.pgd-8.agreement"]
        for defence in ("one-step", "four-steps")
    ]
    assert [one, four] == [(f"{100 * share.value:.0f}", str(share.n)) for share in kept]


def test_each_part_can_be_switched_off(inside: Path) -> None:
    """Which the page says; of a part that is on, the purifier gets to know nothing. Beside the
    answers that each keeps stands how many are correct."""
    models, given = tiny_models(), []
    purify = models.purify_in_parts
    models.purify_in_parts = lambda *args, **options: (
        given.append(args[1].without) or purify(*args, **options)
    )  # type: ignore[method-assign]
    with gr.Blocks():
        tab = build_purify_tab(models)
    for i, part in enumerate(PARTS):
        on = tuple(n != i for n in range(len(PARTS)))
        last = followed(tab.run_given(new_request("purify"), payload(inside), *settings(on=on)))
        assert given[-1] == (part,)
        assert f"Switched off: {PARTS[part]}." in last[tab.headline]
        shares = re.findall(r"\d\d% kept, \d\d% correct\.", worth(part))
        assert len(shares) == (3 if part == "network" else 1)
    last = followed(
        tab.run_given(new_request("purify"), payload(inside), *settings(on=(True,) * 4))
    )
    assert "Switched off" not in last[tab.headline]
    assert re.search(r"\d\d% of \d+ attacked answers are kept and \d\d% are correct", worth())


@pytest.mark.parametrize("attacked", [True, False])
def test_with_all_parts_off_nothing_is_called_purified(inside: Path, *, attacked: bool) -> None:
    with gr.Blocks():
        tab = build_purify_tab(tiny_models())
    off = settings(on=(False,) * 4)
    last = followed(
        tab.run_again(new_request("purify"), payload(inside), *off, with_attack=attacked)
    )
    headline = last[tab.headline]
    assert "<h2>Nothing was purified</h2>" in headline
    assert "Switched off: " + ", ".join(PARTS.values()) in headline
    assert ("The attack " in headline) == attacked
    assert "cc-kept" in headline  # hides the third frame
    _status, history, _asked = tab.ask(last[tab.last_run], (), QUESTION)
    assert "purified" not in history
    assert history.count("<dd>") == (2 if attacked else 1)


def test_after_a_stop_the_run_ends_before_its_next_step(tab: PurifyTab, inside: Path) -> None:
    token = new_request("purify")
    running = tab.run_again(token, payload(inside), *settings(), with_attack=True)
    next(running)
    new_request("purify")
    with pytest.raises(Cancelled):
        list(running)


def test_another_question_is_put_to_each_picture_without_a_new_attack(
    tab: PurifyTab, inside: Path
) -> None:
    last = followed(
        tab.run_again(new_request("purify"), payload(inside), *settings(), with_attack=True)
    )
    _status, said, asked = tab.ask(last[tab.last_run], (), "How many <b>dogs</b>?")
    assert set(asked[0].responses) == {"clean", "adversarial", "purified"}
    names = re.findall(r"<dd><span class='cc-hidden'>(.*?): </span>", said)
    assert names == ["as given", "attacked", "purified"]  # in the order of the frames
    assert "<b>dogs" not in said
    _status, said, asked = tab.ask(last[tab.last_run], asked, QUESTION)
    assert [one.question for one in asked] == [QUESTION, "How many <b>dogs</b>?"][::-1]
    assert (
        asked[1].responses["adversarial"].answer
        == last[tab.last_run][0].responses["adversarial"].answer
    )
    _status, said, same = tab.ask(last[tab.last_run], asked, "?")
    assert "The question is empty" in said
    assert same == asked
    assert "Add a picture first" in tab.ask(None, None, QUESTION)[0]


def test_a_page_keeps_no_pixels_in_memory(tab: PurifyTab, inside: Path) -> None:
    """Of 12 megapixels they are 36 MB a picture, and an address has 64 pages."""
    run, files = followed(tab.run_again(new_request("purify"), payload(inside), *settings()))[
        tab.last_run
    ]
    assert not run.pictures
    assert set(files) == {"adversarial", "purified"}
    for file in files.values():
        Path(file).unlink()
    _status, said, asked = tab.ask((run, files), (), QUESTION)
    assert "no longer kept" in said
    assert asked == ()


@pytest.mark.full
def test_the_attack_turns_the_answer_and_purification_brings_it_back() -> None:
    """Of the first prepared example, made anew by the shipped models."""
    example = PREPARED[0]
    now, kept = run(Models(), example), load(example)
    old = "assets/purify is out of date: python -m scripts.examples --purify"
    assert example.holds(now), [response.spoken for response in now.responses.values()]
    assert kept.responses["clean"].answer == now.responses["clean"].answer, old
    # Another processor rounds otherwise: how sure the model is moves by less than a hundredth, and
    # by more where it has changed.
    confidence = now.responses["clean"].confidence
    assert kept.responses["clean"].confidence == pytest.approx(confidence, abs=0.01), old
    assert kept.steps == now.steps == example.steps, old


@pytest.mark.parametrize("example", PREPARED, ids=lambda example: example.file)
def test_what_is_kept_holds_and_is_in_its_budget(example: Prepared) -> None:
    kept = load(example)
    assert example.holds(kept)
    moved = kept.pictures["adversarial"].astype(int) - kept.pictures["clean"]
    assert 0 < np.abs(moved).max() <= example.eps


ASKED = "Is there a dog?"


def shown(
    clean: str | None,
    moved: str,
    purified: str,
    *,
    answers: tuple[str, str, str] | None = None,
    sure=True,
):
    """By captions; answers of the three pictures, if any."""
    captions = {"clean": clean, "adversarial": moved, "purified": purified}
    responses = {
        name: Response(
            caption=f"a <b>{caption}</b>",
            spoken=spoken,
            answer=spoken,
            sure=sure,
            confidence=0.5 if spoken else None,
        )
        for (name, caption), spoken in zip(captions.items(), answers or ("", "", ""), strict=True)
        if caption
    }
    attack = make_attack("pgd", 8, 5) if clean else None
    return Scenario(request=Request(question=ASKED, attack=attack), responses=responses)


@pytest.mark.parametrize(
    ("captions", "answers", "title"),
    [
        ("cdc", None, "The attack changed the caption; purification brought the caption back"),
        ("cdd", None, "The attack changed the caption; purification did not bring it back"),
        ("ccd", None, "The attack did not change the caption, but purification did"),
        ((None, "c", "d"), None, "Purified: the caption is another one now"),
        (
            "cdc",
            "121",
            "The attack changed the caption and the answer; purification brought both back",
        ),
        (
            "cde",
            "123",
            "The attack changed the caption and the answer; purification brought neither back",
        ),
        ("ccc", "111", "The attack changed neither the caption nor the answer"),
        (
            "cdc",
            "112",
            "The attack changed the caption; purification brought the caption back, but changed "
            "the answer",
        ),
    ],
)
def test_the_card_says_what_happened_first(captions: Any, answers: str | None, title: str) -> None:
    made = shown(*captions, answers=answers and tuple(answers))
    assert f"<h2>{title}</h2>" in rendering.result_card(made)
    assert "Purified in" in facts.notes(made)
    assert "may read as generated" in facts.notes(made)


def test_an_answer_that_is_not_sure_is_not_brought_back() -> None:
    made = shown("cat", "dog", "cat", answers=("1", "2", "1"))
    unsure = made.responses["purified"].model_copy(update={"sure": False})
    made = made.model_copy(update={"responses": made.responses | {"purified": unsure}})
    assert "purification brought the caption back, not the answer" in rendering.result_card(made)
    assert "(answer differs)" in answers.as_html(made, "purified")


def test_a_caption_is_brought_back_only_with_the_same_words() -> None:
    made = shown("man in front of a fridge", "dog", "man in front of a window")
    assert "purification did not bring it back" in rendering.result_card(made)
    assert "(caption differs)" in answers.as_html(made, "purified")
    assert "compared word for word" in facts.notes(made)


def test_agreement_is_in_words_and_nothing_is_unescaped() -> None:
    made = shown("cat", "dog", "cat")
    assert "(caption differs)" in answers.as_html(made, "adversarial")
    assert "(caption as before)" in answers.as_html(made, "purified")
    assert "(caption" not in answers.as_html(made, "clean")
    assert "<b>" not in "".join(answers.as_html(made, which) for which in made.responses)
    answered = answers.as_html(shown("cat", "dog", "cat", answers=("1", "2", "1")), "clean")
    assert "model is 50% sure" in answered
    assert answered.index("cc-told") < answered.index("<details") < answered.index("cat")
    assert "(caption" not in answers.as_html(shown(None, "cat", "cat"), "purified")


def test_who_speaks_is_named_and_why() -> None:
    made = shown("cat", "dog", "cat", answers=("1", "2", "1"))
    assert "made 5 steps through the gradient of the embedded model" in facts.notes(
        Scenario(request=made.request, step=5)
    )
    made = made.model_copy(
        update={
            "model": ModelInfo(
                problem="smol could not be loaded, so the embedded model speaks in its place."
            )
        }
    )
    assert "<p>smol could not be loaded" in rendering.result_card(made)
    made = made.model_copy(update={"model": ModelInfo(OTHER, "smol<")})
    assert "smol&lt; can be wrong" in facts.notes(made)
    assert "through the gradient of smol&lt;" in facts.notes(made)
    assert "carried over" not in rendering.result_card(made)
    request = made.request.model_copy(update={"objective": "features"})
    made = made.model_copy(update={"request": request})
    assert (
        "The attack was made on CLIP alone: what it does to smol&lt; is carried over."
        in rendering.result_card(made)
    )
    made = made.model_copy(update={"model": ModelInfo(OTHER, "smol", asks=False)})
    assert "smol only captions, so the question was not asked." in rendering.result_card(made)


def test_a_run_is_saved_as_one_picture_with_all_three_in_it(tab: PurifyTab, inside: Path) -> None:
    last = followed(
        tab.run_again(new_request("purify"), payload(inside), *settings(), with_attack=True)
    )
    board = np.array(Image.open(last[tab.save])).astype(int)
    for place, name in enumerate(("clean", "adversarial", "purified")):
        frame = np.array(Image.open(last[tab.pictures[name]]["value"]))
        left = GAP + place * (SIDE + GAP)
        top = 2 * GAP + TITLE
        shown = board[top : top + frame.shape[0], left : left + frame.shape[1]]
        assert np.array_equal(shown, frame)
        below = board[top + frame.shape[0] :, left : left + SIDE]
        assert (below < 100).any()  # words stand there


def test_the_time_left_is_known_from_the_start_of_the_second_run(
    tab: PurifyTab, inside: Path
) -> None:
    def first_words_of_the_attack() -> str:
        updates = tab.run_again(
            new_request("purify"), payload(inside), *settings(), with_attack=True
        )
        cards = [str(update.get(tab.status, "")) for update in updates]
        return next(card for card in cards if "Step 2 of 6." in card)

    rendering._paces.clear()
    assert "The attack takes about" not in first_words_of_the_attack()
    assert "The attack takes about" in first_words_of_the_attack()
