"""What a training keeps: a checkpoint that is whole or the one before, a log, an average."""

import json
from pathlib import Path

import pytest
import torch

from purifier.running import blend, log_row, resume, save_checkpoint


def _trained(steps: int) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(steps)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(steps):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return model, optimizer


def test_a_checkpoint_gives_back_what_was_kept(tmp_path: Path) -> None:
    new = _trained(0)
    assert resume(tmp_path, *new) == 0
    kept = _trained(3)
    save_checkpoint(tmp_path, 3, *kept)
    assert resume(tmp_path, *new) == 3
    assert torch.equal(new[0].weight, kept[0].weight)
    assert new[1].state_dict()["state"][0]["step"] == 3


def test_a_kill_while_it_is_written_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 1, *_trained(1))

    def killed(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, 2, *_trained(2))
    assert resume(tmp_path, *_trained(0)) == 1


def test_the_log_is_a_line_a_row(tmp_path: Path) -> None:
    for step in (1, 2):
        log_row(tmp_path, {"step": step, "loss": 1 / 3})
    lines = (tmp_path / "train.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "loss": 0.3333}, {"step": 2, "loss": 0.3333}]


def test_an_average_forgets_its_random_start() -> None:
    average, model = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    torch.nn.init.constant_(average.weight, 5.0)
    torch.nn.init.constant_(model.weight, 1.0)
    blend(average, model, 0.9, step=0)
    assert average.weight.item() == 1.0
    torch.nn.init.constant_(model.weight, 2.0)
    blend(average, model, 0.9, step=1000)
    assert average.weight.item() == pytest.approx(1.1)
