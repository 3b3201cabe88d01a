"""Measured numbers of a test's own."""

from collections.abc import Iterator, Mapping

from causalclip.examination.answer import BY_BAND
from causalclip.measured import Measurement


def measured_set(
    id: str,
    *,
    real: int,
    generated: int,
    shares: Mapping[str, Mapping[str, float]],
    revision: str,
) -> Iterator[Measurement]:
    """Yield the numbers of a test set: of each class, the share with each answer."""
    auc = {"id": f"{id}.auc", "value": 0.9, "units": "AUC", "n": real + generated}
    yield Measurement.model_validate(auc | {"revision": revision})
    for band, classes in shares.items():
        for kind, n in (("real", real), ("generated", generated)):
            yield Measurement(
                id=f"{id}.{BY_BAND[band].value}.{kind}",
                value=classes[kind],
                units="share",
                n=n,
                revision=revision,
            )
