"""Owners are drawn by a seed, kind by kind, and a picture that a test set could leak into is set aside."""

from dataclasses import replace

from causalclip.dataset.splits import draw, settle, split_new
from tests.causalclip.dataset.making import picture


def test_a_fifth_of_each_kind_tests_and_an_eighth_of_the_edits() -> None:
    kinds = {f"{kind}{n}": kind for kind in ("both", "real", "generated", "kinds") for n in range(50)}
    kinds |= {f"edits{n}": "edits" for n in range(48)}
    tested = draw(kinds)
    for kind, wanted in {"both": 10, "real": 10, "generated": 10, "kinds": 10, "edits": 6}.items():
        assert sum(kinds[owner] == kind for owner in tested) == wanted
    assert tested == draw(dict(reversed(kinds.items())))  # whatever their order
    assert tested != draw(kinds, salt="another")


def test_an_owner_that_is_known_keeps_its_split_and_a_test_set_does_not_grow() -> None:
    known = [picture("anna/a"), picture("anna/z", split="aside"), picture("bert/b", split="test")]
    new = [picture("anna/c", split=""), picture("bert/d", split=""), *(picture(f"o{n}/x", split="") for n in range(10))]
    splits = {p.owner: p.split for p in split_new(new, known)}
    assert splits["anna"] == "train"
    assert splits["bert"] == "aside"
    assert sorted(splits[f"o{n}"] for n in range(10)) == ["test"] * 2 + ["train"] * 8


def test_what_shares_an_owner_or_a_look_with_a_test_set_goes_aside() -> None:
    test = picture("bert/b", split="test", phash="0" * 16)
    rows = [
        test,
        picture("bert/c"),
        picture("anna/near", phash="0" * 15 + "f"),
        picture("anna/far", phash="0" * 14 + "1f"),
        picture("anna/unseen"),
    ]
    assert settle(rows) == [test, replace(rows[1], split="aside"), replace(rows[2], split="aside"), *rows[3:]]
