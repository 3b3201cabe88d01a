"""Going on with a network on attacks that are made as it learns: tiny models, pictures that the tests draw."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from causalclip.detector import Detector
from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline
from purifier.training.config import RefiningConfig
from purifier.training.pairs import PairMaker, PairsConfig
from purifier.training.refining import refine, refine_purifier
from purifier.training.sources import question_pool, training_sources
from purifier.vlm import EmbeddedVLM
from tests.makers.detectors import tiny_detector
from tests.makers.folders import vlm_folder
from tests.makers.models import tiny_vlm
from tests.makers.purifiers import tiny_clip, tiny_purifier

CONFIG = RefiningConfig(steps=6, decay=1e-9, units=1, check=3)  # a rate that does not depend on the planned end


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vlm_folder(tmp_path_factory.mktemp("made") / "data")


@pytest.fixture(scope="module")
def maker(data: Path) -> PairMaker:
    model = tiny_vlm().eval()
    attacks = PairsConfig(batch=2, sizes=((32, 48, 1.0),), steps=(1, 2), eps=(12.0, 12.0), layers=model.config.layers)
    return PairMaker(training_sources(data, None), attacks, tower=model.tower, vlm=model)


def refined(data: Path, maker: PairMaker, out: Path, config: RefiningConfig) -> PurifierPipeline:
    assert maker.vlm
    pipeline = new_pipeline(channels=(8, 16))
    refine(pipeline, maker.vlm, maker, question_pool(data), out, config)
    return pipeline


def test_it_takes_out_what_moves_the_models_sight(data: Path, maker: PairMaker, tmp_path: Path) -> None:
    looks = {"pixels": 0.1, "left": 1.0, "clean": 0.0, "between": 0.0, "quantised": 0.0}
    config = replace(CONFIG, steps=60, rate=1e-2, check=20, average=0.5, **looks)
    pipeline = refined(data, maker, tmp_path, config)
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["shift left"] < 0.9 * rows[0]["shift left"]
    assert not any(p.requires_grad for p in pipeline.unet.parameters())


def test_a_stopped_run_goes_on_as_if_it_had_not_been(data: Path, maker: PairMaker, tmp_path: Path) -> None:
    whole = refined(data, maker, tmp_path / "whole", CONFIG)
    refined(data, maker, tmp_path / "stopped", replace(CONFIG, steps=3))
    stopped = refined(data, maker, tmp_path / "stopped", CONFIG)
    ours, theirs = (torch.cat([p.flatten() for p in x.unet.parameters()]) for x in (whole, stopped))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_step_on_clean_pictures_alone_has_a_slope(data: Path, maker: PairMaker, tmp_path: Path) -> None:
    pipeline = refined(data, maker, tmp_path, replace(CONFIG, clean=1.0))
    assert all(torch.isfinite(p).all() for p in pipeline.unet.parameters())


def test_the_purifier_and_its_card_are_written_with_a_new_gate(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    monkeypatch.setattr(Detector, "from_pretrained", tiny_detector)
    tiny_clip(monkeypatch)
    tiny_purifier().save_pretrained(tmp_path / "out")
    (tmp_path / "out/README.md").write_text("# Purifier\n\n## Limits\nMany.\n")
    before = PurifierPipeline.from_pretrained(tmp_path / "out").unet.state_dict()
    kinds = {"batch": 2, "sizes": ((32, 48, 1.0),), "steps": (1, 2)}
    settings = {
        "pairs": kinds,
        "refine": {"steps": 2, "units": 1},
        "gate": [kinds | {"layers": (2, 3), "seed": n} for n in (0, 1)],
    }
    for _ in range(2):  # the second time with the first one's sections in place
        refine_purifier(
            training_sources(data, None),
            question_pool(data),
            tmp_path / "out",
            settings=settings,
            batches=5,
            cache=tmp_path / "cache",
        )
    again = PurifierPipeline.from_pretrained(tmp_path / "out")
    assert any(not torch.equal(value, before[name]) for name, value in again.unet.state_dict().items())
    assert again.config["gate"]
    card = (tmp_path / "out/README.md").read_text()
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == ["## Refined", "## The gate", "## Limits"]
    assert "went on with 4 pictures of the training splits. 90% of them were\nattacked" in card
