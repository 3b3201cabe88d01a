import inspect
import pickle
import sys
from types import SimpleNamespace

import torch

from purifier.exhibit import Wish, exhibit, make_attack
from purifier.names import OTHER
from tests.makers.models import hub_folders
from tests.makers.pictures import photo
from tests.makers.purifiers import tiny_models

PIXELS = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))


def test_without_the_package_purification_runs_here(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it fails
    models = tiny_models()
    assert torch.equal(models.purify(PIXELS, 2), models.purifier(PIXELS, 2).images)


def test_a_lent_card_is_asked_for_each_purification_with_what_can_be_sent_there(monkeypatch):
    asked = []

    def lend(task):  # what crosses to another process is pickled
        def ask(*args):
            asked.append(args)
            return pickle.loads(pickle.dumps(task(*pickle.loads(pickle.dumps(args)))))

        return ask

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend))
    models = tiny_models()
    purified = models.purify(PIXELS, 1)
    assert [args[1] for args in asked] == [1]
    assert purified.device.type == "cpu"
    assert torch.equal(purified, models.purifier(PIXELS, 1).images)


def test_another_vision_language_model_speaks_and_is_attacked_on_the_lent_card(monkeypatch, tmp_path):
    asked = []

    def sent(value):
        return pickle.loads(pickle.dumps(value))

    def lend(task):
        def ask(*args):
            asked.append(args[0] if callable(args[0]) else "purify")
            return sent(task(*sent(args)))

        def ask_stepwise(*args):
            asked.append(args[0])
            return (sent(step) for step in task(*sent(args)))

        return ask_stepwise if inspect.isgeneratorfunction(task) else ask

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend))
    models = tiny_models(other=hub_folders(tmp_path)["chat"])
    wish = Wish("is there a dog", attack=make_attack("pgd", 8, 2), vlm=OTHER)
    *_, shown = exhibit(models, photo(64, 48), wish)
    names = [getattr(task, "__name__", task) for task in asked]
    assert names == ["listen", "timed", "attacked", "listen", "purify", "listen"]  # a step is timed where it will run
    assert shown.complete
    assert shown.step == 2
