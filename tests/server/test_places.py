"""Places are fair: to those that are urgent, and among addresses (SECURITY.md's promise 6)."""

import gradio as gr
import pytest

from ui.places import MAX_WAITING, MAX_WAITING_OF_ONE, Place, Priority, Stay
from ui.server.senders import Client, asking


def ask(
    place: Place, address: str, session: str = "", priority: Priority = Priority.VERDICT
) -> Stay:
    told = asking.set(Client(address, session))
    try:
        return place.ask(priority)
    finally:
        asking.reset(told)


def is_in(stay: Stay) -> bool:
    """Whether it waits for nothing any more."""
    return next(stay.waits(0), None) is None


def drain(waiting: dict[str, Stay]) -> list[str]:
    """The names of the stays in the order in which they are let in, each ending before the next."""
    went: list[str] = []
    while left := [name for name in waiting if name not in went]:
        [admitted] = [name for name in left if is_in(waiting[name])]
        went.append(admitted)
        waiting[admitted].__exit__()
    return went


def test_the_urgent_go_first_and_equals_in_order() -> None:
    place = Place()
    inside = ask(place, "", priority=Priority.ATTACK)
    wishes = Priority.STABILITY, Priority.VERDICT, Priority.ATTACK, Priority.VERDICT
    waiting = {str(i): ask(place, str(i), priority=wish) for i, wish in enumerate(wishes)}
    assert [next(stay.waits(0)) for stay in waiting.values()] == [3, 1, 4, 2]
    inside.__exit__()
    assert drain(waiting) == ["1", "3", "0", "2"]


def test_what_a_page_has_asked_for_itself_is_not_before_it() -> None:
    place = Place()
    mine = [ask(place, "192.0.2.1", "mine") for _ in range(3)]
    assert next(mine[2].waits(0)) == 0
    ask(place, "192.0.2.2", "theirs")
    assert next(mine[2].waits(0)) == 1


def test_a_crowd_of_one_address_is_one_turn_to_others() -> None:
    place = Place()
    inside = ask(place, "192.0.2.1")
    waiting = {
        f"crowd {i}": ask(place, "192.0.2.1", f"page {i}") for i in range(MAX_WAITING_OF_ONE)
    }
    waiting |= {"first": ask(place, "192.0.2.2"), "second": ask(place, "192.0.2.3")}
    assert next(waiting["first"].waits(0)) == 1
    inside.__exit__()
    assert drain(waiting)[:4] == ["first", "second", "crowd 0", "crowd 1"]


def test_one_address_leaves_a_place_for_others() -> None:
    place = Place(2)
    first, second = ask(place, "192.0.2.1"), ask(place, "192.0.2.1")
    assert not is_in(second)
    assert is_in(ask(place, "192.0.2.2"))
    first.__exit__()
    assert is_in(second)


def test_an_address_and_all_have_so_many_that_wait() -> None:
    """They are told in a sentence."""
    place = Place()
    ask(place, "192.0.2.1")
    for _ in range(MAX_WAITING_OF_ONE):
        ask(place, "192.0.2.1")
    with pytest.raises(gr.Error, match="full of your own requests"):
        ask(place, "192.0.2.1")
    for i in range(MAX_WAITING - MAX_WAITING_OF_ONE):
        ask(place, f"192.0.2.{10 + i}")
    with pytest.raises(gr.Error, match="The queue is full"):
        ask(place, "192.0.2.2")
