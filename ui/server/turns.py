"""The order of those that wait: the most urgent, and of equals whoever has asked for least.

Gradio's own queue knows neither urgency nor visitors, so the page's events run side by side and
wait here. Work at the model is cut into looks of a second or so, with a turn for each.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from enum import IntEnum
from typing import NamedTuple

import gradio as gr

from causalclip.languages import N_, _
from ui.server.memory import give_back_memory

PATIENCE = 0.5  # seconds after which one that waits hears how many are before it
EACH = 4  # calls of an address that wait for one kind of turn
ALL = 32  # calls that wait for one kind of turn, of all
YOURS = N_("The queue is full of your own requests. Wait for an answer, then ask again.")
FULL = N_("The queue is full. Please ask again in a minute.")
_changed = threading.Condition()  # one for all kinds of turns
_numbers = itertools.count()


class Priority(IntEnum):
    """The order in which calls go in: the smallest first."""

    VERDICT = 0
    MAP = 1  # needs no model, but drawn beside it would keep others from their verdicts
    BATCH = 2
    STABILITY = 3
    ATTACK = 4
    CALIBRATION = 5


class Client(NamedTuple):
    """An asker: an address, and the session of a page there."""

    address: str = ""
    session: str = ""


asking: ContextVar[Client] = ContextVar("asking", default=Client())  # noqa: B039 - it is a tuple


def current_client() -> Client:
    """Return who has asked for what is being answered."""
    return asking.get()


def current_session() -> str:
    """Return the session whose event is being answered, "" where there is none."""
    return asking.get().session


class Turns:
    """Lets `width` calls in at once.

    The next is the smallest by (priority, calls of its address when it came, order of arrival).
    One address never has all of the width, so that one place is left for others while it works.
    """

    def __init__(
        self, width: int = 1, *, has_limit: bool = True, holds_picture: bool = False
    ) -> None:
        """Make a kind of turn that `width` calls can have at once.

        Args:
            has_limit: whether calls are refused where too many wait; not within another turn.
            holds_picture: whether a call holds a large picture, whose memory goes back to the
                system at its end.
        """
        self.width = width
        self.has_limit = has_limit
        self.holds_picture = holds_picture
        self._waiting: list[Turn] = []
        self._inside: list[Turn] = []

    def ask(self, priority: Priority, *, may_refuse: bool = True) -> Turn:
        """Return a turn, to be used in a `with`; it is in once its `waits` has ended.

        may_refuse: whether it is refused where too many wait; not within another turn.

        Raises:
            gr.Error: too many wait, of this address or of all.
        """
        turn = Turn(self, priority, current_client())
        with _changed:
            if self.has_limit and may_refuse:
                self._check(turn)
            self._wait(turn)
        return turn

    def enter(self, priority: Priority) -> Turn:
        """Return a turn as `ask` does, once it is in."""
        turn = self.ask(priority)
        for _before in turn.waits():
            pass
        return turn

    def _check(self, turn: Turn) -> None:
        """Raise gr.Error where too many wait already, of the turn's address or of all."""
        address = turn.client.address
        theirs = [other for other in self._waiting if other.client.address == address]
        if address and len(theirs) >= EACH:
            raise gr.Error(_(YOURS), print_exception=False)
        if len(self._waiting) >= ALL:
            raise gr.Error(_(FULL), print_exception=False)

    def _order(self) -> list[Turn]:
        """Return those that wait, the next first."""
        return sorted(self._waiting, key=lambda turn: (turn.priority, turn.rank, turn.number))

    def _wait(self, turn: Turn) -> None:
        """Put a turn behind what its address has here already."""
        here = (*self._waiting, *self._inside)
        turn.rank = sum(other.client.address == turn.client.address for other in here)
        turn.number = next(_numbers)
        self._waiting.append(turn)
        self._admit()

    def _admit(self) -> None:
        """Let in whoever can go in now."""
        for turn in self._order():
            address = turn.client.address
            theirs = sum(other.client.address == address for other in self._inside)
            share = self.width if not address else max(1, self.width - 1)
            if len(self._inside) < self.width and theirs < share:
                self._waiting.remove(turn)
                self._inside.append(turn)
        _changed.notify_all()


class Turn:
    """A call that waits for its turn, or has it."""

    def __init__(self, turns: Turns, priority: Priority, client: Client) -> None:
        self._turns = turns
        self.priority = priority
        self.client = client
        self.rank = self.number = 0  # of its address, and of all; set when it begins to wait

    def waits(self, seconds: float = PATIENCE) -> Iterator[int]:
        """Yield, every so many seconds until it is in, how many others go in before it."""
        while True:
            with _changed:
                if _changed.wait_for(lambda: self in self._turns._inside, seconds):
                    return
                before = self._before()
            yield before

    def give_way(self) -> None:
        """Let those in that are more urgent, or as urgent and of another address, and wait until it
        is in again; to be called between two steps."""
        turns = self._turns
        with _changed:
            if not any(self._yields_to(other) for other in turns._waiting):
                return
            turns._inside.remove(self)
            turns._admit()
            turns._wait(self)
        for _before in self.waits():
            pass

    def _yields_to(self, other: Turn) -> bool:
        """Return whether another turn goes first where both could."""
        if other.priority == self.priority:
            return other.client.address != self.client.address
        return other.priority < self.priority

    def _before(self) -> int:
        """Count those that are in or go in before, but for what the same page has asked."""
        order = self._turns._order()
        ahead = [*self._turns._inside, *order[: order.index(self)]]
        mine = [other for other in ahead if other.client == self.client and self.client.session]
        return len(ahead) - len(mine)

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *error: object) -> None:
        with _changed:
            for turns in (self._turns._waiting, self._turns._inside):
                if self in turns:
                    turns.remove(self)
            self._turns._admit()
        if self._turns.holds_picture:
            give_back_memory()


# pictures of the page that are being examined: each may take 150 MB
DECODED = Turns(6, holds_picture=True)
MODEL = Turns(has_limit=False)  # one look; asked for within another turn
PICTURES = Turns(2, holds_picture=True)  # whatever else needs a large picture in memory
FILES = Turns(2)  # what a file says, profiles, reports: without the model
PURIFY_QUEUE = Turns(2)  # runs of minutes, which hold small pictures
