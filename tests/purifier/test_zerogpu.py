import pickle
import sys
from types import SimpleNamespace

import torch

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
