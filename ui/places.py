"""Places: for whatever few may do at once, who goes in next.

The most urgent goes first, and of equals whoever has asked for least. Gradio's own queue knows
neither urgency nor visitors. A place is asked for by a job alone (ui/jobs.py).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from enum import IntEnum

import gradio as gr

from causalclip.languages import _
from ui.server.senders import FULL, YOURS, Client, current_client

PATIENCE = 0.5  # seconds after which one that waits hears how many are before it
MAX_WAITING_OF_ONE = 4  # jobs of an address that wait for a kind of place, and hold none yet
MAX_WAITING = 32  # the same of all
_changed = threading.Condition()  # one for all kinds of places
_numbers = itertools.count()


class Priority(IntEnum):
    """The order in which jobs go in: the smallest first."""

    VERDICT = 0
    MAP = 1  # needs no model, but drawn beside it would keep others from their verdicts
    BATCH = 2
    STABILITY = 3
    ATTACK = 4
    CALIBRATION = 5


class QueueFull(gr.Error):
    """Too many wait already. status: of HTTP."""

    def __init__(self, sentence: str, *, status: int) -> None:
        super().__init__(sentence, print_exception=False)
        self.status = status


class Place:
    """Lets `width` jobs in at once.

    The next is the smallest by (priority, jobs of its address when it came, order of arrival). One
    address never has all of the width, so that one place is left for others while it works.

    Args:
        holds_picture: whether a large picture is in memory meanwhile, whose memory goes back to the
            system when a job leaves the last place that it holds.
    """

    def __init__(self, width: int = 1, *, holds_picture: bool = False) -> None:
        self.width = width
        self.holds_picture = holds_picture
        self._waiting: list[Stay] = []
        self._inside: list[Stay] = []

    def ask(self, priority: Priority, *, may_refuse: bool = True) -> Stay:
        """Return a stay, to be used in a `with`; it is in once its `waits` has ended.

        Args:
            may_refuse: whether it is refused where too many wait: not what is half done.

        Raises:
            QueueFull: too many wait, of this address or of all.
        """
        stay = Stay(self, priority, current_client())
        with _changed:
            if may_refuse:
                self._check(stay)
            here = (*self._waiting, *self._inside)
            stay.rank = sum(other.client.address == stay.client.address for other in here)
            stay.number = next(_numbers)
            self._waiting.append(stay)
            self._admit()
        return stay

    def _check(self, stay: Stay) -> None:
        """Raise QueueFull where too many wait already, of the stay's address or of all."""
        address = stay.client.address
        theirs = [other for other in self._waiting if other.client.address == address]
        if address and len(theirs) >= MAX_WAITING_OF_ONE:
            raise QueueFull(_(YOURS), status=429)
        if len(self._waiting) >= MAX_WAITING:
            raise QueueFull(_(FULL), status=503)

    def _order(self) -> list[Stay]:
        """Return those that wait, the next first."""
        return sorted(self._waiting, key=lambda stay: (stay.priority, stay.rank, stay.number))

    def _admit(self) -> None:
        """Let in whoever can go in now."""
        for stay in self._order():
            address = stay.client.address
            theirs = sum(other.client.address == address for other in self._inside)
            share = self.width if not address else max(1, self.width - 1)
            if len(self._inside) < self.width and theirs < share:
                self._waiting.remove(stay)
                self._inside.append(stay)
        _changed.notify_all()


class Stay:
    """A job's claim to a place: it waits for it, or is in."""

    def __init__(self, place: Place, priority: Priority, client: Client) -> None:
        self._place = place
        self.priority = priority
        self.client = client
        self.rank = self.number = 0  # of its address, and of all; set when it begins to wait

    def waits(self, seconds: float = PATIENCE) -> Iterator[int]:
        """Yield, every so many seconds until it is in, how many others go in before it."""
        while True:
            with _changed:
                if _changed.wait_for(lambda: self in self._place._inside, seconds):
                    return
                before = self._before()
            yield before

    def _before(self) -> int:
        """Count those that are in or go in before, but for what the same page has asked."""
        order = self._place._order()
        ahead = [*self._place._inside, *order[: order.index(self)]]
        mine = [other for other in ahead if other.client == self.client and self.client.session]
        return len(ahead) - len(mine)

    def __enter__(self) -> Stay:
        return self

    def __exit__(self, *error: object) -> None:
        with _changed:
            for stays in (self._place._waiting, self._place._inside):
                if self in stays:
                    stays.remove(self)
            self._place._admit()


MODEL = Place()  # one look
FILES = Place(2)  # what a file says, profiles, reports: without the model
PICTURES = Place(2, holds_picture=True)  # a picture at its full size in memory
DECODED = Place(6, holds_picture=True)  # pictures of the page in work: each may take 150 MB
PURIFICATIONS = Place(2)  # runs of minutes, which hold small pictures
