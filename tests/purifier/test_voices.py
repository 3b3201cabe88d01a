"""Who speaks in the Purify tab: the embedded model or another one, and what is said where that one is not there."""

from pathlib import Path

import numpy as np
import pytest

from purifier import exhibit as stages
from purifier.aims import AimError
from purifier.exhibit import Exhibit, Wish, exhibit, make_attack
from purifier.models import Models, Voice
from purifier.names import EMBEDDED, OTHER
from tests.makers.models import hub_folders
from tests.makers.pictures import photo
from tests.makers.purifiers import tiny_models

QUESTION = "how many dogs are there"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hub_folders(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def chatty(folders: dict[str, str]) -> Models:
    return tiny_models(other=folders["chat"])


def run(models: Models, **wish: object) -> Exhibit:
    *_, last = exhibit(models, photo(64, 48), Wish(**{"question": QUESTION, "vlm": OTHER} | wish))  # type: ignore[arg-type]
    return last


def test_it_is_called_by_the_last_part_of_its_name(folders: dict[str, str]) -> None:
    assert Models(other=folders["chat"] + "/").other == "tiny-chat"
    assert Models(other="HuggingFaceTB/SmolVLM-256M-Instruct").other == "SmolVLM-256M-Instruct"
    assert Models(other=EMBEDDED).other == Models().other == ""


def test_who_is_asked_speaks_of_all_three_pictures(chatty: Models) -> None:
    assert chatty.voice(OTHER) == Voice(OTHER, "tiny-chat")
    shown, embedded = run(chatty, attack=make_attack("pgd", 8, 2)), run(chatty, vlm=EMBEDDED)
    assert shown.voice.name == "tiny-chat"
    assert embedded.voice == Voice()
    speaker = chatty.vlm_named(OTHER)
    for name in ("clean", "adversarial", "purified"):
        pixels = stages.to_tensor(shown.pictures[name])
        assert shown.said[name].caption == speaker.caption(pixels)[0].text
        assert shown.said[name].answer == speaker.answer(pixels, QUESTION)[0].text
        assert 0 < (shown.said[name].likelihood or 0) <= 1


@pytest.mark.parametrize("objective", ["answer", "caption"])
def test_an_attack_on_what_it_says_lowers_the_likelihood_of_that(chatty: Models, objective: str) -> None:
    shown = run(chatty, attack=make_attack("pgd", 16, 6), objective=objective)
    assert np.abs(shown.pictures["adversarial"].astype(int) - shown.pictures["clean"]).max() <= 16
    vlm = chatty.vlm_named(OTHER)
    prompt = QUESTION if objective == "answer" else "describe the picture"
    text = shown.said["clean"].answer if objective == "answer" else shown.said["clean"].caption
    before, after = (
        float(vlm.log_likelihood(stages.to_tensor(shown.pictures[n]), [prompt], [text]))
        for n in ("clean", "adversarial")
    )
    assert after < before


def test_an_attack_on_clip_is_the_same_whoever_speaks(chatty: Models) -> None:
    own, carried = (
        run(chatty, vlm=vlm, attack=make_attack("pgd", 8, 3), objective="features") for vlm in (EMBEDDED, OTHER)
    )
    assert np.array_equal(own.pictures["adversarial"], carried.pictures["adversarial"])
    assert carried.longest == stages.LONGEST
    assert run(chatty, attack=make_attack("pgd", 8, 1)).longest == stages.LONGEST_OTHER


def test_without_a_gradient_the_attacks_that_need_none_remain(chatty: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chatty, "voice", lambda key=EMBEDDED: Voice(OTHER, "tiny-chat", differentiable=False))
    with pytest.raises(AimError, match="tiny-chat lets no gradient through"):
        run(chatty, attack=make_attack("pgd", 8, 2))
    assert run(chatty, attack=make_attack("square", 8, 2)).step == 2
    assert run(chatty, attack=make_attack("pgd", 8, 2), objective="features").step == 2


def test_who_only_captions_is_not_asked(folders: dict[str, str]) -> None:
    shown = run(tiny_models(other=folders["caption"]), attack=make_attack("pgd", 8, 2))
    assert not shown.voice.asks
    assert shown.objective == "caption"
    assert {said.answer for said in shown.said.values()} == {""}


@pytest.mark.parametrize("broken", ["not there", "no model"])
def test_where_it_cannot_be_had_the_embedded_one_speaks_and_says_so(tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "smol"
    if broken == "no model":
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "gpt2"}')
    models = tiny_models(other=str(folder))
    assert not models.other_tried
    shown, plain = run(models), run(models, vlm=EMBEDDED)
    assert models.other_tried
    assert shown.voice.key == EMBEDDED
    assert shown.voice.problem == "smol could not be loaded, so the embedded model speaks in its place."
    assert shown.said == plain.said
    assert plain.voice.problem == ""
    assert str(tmp_path) not in models.other_problem


def test_it_is_loaded_once_and_before_anybody_asks(folders: dict[str, str]) -> None:
    waited = []
    models = tiny_models(other=folders["caption"], wait=lambda: waited.append(1))
    models.warm_up()
    assert waited
    assert models.other_tried
    assert models.vlm_named(OTHER) is models.vlm_named(OTHER)
