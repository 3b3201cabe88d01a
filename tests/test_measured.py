"""assets/measured.json: as the benchmarks' reports say, and whatever the product shows is in it."""

from collections.abc import Callable

import pytest

from benchmarks.common import read
from benchmarks.gathering import gather
from benchmarks.pages import card, front
from causalclip.examination.precision import error_rates
from causalclip.maps.captions import control
from causalclip.measured import Measured, Measurement, measured
from causalclip.paths import HEADS, head_folder, revision_of
from scripts.publish import results
from ui.tabs import accuracy
from ui.tabs.mask import tiles
from ui.tabs.purify.rendering import PARTS
from ui.tabs.purify.widgets import _kept_by_steps, worth
from ui.tabs.reference.tab import _measured_bound

ONE = Measurement(id="a.b.c", value=0.25, units="share", n=8)


def test_the_file_says_what_the_reports_say() -> None:
    assert list(measured()) == list(gather(read)), "Run python -m benchmarks pages"


@pytest.mark.parametrize(
    "show",
    [
        accuracy.page,
        control,
        worth,
        tiles.worth,
        tiles.worth_table,
        front,
        _kept_by_steps,
        _measured_bound,
        *(lambda part=part: worth(part) for part in PARTS),
        *(lambda head=head: card(head) for head in HEADS),
        *(lambda head=head: results(head, "pictures") for head in HEADS),
    ],
)
def test_every_number_that_is_shown_has_an_id(show: Callable[[], object]) -> None:
    """A missing one raises KeyError."""
    assert show()


@pytest.mark.parametrize("head", HEADS)
def test_the_shipped_heads_are_those_that_were_measured(head: str) -> None:
    assert error_rates(revision_of(head_folder(head))) is not None


def test_a_number_is_found_by_its_id_or_refused() -> None:
    numbers = Measured([ONE])
    assert numbers["a.b.c"].count == 2
    assert numbers.below("a.b") == {"c": ONE}
    assert numbers.below("a") == {}
    with pytest.raises(KeyError, match="a.b.d"):
        numbers["a.b.d"]


def test_no_id_is_given_twice() -> None:
    with pytest.raises(ValueError, match="measured twice"):
        Measured([ONE, ONE])
