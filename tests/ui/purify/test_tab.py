"""The Purify tab: its stages, its words, its endpoints over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
from causalclip.clip.weights import WeightsMissing
from purifier import exhibit as stages
from purifier.aims import AimError
from purifier.denoiser.pipeline import new_pipeline
from purifier.exhibit import Exhibit, Said, Wish, difference, exhibit, make_attack
from tests.makers.pictures import encode, photo
from tests.makers.purifiers import tiny_models
from ui.purify import words
from ui.purify.tab import PurifyTab, build_tab, reason
from ui.server.turns import Superseded, take_turn

QUESTION = "Is there a dog?"


@pytest.fixture(scope="module")
def tab() -> PurifyTab:
    with gr.Blocks():
        return build_tab(tiny_models())


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with gr.Blocks(analytics_enabled=False) as page:
        build_tab(tiny_models())
    yield Client(app.launch(page), verbose=False)
    page.close(verbose=False)


def run(wish: Wish) -> list[Exhibit]:
    return list(exhibit(tiny_models(), photo(96, 72), wish))


# Stages -------------------------------------------------------------------------------------------


def test_a_given_picture_is_asked_about_before_and_after() -> None:
    shown = run(Wish(QUESTION))[-1]
    assert list(shown.pictures) == ["adversarial", "purified"]
    assert shown.complete
    assert shown.said["adversarial"].answer
    assert np.array_equal(shown.pictures["adversarial"], photo(96, 72))
    assert shown.seconds > 0


def test_the_prompt_speaks_of_the_purified_picture_alone() -> None:
    models = tiny_models()
    plain, led = (list(exhibit(models, photo(96, 72), Wish(QUESTION, prompt=p)))[-1] for p in (False, True))
    assert led.said["adversarial"] == plain.said["adversarial"]
    assert "Defence prompt on for the purified picture" in words.notes(led)
    asked = []
    models = tiny_models(purifier=lambda: new_pipeline(channels=(8, 16)), prompted=lambda: asked.append(1))
    shown = list(exhibit(models, photo(96, 72), Wish(QUESTION, prompt=True)))[-1]
    assert shown.unchanged
    assert not asked
    assert "not used, as the picture came back unchanged" in words.notes(shown)


def test_an_attacked_one_has_its_clean_picture_beside_it() -> None:
    every = run(Wish(QUESTION, attack=make_attack("pgd", 8, 4)))
    shown = every[-1]
    assert list(shown.pictures) == ["clean", "adversarial", "purified"]
    change = shown.pictures["adversarial"].astype(int) - shown.pictures["clean"]
    assert 0 < np.abs(change).max() == pytest.approx(shown.change, abs=1e-3)
    assert np.abs(change).max() <= 8
    assert (shown.step, shown.steps, shown.cut) == (4, 4, False)
    assert len(every) == 1 + 4 + 1 + 1


def test_the_clock_stops_an_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "LONGEST", 0.0)
    shown = run(Wish(QUESTION, attack=make_attack("square", 8, 50)))[-1]
    assert (shown.step, shown.cut) == (1, True)
    assert "stopped after 20 seconds, at step 1 of 50" in words.notes(shown)


def test_differences_are_on_one_fixed_scale() -> None:
    a, b = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 105, np.uint8)
    assert difference(a, a).tolist() == np.full((2, 2, 3), 128).tolist()
    assert difference(b, a)[0, 0, 0] == 178
    assert difference(a, b)[0, 0, 0] == 78
    assert difference(np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8))[0, 0, 0] == 255


@pytest.mark.parametrize("bad", [("pgd", 0, 5), ("pgd", 99, 5), ("pgd", 8, 5000), ("magic", 8, 5)])
def test_settings_outside_the_bounds_are_refused(bad: tuple[str, float, int]) -> None:
    with pytest.raises(AimError):
        make_attack(*bad)


# Words --------------------------------------------------------------------------------------------


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
        (("cat", "dog", "cat"), "The attack changed the caption, and purification changed it back"),
        (("cat", "dog", "dog"), "The attack changed the caption, and purification did not bring it back"),
        (("cat", "cat", "cat"), "The attack did not change the caption"),
        (("cat", "cat", "dog"), "The attack did not change the caption, but purification did"),
        ((None, "cat", "cat"), "Purified: the caption stayed the same"),
        ((None, "cat", "dog"), "Purified: the caption is another one now"),
    ],
)
def test_the_card_says_what_happened_first(captions: tuple[Any, ...], title: str) -> None:
    exhibit = shown(*captions)
    assert f"<h2>{title}</h2>" in words.result(exhibit)
    assert "Purified in" in words.notes(exhibit)
    assert "may read as generated" in words.notes(exhibit)


def test_of_an_answer_that_was_a_guess_nothing_is_claimed() -> None:
    answers = ("2", "3", "2")
    guessed = words.result(shown("cat", "cat", "cat", answers=answers, sure=False))
    assert "not sure of its answer on the clean picture" in guessed
    assert "changed the answer" not in guessed
    assert "Agrees" in words.said(shown("cat", "cat", "cat", answers=answers, sure=False), "adversarial")
    sure = words.result(shown("cat", "cat", "cat", answers=answers))
    assert "The attack changed the answer from \u201c2\u201d; purified, it came back." in sure
    assert "Differs" in words.said(shown("cat", "cat", "cat", answers=answers), "adversarial")


def test_agreement_is_in_words_and_nothing_is_unescaped() -> None:
    exhibit = shown("cat", "dog", "cat")
    assert "Differs from the clean picture" in words.said(exhibit, "adversarial")
    assert "Agrees with the clean picture" in words.said(exhibit, "purified")
    assert "the clean picture" not in words.said(exhibit, "clean")
    assert "<b>" not in words.said(exhibit, "purified")
    assert words.said(shown(None, "cat", "cat"), "purified").count("clean picture") == 0


def test_the_likelihood_of_the_clean_words_is_drawn() -> None:
    exhibit = run(Wish(QUESTION, attack=make_attack("pgd", 8, 4)))[-1]
    values = [exhibit.said[name].likelihood for name in ("clean", "adversarial", "purified")]
    assert all(value is not None and 0 <= value <= 1 for value in values)
    html = words.notes(exhibit)
    assert html.count("<tr>") == 4
    assert f"<td>{100 * values[1]:.0f} %</td>" in html
    assert "How likely" not in words.notes(run(Wish(QUESTION))[-1])


def test_progress_is_shown_while_it_attacks() -> None:
    exhibit = Exhibit(Wish(QUESTION), said={"clean": Said("a dog")}, step=3, steps=20)
    assert "<progress max='20' value='3'" in words.working(exhibit)


# Callbacks ----------------------------------------------------------------------------------------


def settings(
    question: str = QUESTION, attack: str = "pgd", eps: float = 8, objective: str = "answer", target: str = ""
):
    return [question, 1, False, attack, eps, 3, objective, target]


def payload(folder: Path, data: bytes | None = None) -> dict[str, str]:
    path = folder / "picture.png"
    path.write_bytes(data or encode(photo(96, 72), "PNG"))
    return {"path": str(path)}


@pytest.fixture
def inside(uploads: Path) -> Path:
    folder = uploads / "given"
    folder.mkdir(exist_ok=True)
    return folder


def test_attack_and_purify_fill_three_columns_exactly(tab: PurifyTab, inside: Path) -> None:
    last: dict[Any, Any] = {}
    for updates in tab.run_attacked(take_turn("purify"), payload(inside), *settings()):
        last |= updates
    assert "The attack" in last[tab.status]
    for name in ("clean", "adversarial", "purified"):
        file = last[tab.pictures[name]]["value"]
        assert file.endswith(".png")
        assert np.array(Image.open(file)).shape == (72, 96, 3)
        assert "<dt>Caption</dt>" in last[tab.said[name]]
    assert np.array_equal(np.array(Image.open(last[tab.pictures["clean"]]["value"])), photo(96, 72))
    assert len(last[tab.slider]) == 2
    assert all(last[change].endswith(".png") for change in tab.changes.values())


def test_without_an_attack_there_is_no_clean_column(tab: PurifyTab, inside: Path) -> None:
    last: dict[Any, Any] = {}
    for updates in tab.run_given(take_turn("purify"), payload(inside), *settings()):
        last |= updates
    assert last[tab.said["clean"]] == ""
    assert last[tab.changes["attack-change"]] is None
    assert "Purified:" in last[tab.status]


@pytest.mark.parametrize(
    ("broken", "options", "sentence"),
    [
        (True, {}, "cut short or damaged"),
        (False, {"eps": 99}, "at most 32"),
        (False, {"target": "zebra"}, "none of the 6 answers"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_leaves_nothing(
    tab: PurifyTab, inside: Path, broken: bool, options: dict[str, Any], sentence: str
) -> None:
    data = encode(photo(96, 72), "JPEG")[:400] if broken else None
    *_, last = tab.run_attacked(take_turn("purify"), payload(inside, data), *settings(**options))
    assert sentence in last[tab.status]
    assert last[tab.pictures["clean"]] is None


def test_a_picture_that_is_left_as_it_is_is_said_to_be(inside: Path) -> None:
    page_models = tiny_models(purifier=lambda: new_pipeline(channels=(8, 16), coarse=32))
    with gr.Blocks():
        untouched = build_tab(page_models)
    *_, before, _ = untouched.run_given(take_turn("purify"), payload(inside), *settings())
    assert "comes back unchanged" in before[untouched.status]


def test_after_a_stop_the_run_ends_before_its_next_step(tab: PurifyTab, inside: Path) -> None:
    turn = take_turn("purify")
    running = tab.run_attacked(turn, payload(inside), *settings())
    next(running)
    take_turn("purify")
    with pytest.raises(Superseded):
        list(running)


def test_missing_weights_are_a_sentence() -> None:
    assert reason(WeightsMissing("There is no purifier.")) == (
        "The model's weights are missing",
        "There is no purifier.",
    )


# Over HTTP ----------------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path: Path) -> Any:
    (tmp_path / "a.png").write_bytes(encode(photo(96, 72), "PNG"))
    return handle_file(str(tmp_path / "a.png"))


def test_only_the_endpoints_that_are_meant_are_public(client: Client) -> None:
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/purify", "/attack", "/ask"}


def test_attack_then_purify_then_ask(client: Client, picture: Any) -> None:
    attacked, facts = client.predict(picture, "pgd", 6, 3, "answer", QUESTION, "", 0, api_name="/attack")
    change = np.array(Image.open(attacked)).astype(int) - photo(96, 72)
    assert 0 < np.abs(change).max() == facts["linf"] <= 6  # PNG all the way: the budget holds to the last bit
    purified, facts = client.predict(handle_file(attacked), 2, api_name="/purify")
    assert facts["steps"] == 2
    assert np.array(Image.open(purified)).shape == (72, 96, 3)
    said = client.predict(handle_file(purified), QUESTION, True, api_name="/ask")
    assert set(said) == {"caption", "answer", "confidence", "sure"}
    assert set(client.predict(picture, "", False, api_name="/ask")) == {"caption"}


def test_errors_over_http_are_sentences(client: Client, picture: Any) -> None:
    with pytest.raises(AppError, match="needs a question"):
        client.predict(picture, "pgd", 6, 3, "answer", "", "", 0, api_name="/attack")
    with pytest.raises(AppError, match="Send a picture"):
        client.predict(None, 1, api_name="/purify")
