"""What the Purify tab shows, stage by stage; which model answers; and a card that the host
lends."""

import inspect
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch

from purifier import scenario
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.models import ModelInfo, Models
from purifier.pixels import to_array, to_tensor
from purifier.request import Request
from purifier.scenario import Response, Scenario, make_attack
from purifier.vlm.interface import EMBEDDED, OTHER
from tests.makers.models import hub_folders, tiny_models
from tests.makers.pictures import photo
from training.purifier.untrained import new_pipeline

QUESTION = "how many dogs are there"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hub_folders(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def chatty(folders: dict[str, str]) -> Models:
    return tiny_models(other=folders["chat"])


def stages(models: Models | None = None, **settings: Any) -> list[Scenario]:
    request = Request(**{"question": QUESTION} | settings)
    return list(scenario.run(request, photo(64, 48), models or tiny_models()))


def run(models: Models | None = None, **request: Any) -> Scenario:
    return stages(models, **request)[-1]


def test_an_attacked_one_has_its_clean_picture_beside_it() -> None:
    every = stages(attack=make_attack("pgd", 8, 4))
    shown = every[-1]
    assert list(shown.pictures) == ["clean", "adversarial", "purified"]
    change = shown.pictures["adversarial"].astype(int) - shown.pictures["clean"]
    assert 0 < np.abs(change).max() == pytest.approx(shown.change, abs=1e-3)
    assert np.abs(change).max() <= 8
    assert (shown.step, shown.steps) == (4, 4)
    assert len(every) == 1 + 4 + 1 + 1
    assert all(0 < (response.confidence or 0) <= 1 for response in shown.responses.values())


@pytest.mark.parametrize(
    ("caption", "is_same"),
    [
        ("a cat, on a wall", True),
        ("  A cat on  a Wall. ", True),
        ("a cat on a couch", False),
        ("a wall on a cat", False),
        ("a cat on a wall next to a cat", False),
        ("", False),
    ],
)
def test_a_caption_is_the_same_if_its_words_are(caption: str, is_same: bool) -> None:
    clean = Response(caption="a cat on a wall", answer="-1.5")
    assert Response(caption=caption).same_caption(clean) == is_same
    assert Response(caption="", answer=" -1.5.").same_answer(clean)
    assert not Response(caption="", answer="1.5").same_answer(clean)


def test_an_attack_that_has_worked_stops_early_only_if_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attack = make_attack("pgd", 8, 6)
    full = stages(attack=attack, stop_early=False)
    monkeypatch.setattr(scenario, "TURNED_LOSS", 0.0)  # every step has worked
    early = stages(attack=attack, stop_early=True)
    assert early[-1].step == scenario.TURNED_STEPS < full[-1].step == 6
    assert (early[-1].stopped_early, full[-1].stopped_early) == (True, False)
    assert not early[2].stopped_early  # the attack is still being made
    assert np.array_equal(early[3].pictures["adversarial"], full[3].pictures["adversarial"])
    assert run(attack=attack, stop_early=True, objective="features").step == 6
    monkeypatch.setattr(scenario, "TURNED_LOSS", np.inf)
    assert run(attack=attack, stop_early=True).step == 6


@pytest.mark.parametrize("objective", scenario.OWN_WORDS)
def test_an_attack_on_a_model_of_the_hub_stops_early_too(
    chatty: Models, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    settings = {"vlm": OTHER, "objective": objective, "attack": make_attack("pgd", 16, 5)}
    full = stages(chatty, **settings)
    monkeypatch.setattr(scenario, "TURNED_LOSS", 0.0)  # every step has worked
    early = stages(chatty, stop_early=True, **settings)
    assert early[-1].step == scenario.TURNED_STEPS < full[-1].step == 5
    assert np.array_equal(early[3].pictures["adversarial"], full[3].pictures["adversarial"])
    assert early[-1].complete


def test_the_lora_encoder_looks_at_a_changed_purified_picture_alone() -> None:
    looked, lora_vlm = [], tiny_models().lora_vlm
    models = tiny_models(lora_vlm=lambda: looked.append(1) or lora_vlm)
    plain, led = (run(models, without=without) for without in (("lora_encoder",), ()))
    assert looked == [1]
    assert led.responses["adversarial"] == plain.responses["adversarial"]
    untouched = tiny_models(purifier=lambda: new_pipeline(channels=(8, 16)), lora_vlm=pytest.fail)
    assert run(untouched).unchanged


def test_who_is_asked_answers_and_is_attacked(chatty: Models) -> None:
    assert chatty.info(OTHER) == ModelInfo(OTHER, "tiny-chat")
    shown = run(chatty, vlm=OTHER, attack=make_attack("pgd", 16, 6))
    assert np.abs(shown.pictures["adversarial"].astype(int) - shown.pictures["clean"]).max() <= 16
    vlm = chatty.vlm_of(OTHER)
    for name, pixels in shown.pictures.items():
        assert shown.responses[name].caption == vlm.caption(to_tensor(pixels))[0].text
        assert shown.responses[name].answer == vlm.answer(to_tensor(pixels), QUESTION)[0].text
    both = (to_tensor(shown.pictures[name]) for name in ("clean", "adversarial"))
    before, after = (
        float(vlm.log_likelihood(x, [QUESTION], [shown.responses["clean"].answer])) for x in both
    )
    assert after < before


def test_models_go_to_a_device_those_that_are_loaded_and_those_to_come() -> None:
    models = tiny_models()
    loaded = models.vlm
    models.to("meta")  # stands for a card
    assert loaded.connector.row.device.type == loaded.tower.mean.device.type == "meta"
    assert models.purifier.unet.device.type == "meta"


@pytest.mark.parametrize("broken", ["not there", "no model"])
def test_where_it_cannot_be_had_the_embedded_one_answers_and_says_so(
    tmp_path: Path, broken: str
) -> None:
    folder = tmp_path / "smol"
    if broken == "no model":
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "gpt2"}')
    models = tiny_models(other=str(folder))
    assert not models.other_tried
    shown, plain = run(models, vlm=OTHER), run(models, vlm=EMBEDDED)
    assert models.other_tried
    assert shown.model.key == EMBEDDED
    assert (
        shown.model.problem
        == "smol could not be loaded, so the embedded model speaks in its place."
    )
    assert shown.responses == plain.responses
    assert plain.model.problem == ""
    assert str(tmp_path) not in models.other_problem


def test_a_lent_card_purifies_answers_and_is_attacked_with_what_can_be_sent_there(
    monkeypatch: pytest.MonkeyPatch, folders: dict[str, str]
) -> None:
    asked: list[Any] = []

    def sent(value: Any) -> Any:
        return pickle.loads(pickle.dumps(value))  # what crosses to another process is pickled

    def lend(task: Any) -> Any:
        def ask(*args: Any) -> Any:
            asked.append(args[0].__name__)
            return sent(task(*sent(args)))

        def ask_stepwise(*args: Any) -> Any:
            asked.append(args[0].__name__ if callable(args[0]) else "purify")
            return (sent(step) for step in task(*sent(args)))

        return ask_stepwise if inspect.isgeneratorfunction(task) else ask

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend))
    models = tiny_models(other=folders["chat"])
    shown = run(models, attack=make_attack("pgd", 8, 2), vlm=OTHER)
    assert asked == ["respond", "attack_states", "respond", "purify", "respond"]
    assert shown.complete
    assert shown.step == 2
    given = to_tensor(shown.pictures["adversarial"])
    again = to_array(models.purifier(given, 1).images).astype(int)
    # In bfloat16, the order of the values in memory decides how sums are rounded.
    assert np.abs(again - shown.pictures["purified"]).mean() < 1
    assert np.abs(again - shown.pictures["adversarial"]).mean() > 2


@pytest.mark.full
def test_clean_photographs_come_back_to_the_bit() -> None:
    purifier = PurifierPipeline.from_pretrained()
    for shot in (skimage.data.chelsea(), skimage.data.coffee()[:300, :400]):
        pixels = to_tensor(shot)
        assert torch.equal(purifier(pixels).images, pixels)
