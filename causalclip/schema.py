"""The base of all results that are given as JSON."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """The fields of a result that are told; those of another class can be read from its
    attributes."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def dump(cls, result: object) -> dict[str, Any]:
        """Return the fields of a result as plain JSON types."""
        return cls.model_validate(result).model_dump(mode="json")
