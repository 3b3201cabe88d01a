"""What others build on, frozen: the schema of an examination, commands, variables, /api/v1, and keys of the weights."""

import ast
import hashlib
import json
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

import causalclip.cli
import purifier.cli
from causalclip import Detector, examine_file
from tests.conftest import ROOT

PICTURE = Path(skimage.__file__).parent / "data" / "rocket.jpg"
VARIABLES = {
    "CAUSALCLIP_EXPOSED",
    "CAUSALCLIP_HOSTS",
    "CAUSALCLIP_KEPT",
    "CAUSALCLIP_MODEL",
    "CAUSALCLIP_PAIRED",
    "CAUSALCLIP_PROFILE",
    "CAUSALCLIP_RUNTIME",
    "CAUSALCLIP_TOKEN",
    "CAUSALCLIP_VLM",
    "GRADIO_ANALYTICS_ENABLED",
    "GRADIO_SERVER_NAME",
    "GRADIO_TEMP_DIR",
}
COMMANDS = {
    "causalclip": {
        "archive": "source --out --model --head --workers --address --stability --dry-run --duplicates --marks-only "
        "--profile --lang",
        "calibrate": "photos --fakes --at-most --out --model --head --lang",
        "compare": "a b --json --out-dir --lang",
        "detect": "paths --json --stability --explain --model --head --heatmap-dir --report-dir --profile --crop "
        "--lang",
        "explain": "first second --json --model --head --lang",
        "train": "--out --manifest --root --table --originals --backbone --config --cache",
        "evaluate": "--manifest --root --out --model --head --split",
        "data collect": "--out --split --sites --sample --mirrors --workers --table",
        "data check": "--table --sites --reserved --originals --cache --out",
        "data gather": "mirror --out --under --match --most --table --reserved",
        "data add": "drafts --words --table --sites --reserved",
        "data hash": "--originals --table --sites",
        "data card": "--page --table --sites",
    },
    "purifier": {
        "data": "--out --mirrors --coco",
        "train": "--out --data --forensics --config --batches --cache",
        "refine": "--folder --data --forensics --config --batches --cache",
        "train-eye": "--out --data --forensics --config --batches --cache --start",
        "refit-gate": "--folder --data --forensics --config --batches --cache",
        "evaluate": "--out --data --forensics --pictures --costly --seeds --rows --columns --compared --keep --made",
        "optimise-prompt": "--out --vlm --data --config",
        "purify": "picture -o --out --steps --noise --seed --always --json",
        "attack": "picture -o --out --attack --eps --norm --steps --objective --question --target --seed --json",
        "ask": "picture question --vlm --eye --no-eye --json",
        "caption": "picture --vlm --eye --no-eye --json",
    },
}
TENSORS = {  # folder: how many, and the first digits of the SHA-256 of their names, types and shapes
    "clip-vit-b-16": (201, "0cdde801a6496973"),
    "detector": (19, "459427fb2cb19999"),
    "detector-causal": (20, "856afdb25ff5d8d1"),
    "parts": (5, "f59dfa49b464da90"),
    "purifier": (144, "956dd07958dc9994"),
    "vlm": (112, "a96fcd2cfb6d577a"),
    "vlm-eye": (124, "c75afae7e62bb599"),
}
ENTERED = {"page": (41, 40), "detect": (33, 30), "purify": (29, 30)}  # files today, and the aim
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
ERRORS = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
EXAMINATION = (
    *("band", "probability", "low", "high", "sha256", "width", "height", "cautions"),
    *("stability", "parts", "provenance", "archive", "found_at"),
)
SCHEMA: dict[str, Any] = {
    "schema": "number",
    "language": "str",
    "answer": "str",
    "headline": {
        "title": "str",
        "source": "str",
        "tone": "str",
        "proved": "str",
        "claimed": "str",
        "pixels": "str",
        "agreement": "str",
        "silent": "bool",
    },
    "band": "str",
    "band_as_it_is": "str",
    "kind": "str",
    "probability": "number",
    "logit": "number",
    "low": "number",
    "high": "number",
    "threshold": "number",
    "meant": {
        "pictures": "number",
        "generated": "number",
        "base": "number",
        "hardest": "number",
        "interval": ["number"],
        "sentence": "str",
    },
    "error_rates": {
        "recognised": "number",
        "accused": "number",
        "missed": "number",
        "undecided": ["number"],
        "generated": "number",
        "real": "number",
        "sentence": "str",
    },
    "archive": "null",
    "stability": {
        "answer": "str",
        "words": "str",
        "changed": "number",
        "sentence": "str",
        "probability": "number",
        "band": "str",
        "final_band": "str",
        "low": "number",
        "high": "number",
        "threshold": "number",
        "rows": [
            {"name": "str", "probability": "number", "logit": "number", "band": "str", "mild": "bool", "flips": "bool"}
        ],
        "part": "bool",
        "seconds": "number",
        "skipped": [],
        "flips": [],
    },
    "cautions": [],
    "next_steps": ["str"],
    "quote": "str",
    "provenance": {
        "credentials": {
            "state": "str",
            "sentence": "str",
            "signer": "str",
            "generator": "str",
            "signed": "str",
            "actions": [],
            "source_types": [],
            "problems": [],
        },
        "source_types": [],
        "marks": [],
        "fields": [],
        "place": "null",
        "jpeg": {"quality": "number", "exact": "bool", "chroma": "str", "progressive": "bool"},
        "earlier_quality": "null",
        "notes": [],
        "seconds": "number",
        "of_whole": "bool",
        "summary": "str",
        "caveat": "str",
        "has_place": "bool",
    },
    "name": "str",
    "sha256": "str",
    "perceptual_hash": "str",
    "format": "str",
    "width": "number",
    "height": "number",
    "file_size": "number",
    "notes": ["str"],
    "tied_to_no_place": "number",
    "map_cannot_know": "number",
    "map_control": "str",
    "parts": {
        "answer": "str",
        "words": "str",
        "sentence": "str",
        "box": "null",
        "outline": [],
        "share": "null",
        "read": "number",
        "reliability": {
            "caption": {"n": "number", "flagged": "number"},
            "edited, not known how": {"n": "number", "flagged": "number"},
            "made anew": {"n": "number", "flagged": "number"},
            "pasted back": {"n": "number", "flagged": "number"},
            "retouched": {"n": "number", "flagged": "number"},
            "unedited": {"n": "number", "flagged": "number"},
        },
        "revision": "str",
        "seconds": "number",
    },
    "views": [{"kind": "str", "box": ["number"]}],
    "head": "str",
    "model": "str",
    "revision": "str",
    "runtime": "str",
    "seconds": "number",
    "examined": "str",
}


def shape(value: Any) -> Any:
    """Keys and types of JSON; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_the_schema_of_an_examination() -> None:
    found = examine_file(PICTURE, Detector.from_pretrained()).as_dict(place=True)
    assert found["schema"] == 3
    assert shape(json.loads(json.dumps(found))) == SCHEMA


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every command below one, with its arguments and options."""
    if hasattr(command, "list_commands"):
        for below in command.list_commands(None):
            yield from leaves(command.get_command(None, below), f"{name} {below}".strip())
    else:
        options = [[*p.opts, *p.secondary_opts] if p.param_type_name == "option" else [p.name] for p in command.params]
        yield name, " ".join(chain.from_iterable(options))


@pytest.mark.parametrize(("name", "app"), [("causalclip", causalclip.cli.app), ("purifier", purifier.cli.app)])
def test_commands_and_their_options(name: str, app: typer.Typer) -> None:
    assert dict(leaves(typer.main.get_command(app))) == COMMANDS[name]


@pytest.mark.parametrize(
    ("app", "arguments", "code"),
    [
        (causalclip.cli.app, ["detect", str(PICTURE), "--model", "nowhere"], 1),
        (causalclip.cli.app, ["detect", __file__], 2),
        (causalclip.cli.app, ["detect", "--unknown"], 2),
        (causalclip.cli.app, ["detect", "--help"], 0),
        (purifier.cli.app, ["purify", str(PICTURE), "-o", "no.jpg"], 1),
        (purifier.cli.app, ["caption", __file__], 2),
    ],
)
def test_exit_codes(app: typer.Typer, arguments: list[str], code: int) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == code


def test_environment_variables() -> None:
    files = [
        ROOT / "app.py",
        *(file for name in ("causalclip", "purifier", "ui") for file in (ROOT / name).rglob("*.py")),
    ]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    assert {text for text in texts if re.fullmatch(r"(CAUSALCLIP|GRADIO)_[A-Z_]+", text)} == VARIABLES


def test_the_api(tiny_app: str) -> None:
    document = httpx.get(f"{tiny_app}api/v1/openapi.json").json()
    assert {path: list(methods) for path, methods in document["paths"].items()} == {
        "/api/v1/examine": ["post"],
        "/api/v1/pair": ["post"],
    }
    examine = document["paths"]["/api/v1/examine"]["post"]
    form = examine["requestBody"]["content"]["multipart/form-data"]["schema"]
    fields = ["picture", "found_at", "picture_at", "stability", "head"]
    assert (list(form["properties"]), form["required"]) == (fields, ["picture"])
    assert list(examine["responses"]) == ["200", "400", "401", "403", "413", "415", "421", "422", "429", "503"]
    assert list(examine["responses"]["200"]["content"]) == ["application/json", "text/html"]
    schemas = document["components"]["schemas"]
    assert schemas["Error"] == ERRORS
    assert schemas["Examination"]["required"] == list(EXAMINATION)
    assert httpx.get(f"{tiny_app}api/v1/examine").status_code == 405
    assert httpx.post(f"{tiny_app}api/v1/pair", json={"code": "00000000"}).status_code == 403


def test_tensors_of_the_weights() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(ROOT.glob("assets/models/**/*.safetensors")):
        with safe_open(path, "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            lines = [f"{path.name} {name} {s.get_dtype()} {s.get_shape()}" for name, s in sorted(slices.items())]
        found.setdefault(path.relative_to(ROOT / "assets/models").parts[0], []).extend(lines)
    assert {
        name: (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]) for name, lines in found.items()
    } == TENSORS


@pytest.mark.full
def test_the_packages_below_the_page_work_without_gradio_and_import_little() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_GRADIO], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.full
@pytest.mark.parametrize("way", ENTERED)
def test_how_many_files_a_picture_enters(way: str) -> None:
    command = [sys.executable, "-m", "tests.tracing", way, str(PICTURE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files, (today, aim) = json.loads(done.stdout.splitlines()[-1]), ENTERED[way]
    print(f"{way}: {len(files)} files (aim: {aim})", *files, sep="\n")
    assert len(files) <= today
