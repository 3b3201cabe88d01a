"""Findings of a reader about a picture from elsewhere, by their own word.

The owners of invisible marks answer whether theirs is in it, and searches lead to earlier copies.
Nothing is asked from here: the reader enters what they were told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, cast, get_args

from causalclip.examination.owners import OWNERS
from causalclip.languages import N_, _, bracketed, day, in_turn
from causalclip.text import clean

Answer = Literal["not asked", "found", "not found"]
ANSWERS: dict[Answer, str] = {
    "not asked": N_("{owner} was not asked"),
    "found": N_("{owner} found its mark"),
    "not found": N_("{owner} found no mark of its own"),
}
BY_READER = N_("Found out elsewhere, by the word of whoever wrote this: {findings}.")
MAX_ADDRESS, MAX_NAME = 500, 120  # characters


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
        """Return it without control characters, and with a day that there can be."""
        return EarliestCopy(
            clean(self.address, limit=MAX_ADDRESS),
            _clean_day(self.day),
            clean(self.shown_by, limit=MAX_NAME),
        )

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
    """Return a day as ISO 8601 writes it; empty for what is none."""
    try:
        return date.fromisoformat(text.strip()[:10]).isoformat()
    except ValueError:
        return ""


def _in_words(iso: str) -> str:
    """Return a day in the reader's language; empty for none."""
    return day(datetime.combine(date.fromisoformat(iso), time())) if iso else ""


def reply(owner: str, answer: str, asked: str) -> Reply:
    """Return what was entered of an owner's answer."""
    return Reply(owner, cast(Answer, answer), asked).cleaned()
