"""Turns are fair: to those that are urgent, and among addresses."""

import threading

import gradio as gr
import pytest

from tests.conftest import HANGS
from ui.server.turns import ALL, EACH, Client, Priority, Turn, Turns, asking


def ask(
    turns: Turns, address: str, session: str = "", priority: Priority = Priority.VERDICT
) -> Turn:
    told = asking.set(Client(address, session))
    try:
        return turns.ask(priority)
    finally:
        asking.reset(told)


def is_in(turn: Turn) -> bool:
    """Whether it waits for nothing any more."""
    return next(turn.waits(0), None) is None


def drain(waiting: dict[str, Turn]) -> list[str]:
    """The names of the turns in the order in which they are let in, each ending before the next."""
    went: list[str] = []
    while left := [name for name in waiting if name not in went]:
        [admitted] = [name for name in left if is_in(waiting[name])]
        went.append(admitted)
        waiting[admitted].__exit__()
    return went


def test_the_urgent_go_first_and_equals_in_order() -> None:
    turns = Turns()
    inside = ask(turns, "", priority=Priority.ATTACK)
    wishes = Priority.STABILITY, Priority.VERDICT, Priority.ATTACK, Priority.VERDICT
    waiting = {str(i): ask(turns, str(i), priority=wish) for i, wish in enumerate(wishes)}
    assert [next(turn.waits(0)) for turn in waiting.values()] == [3, 1, 4, 2]
    inside.__exit__()
    assert drain(waiting) == ["1", "3", "0", "2"]


def test_what_a_page_has_asked_for_itself_is_not_before_it() -> None:
    turns = Turns()
    mine = [ask(turns, "192.0.2.1", "mine") for _ in range(3)]
    assert next(mine[2].waits(0)) == 0
    ask(turns, "192.0.2.2", "theirs")
    assert next(mine[2].waits(0)) == 1


def test_a_crowd_of_one_address_is_one_turn_to_others() -> None:
    turns = Turns()
    inside = ask(turns, "192.0.2.1")
    waiting = {f"crowd {i}": ask(turns, "192.0.2.1", f"page {i}") for i in range(EACH)}
    waiting |= {"first": ask(turns, "192.0.2.2"), "second": ask(turns, "192.0.2.3")}
    assert next(waiting["first"].waits(0)) == 1
    inside.__exit__()
    assert drain(waiting)[:4] == ["first", "second", "crowd 0", "crowd 1"]


def test_one_address_leaves_a_place_for_others() -> None:
    turns = Turns(2)
    first, second = ask(turns, "192.0.2.1"), ask(turns, "192.0.2.1")
    assert not is_in(second)
    assert is_in(ask(turns, "192.0.2.2"))
    first.__exit__()
    assert is_in(second)


def test_an_address_and_all_have_so_many_that_wait() -> None:
    """They are told in a sentence."""
    turns = Turns()
    ask(turns, "192.0.2.1")
    for _ in range(EACH):
        ask(turns, "192.0.2.1")
    with pytest.raises(gr.Error, match="full of your own requests"):
        ask(turns, "192.0.2.1")
    for i in range(ALL - EACH):
        ask(turns, f"192.0.2.{10 + i}")
    with pytest.raises(gr.Error, match="The queue is full"):
        ask(turns, "192.0.2.2")


def started(turn: Turn, name: str, went: list[str]) -> threading.Thread:
    """Somebody else's work, which waits for its turn and notes that it went."""

    def work() -> None:
        with turn:
            list(turn.waits())
            went.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("priority", [Priority.VERDICT, Priority.ATTACK])
def test_long_work_gives_way_between_its_steps(priority: Priority) -> None:
    """To what is more urgent, and to what is as urgent and of another address."""
    turns, went = Turns(), list[str]()
    attack = ask(turns, "192.0.2.1", priority=Priority.ATTACK)
    own = ask(turns, "192.0.2.1", priority=Priority.ATTACK)
    attack.give_way()
    assert is_in(attack)
    own.__exit__()
    judging = started(ask(turns, "192.0.2.2", priority=priority), "theirs", went)
    attack.give_way()
    assert went == ["theirs"]
    assert is_in(attack)
    judging.join(HANGS)
