"""What the product says of sixty pictures stays as it is, to the word: JSON, card, report, batch.

A commit that means to change it writes the goldens anew: python -m tests.goldens
"""

import pytest

from tests.goldens.corpus import QUICK
from tests.goldens.pages import VARIANTS, Variant, draw_pages
from tests.goldens.store import differences, read, report


def test_a_few_pictures_are_described_as_they_were() -> None:
    variant = VARIANTS[0]
    drawn = draw_pages(variant, QUICK)
    assert len(drawn) >= 2 * len(QUICK)
    kept = {name: page for name, page in read().items() if name in drawn}
    changes = differences(kept, drawn)
    assert not changes, report(changes)


@pytest.mark.full
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_picture_is_described_as_it_was(variant: Variant) -> None:
    kept = {name: page for name, page in read().items() if name.startswith(f"{variant}:")}
    changes = differences(kept, draw_pages(variant))
    assert not changes, report(changes)
