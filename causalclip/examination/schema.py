"""Fields of the JSON that command line, HTTP, MCP, report and archive give of a picture, and of its
description in OpenAPI.

A schema reads the attributes of a result, and `dump` makes plain JSON types of them. Sentences are
in the reader's language. docs/using.md lists the fields of an examination.
"""

from typing import Any, Literal

from pydantic import AliasPath, Field, computed_field, field_validator

from causalclip.calibration import Band
from causalclip.detection import ImageType
from causalclip.examination.cautions import Caution
from causalclip.examination.headline import Headline
from causalclip.examination.precision import EmpiricalPrecision, ErrorRates
from causalclip.examination.stability import Stability
from causalclip.images.formats import Format
from causalclip.images.parts import Part
from causalclip.languages import N_, _, current
from causalclip.maps.captions import control
from causalclip.marks.mark import Field as TextField
from causalclip.marks.mark import Mark
from causalclip.provenance.credentials import Credentials
from causalclip.provenance.source_types import SourceType
from causalclip.reference import Standing
from causalclip.schema import Schema

SCHEMA = 6  # raised when a field of an examination changes its meaning or goes
NOT_CHECKED = N_("Not checked"), N_("Whether it survives was not checked.")


class NotCheckedSchema(Schema):
    """That it was not asked for, or that there is no answer to check."""

    answer: Literal["not checked"] = "not checked"
    words: str = Field(default_factory=lambda: _(NOT_CHECKED[0]))
    sentence: str = Field(default_factory=lambda: _(NOT_CHECKED[1]))


class JpegSchema(Schema):
    """How a JPEG was saved last."""

    quality: int
    exact: bool
    chroma: str
    progressive: bool


class ProvenanceSchema(Schema):
    """What a file says of itself. Its texts are whatever somebody wrote into the file."""

    credentials: Credentials
    source_types: tuple[SourceType, ...]
    marks: tuple[Mark, ...]
    fields: tuple[TextField, ...]
    jpeg: JpegSchema | None
    earlier_quality: int | None
    notes: tuple[str, ...]
    seconds: float
    of_whole: bool
    summary: str
    caveat: str
    has_place: bool

    @computed_field
    def place(self) -> None:
        """Never told; `has_place` says whether the file names one."""


class ViewSchema(Schema):
    """A square of the picture that was looked at."""

    kind: Literal["whole", "window"] = Field(validation_alias="view_type")
    box: tuple[int | float, int | float, int | float, int | float]


def _of_detection(name: str) -> Any:
    return Field(validation_alias=AliasPath("detection", name))


class ClaimsSchema(Schema):
    """What is known of a picture's file before its pixels are judged."""

    schema_: int = Field(SCHEMA, alias="schema")
    language: str = Field(default_factory=current)
    """The language of all sentences."""
    answer: str = Field(validation_alias=AliasPath("headline", "answer"))
    """The answer from all evidence."""
    headline: Headline
    provenance: ProvenanceSchema
    name: str
    sha256: str
    format: Format
    file_size: int
    examined: str
    """When, UTC, ISO 8601."""


class UnjudgedSchema(ClaimsSchema):
    """What the file says of a picture whose pixels cannot be judged, and why they cannot."""

    problem: str


class ExaminationSchema(ClaimsSchema):
    """All that is found out about one picture, from the stage VERDICT on."""

    band: Band
    """The pixels' answer: inconclusive where it does not survive re-encoding."""
    band_as_it_is: Band = _of_detection("band")
    """The pixels' answer before re-encoded copies are tested."""
    kind: ImageType = _of_detection("image_type")
    """What is no photograph gets no answer."""
    probability: float | None = Field(ge=0, le=1)
    """Calibrated, that the picture was generated; null where there is no answer."""
    logit: float | None
    low: float = _of_detection("low")
    """Likely not generated up to it."""
    high: float = _of_detection("high")
    """Likely generated from it on."""
    threshold: float
    """The score that divides generated from real pictures best."""
    meant: EmpiricalPrecision | None
    error_rates: ErrorRates | None
    reference: Standing | None
    """Where the score stands in the reference set."""
    archive: Standing | None = Field(validation_alias="reference", deprecated=True)
    """`reference` by its former name, which goes with the next version of these fields."""
    stability: Stability | NotCheckedSchema
    cautions: tuple[Caution, ...]
    next_steps: tuple[str, ...]
    quote: str
    """A sentence to paste."""
    perceptual_hash: str
    width: int
    height: int
    part: Part | None
    """The part that was judged alone."""
    notes: tuple[str, ...]
    """What was done to the picture on loading."""
    tied_to_no_place: float
    """The share of the score that no map shows."""
    map_cannot_know: float
    """The share of the picture that the map cannot know."""
    map_control: str = Field(default_factory=control)
    views: tuple[ViewSchema, ...] = _of_detection("views")
    head: Literal["causal", "linear"] = _of_detection("head")
    model: str = _of_detection("model")
    revision: str = _of_detection("revision")
    runtime: str = _of_detection("runtime")
    seconds: float = _of_detection("seconds")

    @field_validator("stability", mode="before")
    @classmethod
    def _name_unchecked(cls, stability: object) -> object:
        return NotCheckedSchema() if stability is None else stability
