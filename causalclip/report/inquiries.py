"""Findings of a reader about a picture from elsewhere, by their own word.

The owners of invisible marks answer whether theirs is in it, and searches lead to earlier copies.
Nothing is asked from here: the reader enters what they were told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args

from causalclip.examination.owners import OWNERS
from causalclip.languages import N_, _, bracketed, day, in_turn, quoted
from causalclip.text import clean

Answer = Literal["not asked", "found", "not found"]
ANSWERS: dict[Answer, str] = {
    "not asked": N_("{owner} was not asked"),
    "found": N_("{owner} found its mark"),
    "not found": N_("{owner} found no mark of its own"),
}
BY_READER = N_("Found out elsewhere, by the word of whoever wrote this: {findings}.")
MAX_ADDRESS, MAX_NAME = 500, 120  # characters
NO_DAY = N_("{text} is left out, as it is no day. Write it like {example}.")
NEVER = N_("{day} is left out: it has not come yet, or it was before there were photographs.")
NO_ADDRESS = N_("{text} is left out, as it is no address of a page. Write it like {example}.")
UNANSWERED = N_("The day for {owner} is left out, as you have not chosen what it said.")
FIRST_PHOTOGRAPH = date(1826, 1, 1)
FIRST_ZONE = timedelta(hours=14)  # before UTC: where a day comes first
EXAMPLE_ADDRESS = "https://example.org/page"
_ADDRESS = re.compile(r"(https?://)?([\w-]+\.)+\w{2,}(:\d+)?([/?#]\S*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of an invisible mark's owner.

    Attributes:
        owner: a key of OWNERS.
        answer: what they said.
        day: when they were asked, ISO 8601; empty where that is not told.
    """

    owner: str
    answer: Answer = "not asked"
    day: str = ""

    def cleaned(self) -> Reply:
        """Return it with an answer and a day that there can be."""
        if self.answer not in get_args(Answer) or self.answer == "not asked":
            return Reply(self.owner)
        return Reply(self.owner, self.answer, _clean_day(self.day))

    @property
    def faults(self) -> Iterator[str]:
        """Yield why a part of it is left out when it is cleaned, in the reader's language."""
        if self.answer != "not asked":
            yield from _day_faults(self.day)
        elif self.day.strip():
            yield _(UNANSWERED, owner=OWNERS[self.owner].name)

    @property
    def words(self) -> str:
        """The answer and its day, in the reader's language."""
        said = _(ANSWERS[self.answer], owner=OWNERS[self.owner].name)
        return bracketed(said, _in_words(self.day))


NOT_ASKED = tuple(map(Reply, OWNERS))


@dataclass(frozen=True, slots=True)
class EarliestCopy:
    """The earliest copy of a picture that a reader knows of.

    Attributes:
        address: where it is.
        day: since when, ISO 8601; empty where that is not known.
        shown_by: who showed it there.
    """

    address: str = ""
    day: str = ""
    shown_by: str = ""

    def cleaned(self) -> EarliestCopy:
        """Return it without control characters, and with an address and a day that there can be."""
        address = clean(self.address, limit=MAX_ADDRESS)
        return EarliestCopy(
            address if _ADDRESS.fullmatch(address) else "",
            _clean_day(self.day),
            clean(self.shown_by, limit=MAX_NAME),
        )

    @property
    def faults(self) -> Iterator[str]:
        """Yield why a part of it is left out when it is cleaned, in the reader's language."""
        address = clean(self.address, limit=MAX_ADDRESS)
        if address and not _ADDRESS.fullmatch(address):
            yield _(NO_ADDRESS, text=quoted(address), example=EXAMPLE_ADDRESS)
        yield from _day_faults(self.day)

    @property
    def words(self) -> str:
        """Return what is known of it, in the reader's language; empty where nothing is."""
        who = _("shown by {who}", who=self.shown_by) if self.shown_by else ""
        details = [part for part in (self.address, _in_words(self.day), who) if part]
        return _("earliest copy known: {details}", details=in_turn(details)) if details else ""


@dataclass(frozen=True, slots=True)
class Inquiries:
    """Findings of a reader from elsewhere; replies: one of each owner."""

    replies: tuple[Reply, ...] = NOT_ASKED
    earliest: EarliestCopy = EarliestCopy()

    def cleaned(self) -> Inquiries:
        """Return them with answers and days that there can be, of owners that there are."""
        replies = {reply.owner: reply.cleaned() for reply in self.replies}
        return Inquiries(
            tuple(replies.get(owner, Reply(owner)) for owner in OWNERS), self.earliest.cleaned()
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """Sentences about all that is left out when they are cleaned, in the reader's language."""
        replies = (fault for reply in self.replies for fault in reply.faults)
        return (*replies, *self.earliest.faults)

    @property
    def findings(self) -> str:
        """All of it, in the reader's language; empty where nothing was entered."""
        return in_turn(self._findings())

    @property
    def sentence(self) -> str:
        """The findings as the reader's own word; empty where there are none."""
        return _(BY_READER, findings=self.findings) if self.findings else ""

    def _findings(self) -> Iterator[str]:
        if any(reply.answer != "not asked" for reply in self.replies):
            yield from (reply.words for reply in self.replies)
        if self.earliest.words:
            yield self.earliest.words


def _clean_day(text: str) -> str:
    """Return a day as ISO 8601 writes it; empty for none that there can have been."""
    found = _read_day(text)
    return found.isoformat() if found and _has_been(found) else ""


def _read_day(text: str) -> date | None:
    """Return the day that a text is, in ISO 8601; None for what is none."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _has_been(some_day: date) -> bool:
    """Return whether a day has come somewhere on Earth, and there were photographs."""
    return FIRST_PHOTOGRAPH <= some_day <= _today_anywhere()


def _today_anywhere() -> date:
    """Return the latest date that is today somewhere on Earth."""
    return (datetime.now(UTC) + FIRST_ZONE).date()


def _day_faults(text: str) -> Iterator[str]:
    """Yield why a text is no day that there can have been, in the reader's language."""
    found = _read_day(text)
    if found is None and text.strip():
        written = quoted(clean(text, limit=MAX_NAME))
        yield _(NO_DAY, text=written, example=_today_anywhere().isoformat())
    elif found and not _has_been(found):
        yield _(NEVER, day=_in_words(found.isoformat()))


def _in_words(iso: str) -> str:
    """Return a day in the reader's language; empty for none."""
    return day(datetime.combine(date.fromisoformat(iso), time())) if iso else ""
