"""The commands on tiny models: one line of JSON, exact PNG files, exit codes, sentences."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from causalclip.commands.shared import REFUSED
from causalclip.paths import WeightsMissing
from purifier import cli
from purifier.models import Models
from tests.makers.models import fixed_attack_detector, tiny_clip, tiny_models, tiny_purifier
from tests.makers.pictures import encode, photo


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    tiny = tiny_models()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "load_models", lambda: tiny)
        yield


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(encode(photo(96, 72), "PNG"))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def row(result: Result) -> dict:
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1
    return json.loads(result.stdout)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        assert file.format == "PNG"
        return np.array(file.convert("RGB"))


def test_purify_writes_a_png_of_the_same_size(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    output = row(run("purify", picture, "-o", out, "--steps", 2, "--json"))
    assert set(output) == {"out", "seconds", "steps", "mean_change", "unchanged"}
    assert not output["unchanged"]
    assert pixels(out).shape == (72, 96, 3)
    assert np.abs(pixels(out).astype(int) - pixels(picture)).mean() == pytest.approx(
        output["mean_change"], abs=1e-3
    )


def test_what_is_taken_for_clean_is_purified_only_where_that_is_wished(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_clip(monkeypatch)
    shut = tiny_models(purifier=lambda: tiny_purifier(attack_detector=fixed_attack_detector(-1.0)))
    monkeypatch.setattr(cli, "load_models", lambda: shut)

    def purified(*options: object) -> np.ndarray:
        row(run("purify", picture, "-o", tmp_path / "out.png", *options, "--json"))
        return pixels(tmp_path / "out.png")

    assert np.array_equal(purified(), pixels(picture))
    seeded = [purified("--always", "--seed", seed) for seed in (1, 1, 2)]
    assert not np.array_equal(seeded[0], pixels(picture))
    assert np.array_equal(seeded[0], seeded[1])
    assert not np.array_equal(seeded[0], seeded[2])
    assert not np.array_equal(purified("--always"), purified("--always"))


@pytest.mark.parametrize("objective", ["answer", "caption", "features", "detector"])
def test_an_attack_stays_in_its_budget_in_the_file(
    picture: Path, tmp_path: Path, objective: str
) -> None:
    out = tmp_path / "out.png"
    options = [
        "--eps",
        6,
        "--steps",
        3,
        "--objective",
        objective,
        "--question",
        "Is there a dog?",
        "--seed",
        1,
    ]
    output = row(run("attack", picture, "-o", out, *options, "--json"))
    assert {"out", "seconds", "success", "linf", "before", "after"} == set(output)
    change = np.abs(pixels(out).astype(int) - pixels(picture))
    assert 0 < change.max() == output["linf"] <= 6
    assert output["success"] == (output["before"] != output["after"])
    again = tmp_path / "again.png"
    row(run("attack", picture, "-o", again, *options, "--json"))
    assert out.read_bytes() == again.read_bytes()


def test_ask_and_caption(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = row(run("ask", picture, "Is there a dog?", "--json"))
    assert set(output) == {"answer", "confidence", "sure"}
    assert 0 <= output["confidence"] <= 1
    asked, speaker = [], Models.speaker
    monkeypatch.setattr(
        Models,
        "speaker",
        lambda models, *, lora_encoder: (
            asked.append(lora_encoder) or speaker(models, lora_encoder=lora_encoder)
        ),
    )
    assert set(row(run("ask", picture, "Is there a dog?", "--lora-encoder", "--json"))) == set(
        output
    )
    assert asked == [True]
    assert row(run("caption", picture, "--json"))["caption"]
    assert (
        run("caption", picture).stdout.strip() == row(run("caption", picture, "--json"))["caption"]
    )


@pytest.mark.parametrize(
    "command", [["purify", "-o", "o.png"], ["attack", "-o", "o.png"], ["ask", "q?"], ["caption"]]
)
def test_refused_pictures_give_a_sentence_and_code_2(tmp_path: Path, command: list[str]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(encode(photo(96, 72), "JPEG")[:300])
    for path in (broken, tmp_path / "missing.png"):
        result = run(command[0], path, *command[1:])
        assert result.exit_code == REFUSED
        assert result.stderr.strip().endswith(".")
        assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["attack", "-o", "o.png", "--objective", "answer"], "needs a question"),
        (["attack", "-o", "o.jpg", "--steps", "1"], "Name the result .png"),
        (
            ["purify", "-o", "no-such-folder/o.png"],
            "There is no folder 'no-such-folder' for the result.",
        ),
        (["ask", "what?", "--lora-encoder", "--vlm", "some/model"], "for the embedded model"),
        (["caption", "--device", "tpu"], "'tpu' is none of auto, cpu, cuda"),
    ],
)
def test_a_wrong_option_is_a_sentence_and_code_2(
    picture: Path, arguments: list[str], sentence: str
) -> None:
    result = run(arguments[0], picture, *arguments[1:])
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_missing_weights_are_said(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise WeightsMissing("There is no purifier.")

    monkeypatch.setattr(cli, "load_models", lambda: tiny_models(purifier=missing))
    result = run("purify", picture, "-o", tmp_path / "o.png")
    assert (result.exit_code, result.stderr.strip()) == (1, "There is no purifier.")
