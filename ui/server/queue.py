"""The fair queue: of those that wait, the most urgent goes in first, and of equals whoever has the
fewest places.

Gradio's own queue knows neither priorities nor visitors, so the page's events run side by side and
wait here.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from enum import IntEnum
from typing import Any, NamedTuple

from gradio.context import LocalContext

PATIENCE = 0.5  # seconds after which one that waits hears how many are before it
HELD = 2  # pictures that are decoded at once: one at the model, one on its way there
REMEMBERED = 1000  # addresses and sessions of which it is known when they were last let in
THIS_MACHINE = {"127.0.0.1", "::1"}  # one person


_changed = threading.Condition()  # one for all queues: who leaves one may make room in another
_numbers = itertools.count()


class Priority(IntEnum):
    """What goes in first."""

    VERDICT = 0
    MAP = 1  # needs no model, but drawn beside it would keep others from their verdicts
    BATCH = 2
    STABILITY = 3
    ATTACK = 4
    CALIBRATION = 5


class Client(NamedTuple):
    """Who asks: an address, and the session of a page there."""

    address: str = ""
    session: str = ""


NOBODY = Client()
# of calls that are no event of a page
asking: ContextVar[Client] = ContextVar("asking", default=NOBODY)


def current_client() -> Client:
    """Who has asked for what is being answered."""
    request = LocalContext.request.get(None)
    if request is None:
        return asking.get()
    client = getattr(request, "client", None)
    return Client(client.host if client else "", request.session_hash or "")


def current_session() -> str:
    """The session whose event is being answered; "" where there is none."""
    return current_client().session


class FairQueue:
    """Lets `width` places in at once.

    The next is the smallest by (priority, places that its address has before it, when the address
    was last let in, order of arrival), and among the places of one address so by session. One
    address never has all of the width, so that one place is left for others while it works; on the
    machine itself, for what is more urgent.
    """

    def __init__(self, width: int = 1, *, first: FairQueue | None = None) -> None:
        """first: an upstream queue: entries less urgent than its most urgent one wait."""
        self.width, self._first = width, first
        self._downstream: list[FairQueue] = []
        if first is not None:
            first._downstream.append(self)
        self._waiting: list[Place] = []
        self._inside: list[Place] = []
        self._served: dict[Any, int] = {}  # address, or client -> when it was last let in

    def ask(self, priority: Priority) -> Place:
        """A place, to be used in a `with`: it waits from here on, and is in once its `waits` has
        ended."""
        place = Place(self, priority, current_client())
        self._move(place, self._waiting)
        return place

    def enter(self, priority: Priority) -> Place:
        """`ask`, and wait until it is in."""
        place = self.ask(priority)
        for _ in place.waits():
            pass
        return place

    def leave(self, place: Place) -> None:
        """Makes room for the next; also for one that waits no longer."""
        self._move(place, None)

    def before(self, place: Place) -> int:
        """How many others are in or go in before this one; what is of the same page is nobody
        else's."""
        with _changed:
            order = self._order()
            ahead = (*self._inside, *order[: order.index(place) if place in order else 0])
            return sum(
                not (other.client.session and other.client == place.client) for other in ahead
            )

    def admitted(self, place: Place, seconds: float) -> bool:
        """Whether it is in, after so many seconds at most."""
        with _changed:
            return _changed.wait_for(lambda: place in self._inside, seconds)

    def is_wanted(self, place: Place) -> bool:
        """Whether one that is more urgent than `place` waits, or as urgent and of another
        address."""
        with _changed:
            others = [
                other for other in self._waiting if other.client.address != place.client.address
            ]
            urgent = [other for other in self._waiting if other.priority < place.priority]
            return bool(urgent) or any(other.priority == place.priority for other in others)

    def _move(self, place: Place, to: list[Place] | None) -> None:
        """Takes a place from wherever it is, puts it there, and lets in whoever can go in now."""
        with _changed:
            for places in (self._waiting, self._inside):
                if place in places:
                    places.remove(place)
            if to is not None:
                to.append(place)
            for queue in (self, *self._downstream):
                queue._admit()
            _changed.notify_all()

    def _order(self) -> list[Place]:
        """Those that wait, the next first."""
        by_session = self._ranked(self._waiting, key=lambda place: place.client)
        return self._ranked(by_session, key=lambda place: place.client.address)

    def _ranked(self, waiting: Iterable[Place], *, key: Callable[[Place], Any]) -> list[Place]:
        """`waiting` in order, by what has the same key inside and earlier in `waiting`."""
        had = Counter(key(place) for place in self._inside)
        ranks: dict[Place, tuple[int, int, int]] = {}
        # stable: an address's own order stays
        for place in sorted(waiting, key=lambda place: place.priority):
            ranks[place] = int(place.priority), had[key(place)], self._served.get(key(place), -1)
            had[key(place)] += 1
        return sorted(ranks, key=ranks.__getitem__)

    def _admit(self) -> None:
        upstream = (*self._first._waiting, *self._first._inside) if self._first else ()
        urgency = min((place.priority for place in upstream), default=len(Priority))
        for place in self._order():
            if place.priority > urgency:
                break
            address = place.client.address
            theirs = [other for other in self._inside if other.client.address == address]
            if address in THIS_MACHINE:  # of one person: what is less urgent is in nobody's way
                theirs = [other for other in theirs if other.priority <= place.priority]
            if len(self._inside) < self.width and (
                len(theirs) < max(1, self.width - 1) or not address
            ):
                self._waiting.remove(place)
                self._inside.append(place)
                for served in (address, place.client):
                    self._served.pop(served, None)
                    self._served[served] = next(_numbers)
        while len(self._served) > REMEMBERED:
            del self._served[next(iter(self._served))]


class Place:
    """A place before or inside a queue."""

    def __init__(self, queue: FairQueue, priority: Priority, client: Client) -> None:
        self._queue, self.priority, self.client = queue, priority, client

    def waits(self, seconds: float = PATIENCE) -> Iterator[int]:
        """Yields, every so many seconds until it is in, how many go in before it."""
        while not self._queue.admitted(self, seconds):
            yield self._queue.before(self)

    def give_way(self) -> None:
        """Lets those in that are more urgent, or as urgent and of another address, and waits until
        it is in again; to be called between two steps."""
        if self._queue.is_wanted(self):
            self._queue.leave(self)
            self._queue._move(self, self._queue._waiting)
            for _ in self.waits():
                pass

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *error: object) -> None:
        self._queue.leave(self)


# pictures that are decoded for the model, until it has looked: it need not wait for that
DECODED = FairQueue(HELD)
MODEL = FairQueue(first=DECODED)
PICTURES = FairQueue(HELD)
# what a file says, parts that are cut, profiles, reports: seconds, without the model
FILES = FairQueue(2)
# of runs that take long and hold small pictures: nobody else waits for one to end
PURIFY_QUEUE = FairQueue(HELD)
