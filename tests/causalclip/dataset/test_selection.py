"""The small sample that anybody may have."""

from collections import Counter

import pytest

from causalclip.dataset.selection import SAMPLE, choose, has_clear_licence
from tests.causalclip.dataset.making import picture

FREE = [
    picture(f"owner{site}/photos", f"{label}{i}.jpg", label=label, split="test")
    for site in range(6)
    for label in ("real", "fake")
    for i in range(20)
]


def test_sample_has_as_many_real_as_generated_and_few_of_an_owner() -> None:
    sample = choose(FREE, sample=True)
    assert len({p.sha256 for p in sample}) == SAMPLE
    assert Counter(p.label for p in sample) == {"real": SAMPLE // 2, "fake": SAMPLE // 2}
    assert max(Counter(p.owner for p in sample).values()) <= 15


def test_sample_is_the_same_whatever_the_order_of_the_table() -> None:
    assert choose(FREE, sample=True) == choose(FREE[::-1], sample=True)


@pytest.mark.parametrize(
    "other",
    [
        {"split": "train"},
        {"kind": "drawing"},
        {"licence": "none stated"},
        {"crop": "0,0,9,9"},
        {"pair": "a"},
        {"set": "edits"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_sample_leaves_out_what_is_not_a_free_test_photograph(other: dict[str, str]) -> None:
    assert choose([picture(**({"split": "test"} | other))], sample=True) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("licence", "clear"),
    [
        ("MIT", True),
        ("CC BY-SA 4.0", True),
        ("Unsplash", True),
        ("CC BY-NC 4.0", False),
        ("none stated", False),
        ("MIT for code, research only for pictures", False),
    ],
)
def test_which_licences_let_anybody_use_a_picture(licence: str, clear: bool) -> None:
    assert has_clear_licence(licence) is clear


def test_sites_are_drawn_whole() -> None:
    drawn = choose(FREE, sites=2)
    assert len({p.owner for p in drawn}) == 2
    assert len(drawn) == 80
