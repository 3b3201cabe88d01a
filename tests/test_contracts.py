"""What others build on, frozen: the schema of an examination, commands, variables, /api/v1, and
keys of the weights."""

import ast
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
import skimage
import typer
from safetensors import safe_open
from typer.testing import CliRunner

import causalclip.commands.app
import purifier.cli
from causalclip import Detector, examine_file
from causalclip.examination.schema import ExaminationSchema
from causalclip.settings import VARIABLES as SETTINGS
from tests.conftest import ROOT

PICTURE = Path(skimage.__file__).parent / "data" / "rocket.jpg"
VARIABLES = {
    "CAUSALCLIP_DEVICE",
    "CAUSALCLIP_EXPOSED",
    "CAUSALCLIP_HOSTS",
    "CAUSALCLIP_KEPT",
    "CAUSALCLIP_MODEL",
    "CAUSALCLIP_PROFILE",
    "CAUSALCLIP_PROMPT",
    "CAUSALCLIP_REQUIRE_SANDBOX",
    "CAUSALCLIP_ROOM",
    "CAUSALCLIP_RUNTIME",
    "CAUSALCLIP_TOKEN",
    "CAUSALCLIP_TOKEN_FILE",
    "CAUSALCLIP_VLM",
    "GRADIO_ANALYTICS_ENABLED",
    "GRADIO_SERVER_NAME",
    "GRADIO_TEMP_DIR",
}
COMMANDS = {
    "causalclip": {
        "archive": "source --out --model --head --workers --address --profile --lang",
        "calibrate": "photos --generated --fakes --at-most --out --model --head --lang",
        "compare": "a b --json --out-dir --lang",
        "detect": "paths --json --stability --explain --model --head --heatmap-dir --report-dir "
        "--profile --crop "
        "--lang",
        "explain": "first second --json --model --head --lang",
        "mcp": "--app",
    },
    "purifier": {
        "purify": "picture -o --out --steps --noise --seed --always --device --json",
        "attack": "picture -o --out --attack --eps --norm --steps --objective --question --target "
        "--seed --device --json",
        "ask": "picture question --vlm --prompt --lora-encoder --device --json",
        "caption": "picture --vlm --prompt --lora-encoder --device --json",
    },
}
# folder: how many, and the first digits of the SHA-256 of their names, types and shapes
TENSORS = {
    "clip-vit-b-16": (201, "0cdde801a6496973"),
    "detector-causal": (20, "856afdb25ff5d8d1"),
    "detector-linear": (14, "51a993cb1d0a2e0a"),
    "image-type": (5, "d5d833d4251b3176"),
    "purifier": (144, "956dd07958dc9994"),
    "vlm": (112, "a96fcd2cfb6d577a"),
    "lora-encoder": (124, "c75afae7e62bb599"),
}
WITHOUT_GRADIO = """
import gc, importlib, pkgutil, sys
gc.disable()  # what is imported stays
sys.modules["gradio"] = sys.modules["gradio_client"] = None  # as if neither were installed
import causalclip, purifier
assert "torch" not in sys.modules
assert causalclip.__all__ == ["Detector", "examine_file", "load_image"]
for package in (causalclip, purifier):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""
EXAMINATION = (
    *("band", "probability", "low", "high", "sha256", "width", "height", "cautions"),
    *("stability", "provenance", "reference", "archive", "found_at"),
)
# of each object of an examination: their names, by type; [] is a list that is empty here
FIELDS = {
    "": {
        "number": "schema probability logit low high threshold width height file_size "
        "tied_to_no_place map_cannot_know "
        "seconds",
        "str": "language answer band band_as_it_is kind next_steps[] quote name sha256 "
        "perceptual_hash format "
        "notes[] map_control head model revision runtime examined",
        "null": "reference archive part",
        "[]": "cautions",
    },
    "headline": {
        "str": "title origin source tone proved claimed pixels agreement name",
        "bool": "silent",
    },
    "meant": {"number": "pictures generated base hardest interval[]", "str": "sentence"},
    "error_rates": {
        "number": "recognised accused missed undecided[] generated real",
        "str": "sentence",
    },
    "stability": {
        "str": "answer words sentence band final_band",
        "number": "probability low high threshold seconds",
        "bool": "part",
        "[]": "skipped",
    },
    "stability.rows[]": {"str": "name band", "number": "probability logit", "bool": "mild"},
    "provenance.credentials": {
        "str": "state sentence signer organisation generator signed trust_list",
        "bool": "is_time_listed",
        "[]": "actions agents source_types problems",
    },
    "provenance": {
        "[]": "source_types marks fields notes",
        "null": "place earlier_quality",
        "number": "seconds",
        "bool": "of_whole has_place",
        "str": "summary caveat",
    },
    "provenance.jpeg": {"number": "quality", "bool": "exact progressive", "str": "chroma"},
    "views[]": {"str": "kind", "number": "box[]"},
}


def types(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The place of every value of JSON, with its type; of a list, those of its first item."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from types(item, f"{name}.{key}".removeprefix("."))
    elif isinstance(value, list) and value:
        yield from types(value[0], f"{name}[]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, "number"
    else:
        yield name, "null" if value is None else "[]" if value == [] else type(value).__name__


@pytest.mark.full
def test_the_schema_of_an_examination() -> None:
    found = ExaminationSchema.dump(examine_file(PICTURE, Detector.from_pretrained()))
    assert found["schema"] == 6
    assert dict(types(found)) == {
        f"{place}.{name}".removeprefix("."): kind
        for place, kinds in FIELDS.items()
        for kind, names in kinds.items()
        for name in names.split()
    }


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every command below one, with its arguments and options."""
    if hasattr(command, "list_commands"):
        for below in command.list_commands(None):
            yield from leaves(command.get_command(None, below), f"{name} {below}".strip())
    else:
        options = [
            [*p.opts, *p.secondary_opts] if p.param_type_name == "option" else [p.name]
            for p in command.params
        ]
        yield name, " ".join(chain.from_iterable(options))


@pytest.mark.parametrize(
    ("name", "app"), [("causalclip", causalclip.commands.app.app), ("purifier", purifier.cli.app)]
)
def test_commands_and_their_options(name: str, app: typer.Typer) -> None:
    assert dict(leaves(typer.main.get_command(app))) == COMMANDS[name]


@pytest.mark.parametrize(
    ("app", "arguments", "code"),
    [
        (causalclip.commands.app.app, ["detect", str(PICTURE), "--model", "nowhere"], 1),
        (causalclip.commands.app.app, ["detect", __file__], 2),
        (causalclip.commands.app.app, ["detect", "--unknown"], 2),
        (causalclip.commands.app.app, ["detect", str(PICTURE), "--head", "other"], 2),
        (causalclip.commands.app.app, ["detect", str(PICTURE), "--crop", "1,2"], 2),
        (causalclip.commands.app.app, ["detect", str(PICTURE), "--profile", "nowhere.json"], 1),
        (causalclip.commands.app.app, ["detect", "--help"], 0),
        (purifier.cli.app, ["purify", str(PICTURE), "-o", "no.jpg"], 2),
        (purifier.cli.app, ["caption", __file__], 2),
        (purifier.cli.app, ["caption", str(PICTURE), "--device", "tpu"], 2),
        (purifier.cli.app, ["caption", str(PICTURE), "--vlm", "./nowhere"], 1),
    ],
)
def test_exit_codes(app: typer.Typer, arguments: list[str], code: int) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == code


def test_environment_variables() -> None:
    files = [
        ROOT / "app.py",
        *(
            file
            for name in ("causalclip", "purifier", "ui")
            for file in (ROOT / name).rglob("*.py")
        ),
    ]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    texts = (
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    named = {text for text in texts if re.fullmatch(r"(CAUSALCLIP|GRADIO)_[A-Z_]+", text)}
    ours = {name for name in SETTINGS if name.startswith(("CAUSALCLIP_", "GRADIO_"))}
    assert named | ours == VARIABLES
    assert named - ours == {"GRADIO_ANALYTICS_ENABLED"}  # which is switched off


def test_the_environment_is_read_in_one_place() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for package in ("causalclip", "purifier", "ui")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"environ\.get\(|getenv\(|in os\.environ\b(?!\.)", path.read_text())
    }
    assert readers == {"causalclip/settings.py"}


def test_the_api(tiny_app: str) -> None:
    document = httpx.get(f"{tiny_app}api/v1/openapi.json").json()
    assert {path: list(methods) for path, methods in document["paths"].items()} == {
        "/api/v1/examine": ["post"]
    }
    examine = document["paths"]["/api/v1/examine"]["post"]
    form = examine["requestBody"]["content"]["multipart/form-data"]["schema"]
    fields = ["picture", "found_at", "picture_at", "stability", "head"]
    assert (list(form["properties"]), form["required"]) == (fields, ["picture"])
    assert list(examine["responses"]) == [
        "200",
        "400",
        "401",
        "403",
        "413",
        "415",
        "421",
        "422",
        "429",
        "503",
    ]
    assert list(examine["responses"]["200"]["content"]) == ["application/json", "text/html"]
    schemas = document["components"]["schemas"]
    assert list(schemas["Error"]["properties"]) == ["error", "examination"]
    assert schemas["Error"]["required"] == ["error"]
    assert set(EXAMINATION) <= set(schemas["Examination"]["required"])
    assert httpx.get(f"{tiny_app}api/v1/examine").status_code == 405


def test_tensors_of_the_weights() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(ROOT.glob("assets/models/**/*.safetensors")):
        with safe_open(path, "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            lines = [
                f"{path.name} {name} {s.get_dtype()} {s.get_shape()}"
                for name, s in sorted(slices.items())
            ]
        found.setdefault(path.relative_to(ROOT / "assets/models").parts[0], []).extend(lines)
    assert {
        name: (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16])
        for name, lines in found.items()
    } == TENSORS


@pytest.mark.full
def test_the_packages_below_the_page_work_without_gradio_and_import_little() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_GRADIO], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
