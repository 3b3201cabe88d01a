"""Variables of the environment: checked, and refused with a sentence that says what to do."""

import subprocess
import sys

import pytest

from causalclip.settings import PREFIX, VARIABLES, SettingsError, describe_settings, read_settings
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        *(("KEPT", value, "finite number") for value in ("nan", "inf", "-inf")),
        *(("KEPT", value, "greater than or equal to 1") for value in ("-1", "0")),
        ("KEPT", "3600", "less than or equal to 3000"),
        ("KEPT", "an hour", "a valid number"),
        ("ROOM", "0", "greater than or equal to 1"),
        ("ROOM", "4 GB", "a valid integer"),
        ("EXPOSED", "perhaps", "1 or 0"),
        ("REQUIRE_SANDBOX", "perhaps", "1 or 0"),
        ("RUNTIME", "int4", "'bfloat16', 'int8' or 'float32'"),
        ("DEVICE", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("HOSTS", "a.org, https://b.org", "neither a scheme nor a port"),
        ("HOSTS", "b.org:8080", "neither a scheme nor a port"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_what_is_wanted(
    name: str, value: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    sentence = str(refused.value)
    assert sentence.startswith(f"{PREFIX}{name}={value} ")
    assert wanted in sentence
    assert "Unset it for the default" in sentence


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSALCLIP_KEPT", "nan")
    monkeypatch.setenv("CAUSALCLIP_ROOM", "-1")
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert [line.partition("=")[0] for line in str(refused.value).splitlines()] == [
        "CAUSALCLIP_KEPT",
        "CAUSALCLIP_ROOM",
    ]


def test_variables_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSALCLIP_RUNTIME", "int8")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "default")
    assert read_settings().runtime == "int8"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    with pytest.raises(SettingsError, match="unset one of them"):
        read_settings()


def test_settings_are_those_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = read_settings()
    assert (defaults.kept, defaults.room, defaults.hosts, defaults.exposed) == (
        3000,
        4096,
        (),
        False,
    )
    monkeypatch.setenv("CAUSALCLIP_KEPT", "20")
    monkeypatch.setenv("CAUSALCLIP_HOSTS", "Check.example.org, *.example.net,")
    monkeypatch.setenv("CAUSALCLIP_EXPOSED", "1")
    found = read_settings()
    assert (found.kept, found.exposed) == (20, True)
    assert found.hosts == ("check.example.org", "*.example.net")
    monkeypatch.setenv("CAUSALCLIP_KEPT", "")
    assert read_settings().kept == 3000


def test_the_hosts_token_is_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSALCLIP_TOKEN", "s3cret")
    assert read_settings().token == "s3cret"
    assert "s3cret" not in repr(read_settings())


def test_the_app_lists_its_settings_and_refuses_wrong_ones_before_it_loads_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = [sys.executable, "app.py"]
    listed = subprocess.run([*app, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert describe_settings() in listed.stdout
    monkeypatch.setenv("CAUSALCLIP_KEPT", "nan")
    refused = subprocess.run(app, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith("CAUSALCLIP_KEPT=nan does not work")
    assert "Traceback" not in refused.stderr
