"""Every variable of the environment that the product reads: its type, range, default and meaning.

`python app.py --help` and docs/hosting.md show the fields of `Settings`. They are checked when the
app starts, and read when they are used.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from causalclip.paths import DEFAULT_HEAD, HEADS

Runtime = Literal["bfloat16", "int8", "float32"]
Device = Literal["auto", "cpu", "cuda"]
PREFIX = "CAUSALCLIP_"
# seconds that an upload is kept at most: with the sweeper's rounds, less than an hour
MAX_KEPT = 3000
NAME = re.compile(r"[\w.*?-]+")  # of a host, or a pattern of names
# values of ONEDNN_MAX_CPU_ISA that leave oneDNN all of the processor
ALL_INSTRUCTIONS = "", "ALL", "DEFAULT"


class SettingsError(ValueError):
    """A variable of the environment makes no sense; the message says which, and what to do."""


def _names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(name.strip().lower() for name in value.split(",") if name.strip())


def _host_names(value: Any) -> Any:
    names = _names(value)
    if not all(NAME.fullmatch(name) for name in names):
        raise ValueError("names separated by commas, with neither a scheme nor a port")
    return names


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_stripped)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
HostNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_host_names)]


def _field(
    default: Any, meaning: str, *, variable: str | None = None, shown: str = "", **limits: Any
) -> Any:
    """Return a field of Settings.

    Args:
        default: where the variable is not set, or empty.
        meaning: of the variable, in one line of Markdown.
        variable: its name, where it is not CAUSALCLIP_ and the field's name.
        shown: the default in words, where that says more.
        limits: as pydantic's Field takes them.
    """
    words: dict[str, Any] | None = {"shown": shown} if shown else None
    return Field(
        default,
        description=meaning,
        validation_alias=variable,
        json_schema_extra=words,
        **limits,
    )


class Settings(BaseSettings):
    """The host's settings; `read_settings` returns them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    # Where the app listens, and for whom
    server_name: Text = _field(
        "127.0.0.1", "the address to listen on; `0.0.0.0` for all", variable="GRADIO_SERVER_NAME"
    )
    exposed: bool = _field(
        False, "`1`: others may reach the app without a proxy that `FORWARDED_ALLOW_IPS` names"
    )
    require_sandbox: bool = _field(
        False, "`1`: start only where Landlock and seccomp hold the process that decodes pictures"
    )
    hosts: HostNames = _field(
        (),
        "the app's names beside `localhost`, `*.hf.space` and bare addresses, separated by commas",
    )
    proxies: Names = _field(
        (),
        "proxies whose `X-Forwarded-*` headers are believed",
        variable="FORWARDED_ALLOW_IPS",
        shown="`127.0.0.1,::1`",
    )
    token: str = _field(
        "", "what programs must send to `/api/v1` as `Authorization: Bearer TOKEN`", repr=False
    )
    token_file: Path | None = _field(
        None,
        "where the app keeps the token that it makes for browser extensions, and prints at its "
        "start, if the host names none",
        shown="in the user's folder for settings",
    )

    # What is kept
    temporary_folder: Path | None = _field(
        None,
        "the folder for uploads; where it is in memory, pictures never reach the disk",
        variable="GRADIO_TEMP_DIR",
        shown="the system's",
    )
    kept: float = _field(
        MAX_KEPT,
        f"seconds for which an upload is kept at most, 1 to {MAX_KEPT}",
        ge=1,
        le=MAX_KEPT,
        allow_inf_nan=False,
    )
    room: int = _field(
        4096,
        "MB for all uploads and what is made of them, beside 1 GB at most of requests that are not "
        "answered yet; then the oldest of whoever has most go",
        ge=1,
    )

    # What judges
    model: Text = _field(
        HEADS[DEFAULT_HEAD], "the detector: a folder, or a name in `assets/models`"
    )
    profile: Text = _field(
        "", "the profile of your own pictures that every answer is held to: a file"
    )
    runtime: Annotated[Runtime | None, BeforeValidator(_lower)] = _field(
        None, "`bfloat16`, `int8` or `float32`", shown="the fastest"
    )
    device: Annotated[Device, BeforeValidator(_lower)] = _field(
        "cpu",
        "`cuda`: detection on a graphics card, in bfloat16; `auto`: there, if PyTorch sees one. "
        "Not run on a card",
    )
    onednn_limit: Annotated[str, BeforeValidator(_upper)] = _field(
        "",
        "`AVX2` holds PyTorch to older instructions",
        variable="ONEDNN_MAX_CPU_ISA",
        shown="the processor's",
    )
    vlm: Text = _field("", "another vision-language model")
    prompt: Text = _field("", "a file with a defence prompt for that model")

    # What others set
    space_id: str = _field("", "set on Hugging Face's Spaces", variable="SPACE_ID")
    card_lender: Text = _field(
        "",
        "set where a Space lends a graphics card, by a machine that the app may reach",
        variable="SPACES_ZERO_DEVICE_API_URL",
    )
    settings_folder: Path | None = _field(
        None,
        "the user's folder for settings",
        variable="XDG_CONFIG_HOME",
        shown="`~/.config`",
    )

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.runtime == "int8" and self.onednn_limit not in ALL_INSTRUCTIONS:
            raise ValueError(
                f"{PREFIX}RUNTIME=int8 does not go with ONEDNN_MAX_CPU_ISA: unset one of them."
            )
        return self


VARIABLES = {  # name of the variable: its field
    str(field.validation_alias or PREFIX + name.upper()): field
    for name, field in Settings.model_fields.items()
}


def read_settings() -> Settings:
    """Return the settings, as the environment has them now.

    Raises:
        SettingsError: one makes no sense.
    """
    return _settings_of(tuple(os.environ.get(name) for name in VARIABLES))


@lru_cache(maxsize=4)
def _settings_of(values: tuple[str | None, ...]) -> Settings:
    """Return the settings of the environment, which has these values; made once for equal ones."""
    try:
        return Settings()
    except ValidationError as error:
        sentences = [_sentence(dict(one)) for one in error.errors()]
        raise SettingsError("\n".join(sentences)) from None


def _sentence(error: dict[str, Any]) -> str:
    """Return what is wrong with a variable, and what to do. error: one of pydantic's."""
    own = str(error.get("ctx", {}).get("error", ""))
    if not error["loc"]:  # of several variables
        return own
    place = str(error["loc"][0])
    name = place if place in VARIABLES else PREFIX + place.upper()
    wanted = own or error["msg"].removeprefix("Input should be ").partition(", unable")[0]
    wanted = wanted.replace("a valid boolean", "1 or 0")
    field = VARIABLES[name]
    sentence = (
        f"{name}={error['input']} does not work: it has to be {wanted}. It means: "
        f"{field.description}. Unset it for the default ({default_of(field)})."
    )
    return sentence.replace("`", "")


def default_of(field: FieldInfo) -> str:
    """Return a field's default in words, in Markdown."""
    words = field.json_schema_extra
    if isinstance(words, dict):
        return str(words["shown"])
    return f"`{field.default}`" if field.default else "empty"


def describe_settings() -> str:
    """Return a line for each variable, for --help."""
    lines = (
        f"  {name}\n      {field.description} (default: {default_of(field)})"
        for name, field in VARIABLES.items()
    )
    return "\n".join(lines).replace("`", "")
