"""Weights to the Hugging Face hub and back, against a hub on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from diffusers import DiffusionPipeline

from causalclip.clip.backbones import load_tower
from causalclip.detector import Detector
from causalclip.hub import is_repository, push_folder
from causalclip.measured import measured
from causalclip.paths import ASSETS, WeightsMissing, detector_folder
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.vlm.lora import LoraEncoder
from purifier.vlm.model import EmbeddedVLM
from scripts import publish
from tests.conftest import ROOT
from tests.makers.detectors import saved_detector, views
from tests.makers.hub import Hub, local_hub
from tests.makers.models import tiny_vlm
from tests.makers.pictures import photo
from training.purifier.untrained import new_pipeline


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    constants = huggingface_hub.constants
    with local_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            hub.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield hub


def test_a_detector_and_its_tower_come_back_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    detector = saved_detector(tmp_path)
    push_folder(tmp_path / "tower", "me/tower")
    torch.testing.assert_close(
        load_tower("hf-hub:me/tower", dtype=torch.float32)(views()).cls[-1],
        detector.tower(views()).cls[-1],
    )

    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(
        json.dumps(config | {"backbone": "hf-hub:me/tower"})
    )
    (tmp_path / "model" / "checkpoints").mkdir()
    (tmp_path / "model" / "checkpoints" / "fold0.safetensors").write_bytes(b"unfinished")
    address = Detector.from_pretrained(tmp_path / "model").push_to_hub("me/detector", private=True)
    assert address.startswith(f"{hub.address}/me/detector/commit/")
    assert hub.private["me/detector"]
    assert "library_name: causalclip" in hub.models["me/detector"]["README.md"].decode()

    push_folder(tmp_path / "model", "me/detector")
    assert not [path for path in hub.models["me/detector"] if "checkpoints" in path]
    back = Detector.from_pretrained("me/detector")
    assert back.predict(photo(60, 50)).logit == pytest.approx(
        Detector.from_pretrained(tmp_path / "model").predict(photo(60, 50)).logit, abs=1e-6
    )


def test_the_purifier_comes_back_and_diffusers_finds_its_class(hub: Hub, tmp_path: Path) -> None:
    pipeline = new_pipeline(channels=(8, 16), seed=1)
    for parameter in pipeline.unet.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    pipeline.save_pretrained(tmp_path / "purifier")
    push_folder(tmp_path / "purifier", "me/purifier")
    # a folder's code is not fetched from the hub, as only its files of weights are
    back = PurifierPipeline.from_pretrained("me/purifier")
    local = DiffusionPipeline.from_pretrained(
        str(tmp_path / "purifier"),
        custom_pipeline=str(tmp_path / "purifier"),
        trust_remote_code=True,
    )
    assert type(local).__name__ == "PurifierPipeline"
    for one in (back, local):
        for name, weight in one.unet.state_dict().items():
            expected = pipeline.unet.state_dict()[name]
            torch.testing.assert_close(weight.float(), expected, atol=1e-3, rtol=1e-2)


def test_the_language_model_and_the_lora_encoder_come_back(hub: Hub) -> None:
    model = tiny_vlm()
    model.push_to_hub("me/vlm")
    back = EmbeddedVLM.from_pretrained("me/vlm", tower=model.tower)
    assert back.config == model.config
    assert back.answers == model.answers

    encoder = LoraEncoder({"a.up": torch.ones(4, 2), "a.down": torch.ones(2, 4)}, {"steps": 1})
    encoder.push_to_hub("me/encoder")
    loaded = LoraEncoder.from_pretrained("me/encoder")
    assert loaded.facts == encoder.facts
    assert set(loaded.tensors) == set(encoder.tensors)


def test_what_is_not_on_the_hub_is_told_in_a_sentence(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsMissing, match="no model 'me/none' that may be read"):
        Detector.from_pretrained("me/none")
    hub.models["me/empty"], hub.private["me/empty"] = {"README.md": b""}, False
    with pytest.raises(WeightsMissing, match="no detector 'me/empty'"):
        Detector.from_pretrained("me/empty")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    for load in (Detector, PurifierPipeline, EmbeddedVLM, LoraEncoder):
        with pytest.raises(WeightsMissing, match="the hub cannot be reached"):
            load.from_pretrained("me/elsewhere")


def test_publish_says_what_it_would_send_and_then_sends_it(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    publish.main(["me"])
    said = capsys.readouterr().out
    assert "model me/causalclip-detector-causal: " in said
    assert "    head.safetensors" in said
    assert said.endswith("Nothing was sent: add --send.\n")
    assert not hub.models

    publish.main(["me", "--only", "detector-linear", "tables", "--send"])
    sent = hub.models["me/causalclip-detector-linear"]
    shipped = ASSETS / "detector-linear"
    assert sent["head.safetensors"] == (shipped / "head.safetensors").read_bytes()
    card = huggingface_hub.ModelCard(sent["README.md"].decode())
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.datasets == ["me/causalclip-pictures"]
    results = {(r.dataset_name, r.metric_type): r.metric_value for r in card.data.eval_results}
    auc = measured()["detection.linear.sites.auc"]
    assert results["test, sites", "roc_auc"] == round(auc.value, 3)
    assert "pictures.csv.gz" in hub.models["me/causalclip-pictures"]


@pytest.mark.parametrize(
    "page",
    [*sorted(ASSETS.glob("*/README.md")), ROOT / "training" / "tables" / "README.md"],
    ids=lambda page: page.parent.name,
)
def test_cards_have_the_front_matter_that_the_hub_reads(page: Path) -> None:
    data = huggingface_hub.ModelCard(page.read_text(encoding="utf-8")).data.to_dict()
    kind = "task_categories" if page.parent.name == "tables" else "pipeline_tag"
    assert {"license", "license_link", kind} <= data.keys()
    if data["license"] == "other":
        assert data["license_name"]
    assert (page.parent / data["license_link"].partition("#")[0]).is_file()


def test_folders_and_shipped_names_are_no_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    assert is_repository("owner/name")
    for name in ("runs/mine", "detector-causal", "/models/x", "../x", "a/b/c", Path("owner/name")):
        assert not is_repository(name)
    assert detector_folder("detector-causal").is_dir()
