"""The fair queue, and runs that were overtaken."""

import threading
from collections.abc import Iterator
from typing import Any

import gradio as gr

from tests.conftest import HANGS
from ui.cancellation import Panel, cancel_runs, new_token
from ui.server.queue import Client, FairQueue, Place, Priority, asking


def drain(queue: FairQueue, places: dict[str, Place]) -> list[str]:
    """The names of the places in the order in which they are let in, each leaving before the
    next."""
    went: list[str] = []
    while left := [name for name in places if name not in went]:
        (admitted,) = [name for name in left if queue.admitted(places[name], 0)]
        went.append(admitted)
        queue.leave(places[admitted])
    return went


def ask(
    queue: FairQueue, address: str, session: str = "", priority: Priority = Priority.VERDICT
) -> Place:
    token = asking.set(Client(address, session))
    try:
        return queue.ask(priority)
    finally:
        asking.reset(token)


def test_the_urgent_go_first_and_equals_in_order() -> None:
    queue = FairQueue()
    inside = queue.enter(Priority.ATTACK)
    wishes = [Priority.STABILITY, Priority.VERDICT, Priority.ATTACK, Priority.VERDICT]
    places = {str(i): ask(queue, str(i), priority=priority) for i, priority in enumerate(wishes)}
    assert [queue.before(place) for place in places.values()] == [3, 1, 4, 2]
    queue.leave(inside)
    assert drain(queue, places) == ["1", "3", "0", "2"]


def test_what_a_page_has_asked_for_itself_is_not_before_it() -> None:
    queue = FairQueue()
    mine = [ask(queue, "192.0.2.1", "mine") for _ in range(3)]
    assert queue.before(mine[2]) == 0
    ask(queue, "192.0.2.1", "of another page", Priority.VERDICT)
    ask(queue, "192.0.2.2", "theirs", Priority.VERDICT)
    assert queue.before(mine[2]) == 2  # which both go in before it


def test_sixteen_places_of_one_address_are_one_place_to_others() -> None:
    queue = FairQueue()
    inside = ask(queue, "192.0.2.1")
    places = {f"crowd {i}": ask(queue, "192.0.2.1", f"page {i}") for i in range(16)}
    places |= {"first": ask(queue, "192.0.2.2", "a"), "second": ask(queue, "192.0.2.3", "b")}
    assert queue.before(places["first"]) == 1
    queue.leave(inside)
    assert drain(queue, places)[:4] == ["first", "second", "crowd 0", "crowd 1"]


def test_at_one_address_pages_take_turns() -> None:
    queue = FairQueue()
    inside = ask(queue, "192.0.2.9")
    places = {f"a{i}": ask(queue, "192.0.2.1", "a") for i in range(3)} | {
        "b": ask(queue, "192.0.2.1", "b")
    }
    queue.leave(inside)
    assert drain(queue, places) == ["a0", "b", "a1", "a2"]


def test_one_address_leaves_a_place_for_others() -> None:
    queue = FairQueue(2)
    first, second = ask(queue, "192.0.2.1"), ask(queue, "192.0.2.1")
    assert not queue.admitted(second, 0)
    other = ask(queue, "192.0.2.2")
    assert queue.admitted(other, 0)
    queue.leave(first)
    assert queue.admitted(second, 0)


def test_on_the_machine_itself_a_verdict_goes_in_beside_what_is_less_urgent() -> None:
    queue = FairQueue(2)
    wishes = Priority.STABILITY, Priority.VERDICT, Priority.VERDICT
    checks, verdict, another = (ask(queue, "127.0.0.1", priority=priority) for priority in wishes)
    assert queue.admitted(checks, 0)
    assert queue.admitted(verdict, 0)
    queue.leave(checks)
    assert not queue.admitted(another, 0)  # two large pictures would be in memory


def test_what_is_less_urgent_waits_for_those_that_are_about_to_ask() -> None:
    """A verdict's picture is decoded before the model is asked for: no map goes in meanwhile."""
    decoded = FairQueue(2)
    model = FairQueue(first=decoded)
    decoding = decoded.ask(Priority.VERDICT)
    drawing = model.ask(Priority.MAP)
    assert not model.admitted(drawing, 0)
    with model.ask(Priority.VERDICT) as verdict:
        assert model.admitted(verdict, 0)
    assert not model.admitted(drawing, 0)
    decoded.leave(decoding)
    assert model.admitted(drawing, 0)


def started(place: Place, name: str, went: list[str]) -> threading.Thread:
    """Somebody else's work, which waits for its place and notes that it went."""

    def work() -> None:
        with place:
            list(place.waits())
            went.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_long_attack_gives_way_between_its_steps() -> None:
    queue, seen = FairQueue(), list[str]()
    attack = ask(queue, "192.0.2.1", priority=Priority.ATTACK)
    attack.give_way()
    assert queue.admitted(attack, 0)
    judging = started(ask(queue, "192.0.2.2"), "verdict", seen)
    attack.give_way()
    assert seen == ["verdict"]
    assert queue.admitted(attack, 0)
    judging.join(HANGS)


def test_long_work_of_two_addresses_takes_turns_and_of_one_does_not() -> None:
    queue = FairQueue()
    mine = ask(queue, "192.0.2.1", priority=Priority.ATTACK)
    own = ask(queue, "192.0.2.1", priority=Priority.ATTACK)
    mine.give_way()
    assert queue.admitted(mine, 0)
    queue.leave(own)
    went: list[str] = []
    working = started(ask(queue, "192.0.2.2", priority=Priority.ATTACK), "yours", went)
    mine.give_way()
    assert went == ["yours"]
    working.join(HANGS)


def test_only_the_newest_run_of_a_session_goes_on(answer: Any) -> None:
    answer("one")
    first, elsewhere = new_token("detect"), new_token("explore")
    answer("two")
    other = new_token("detect")
    answer("one")
    assert first.newest
    second = new_token("detect")
    assert not first.newest
    assert all(token.newest for token in (second, elsewhere, other))
    cancel_runs("one")
    assert (second.newest, elsewhere.newest, other.newest) == (False, False, True)


def test_a_request_that_was_overtaken_takes_no_turn(answer: Any) -> None:
    answer("late")
    newer, older = new_token("detect", "200.5"), new_token("detect", "100.5")
    assert newer.newest
    assert not older.newest
    assert new_token("detect", "no number").newest
    assert new_token("detect", "inf").newest


def test_a_superseded_run_yields_an_empty_update_and_is_closed(answer: Any) -> None:
    answer("closed")
    ended = []

    def updates() -> Iterator[dict[Any, Any]]:
        try:
            yield {"a": 1}
            yield {"a": 2}
        finally:
            ended.append(True)

    token = new_token("detect")
    shown = token.shows(updates())
    assert next(shown) == {"a": 1}
    # Gradio comes back once it has sent that
    threading.Timer(0.2, lambda: next(shown, None)).start()
    new_token("detect")
    assert list(shown) in ([], [gr.skip()])
    assert ended == [True]


def test_an_overtaken_clear_does_not_blank_the_picture_that_came_after_it(answer: Any) -> None:
    """The page calls the run of a first step that was overtaken, too, and with the number of the
    newest wish."""
    answer("overtaken")
    with gr.Blocks() as page:
        part, field = Panel("detect"), gr.Textbox()
        part.off([field.change], lambda: {field: "blank"}, outputs=[field])
        part.on(
            [field.submit],
            lambda event: {field: "looking"},
            lambda token: iter([{field: "the answer"}]),
            given=[],
            inputs=[],
            outputs=[field],
        )
    first_clear, clear, first_upload, upload = (f.fn for f in page.fns.values())
    event = gr.EventData(None, None)
    assert first_upload(event, "200")[field] == "looking"
    assert first_clear(event, "100") == gr.skip()
    assert list(clear("200")) == [gr.skip()]
    ((answered, mark),) = (dict(update).items() for update in upload("200"))
    assert answered == (field, "the answer")
    assert mark == (part.answered, "<i data-turn='200.0'></i>")  # whose answer it is, for the page
    assert list(upload("200")) == [gr.skip()]  # nor is anything answered twice
    assert list(upload("no number")) == [gr.skip()]
