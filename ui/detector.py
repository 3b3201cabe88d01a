"""The one detector of the app, loaded once and only when it is needed, and the head and the profile
that a page has chosen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from causalclip.examination.messages import JUDGED_BY
from causalclip.languages import N_, _
from causalclip.paths import DEFAULT_HEAD, HEADS, WeightsMissing, head_folder, heads
from causalclip.reference import BadProfile, Profile, hold, read_profile
from ui.server.senders import current_client, current_session

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.examination.result import Examination

MAX_PROFILES = 32  # of pages with a profile of their own; a large one takes some MB
MAX_PROFILES_OF_ADDRESS = 4
REMEMBERED = 10_000  # pages with a head of their own; anybody may invent them
UNUSED = 3600  # seconds after which a page's place for a profile may go to another page
FULL = N_(
    "At most {mine} pages of one address, and {all} in all, can use a profile of their own. Close "
    "one of them, or try again later."
)
NO_HEAD = N_(
    "There is no such head here: choose causal or linear where the page offers both, or leave it "
    "out."
)
ABOUT = N_("The causal head makes a mask for each picture; the linear head has one for all.")
_heads: dict[str, str] = {}  # session -> the head that its page has chosen


@dataclass(slots=True)
class ChosenProfile:
    """The profile that a page is held to.

    Attributes:
        address: where the page is.
        used: when it was last needed, on the monotonic clock.
    """

    address: str
    profile: Profile
    used: float = field(default_factory=time.monotonic)


_chosen: dict[str, ChosenProfile] = {}  # by session


class LazyDetector:
    """Loads the detector once, at the first call or in the background, and hands it out to all
    threads.

    Called with a name of `heads` it gives the detector with that head, over the same tower.

    profile: the file of a profile that its answers are held to; "" for none.

    Raises:
        WeightsMissing: at every call, while the weights are not there.
        BadProfile: the same for the profile.
    """

    def __init__(self, name: str, *, profile: str = "") -> None:
        self.name = name
        self.profile = profile
        self._lock = threading.Lock()
        self._detector: Detector | None = None
        self._others: dict[str, Detector] = {}
        self._tried = threading.Event()
        self._problem: Exception | None = None
        self._first: Examination | None = None

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that one may choose from; none where the host has named a detector or a
        profile."""
        names = heads()
        is_own = self.name == HEADS[DEFAULT_HEAD] and not self.profile
        return names if is_own and len(names) > 1 else ()

    def __call__(self, head: str = "") -> Detector:
        from causalclip.detector import Detector  # seconds of imports, after the page is up

        with self._lock:
            if self._detector is None:
                profile = read_profile(self.profile) if self.profile else None
                self._detector = hold(Detector.from_pretrained(self.name), profile)
            if head in ("", DEFAULT_HEAD):
                return self._detector
            if head not in self._others:
                self._others[head] = Detector.from_pretrained(
                    head_folder(head), beside=self._detector
                )
            return self._others[head]

    def warm_up(self, picture: Path) -> None:
        """Load the detector and examine the file of a picture: the first examination of a process
        is slow, and the page opens with its result."""
        from causalclip.examination.stages import examine_file

        try:
            self._first = examine_file(picture, self())
            self._problem = None
        except Exception as error:  # shown on the page; the app goes on without the model
            self._problem = error
        finally:
            self._tried.set()

    def loaded(self) -> bool:
        """Return whether the detector is there to be used; does not wait."""
        return self._tried.is_set() and self._problem is None

    def first(self) -> Examination | None:
        """Return the examination of `warm_up`, None where that failed; waits until it has tried."""
        self._tried.wait()
        return self._first

    def problem(self) -> Exception | None:
        """Return why the detector cannot be used; waits until `warm_up` has tried."""
        self._tried.wait()
        return self._problem


def with_head(detector: Callable[..., Detector], head: str) -> Detector:
    """Return the detector with a head that somebody asked for; "" for the host's own.

    Raises:
        WeightsMissing: the head is none of those that are offered.
    """
    if head and head not in getattr(detector, "heads", ()):
        raise WeightsMissing(_(NO_HEAD))
    return detector(head) if head else detector()


class ChosenDetector:
    """The detector with the head and the profile that the current page has chosen for itself.

    own: returns the detector as the host has it; its `heads`, where it has them, are those that one
        may choose from.
    """

    def __init__(self, own: Callable[..., Detector]) -> None:
        self.own = own

    def __call__(self, head: str = "") -> Detector:
        detector = with_head(self.own, head or _heads.get(current_session(), ""))
        return hold(detector, self.profile)

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that one may choose from; none where there is no choice."""
        return getattr(self.own, "heads", ())

    def choose_head(self, head: str) -> None:
        """Have the page's pictures judged by a head, until the page is closed; a head that is not
        offered changes nothing."""
        if head in self.heads:
            _heads[current_session()] = head
            if len(_heads) > REMEMBERED:
                del _heads[next(iter(_heads))]

    def with_mask(self) -> Detector:
        """Return the detector whose mask is shown: with the causal head where it is offered,
        whichever head judges."""
        return self.own("causal") if "causal" in self.heads else self()

    @property
    def profile(self) -> Profile | None:
        """The profile that the page has chosen; None without one."""
        chosen = _chosen.get(current_session())
        if chosen is None:
            return None
        chosen.used = time.monotonic()
        return chosen.profile

    def choose(self, profile: Profile) -> None:
        """Hold the page to a profile, until the page is closed.

        Raises:
            BadProfile: it was made for another detector, or too many pages have one.
        """
        hold(self.own(), profile)
        address, session = current_client()
        _forget_unused()
        theirs = sum(chosen.address == address for chosen in _chosen.values())
        is_full = len(_chosen) >= MAX_PROFILES or theirs >= MAX_PROFILES_OF_ADDRESS
        if session not in _chosen and is_full:
            raise BadProfile(_(FULL, mine=MAX_PROFILES_OF_ADDRESS, all=MAX_PROFILES))
        _chosen[session] = ChosenProfile(address, profile)

    def release(self) -> None:
        """Hold the page to none of its own any more."""
        _chosen.pop(current_session(), None)


def _forget_unused() -> None:
    """Forget the profiles of pages that have asked for nothing for an hour: a program that names
    sessions and opens no page closes none."""
    now = time.monotonic()
    for session, chosen in list(_chosen.items()):
        if now - chosen.used > UNUSED:
            _chosen.pop(session, None)


def forget_choices(session: str) -> None:
    """Forget the head and the profile of a page that was closed."""
    _chosen.pop(session, None)
    _heads.pop(session, None)


def add_head_choice(detector: ChosenDetector) -> gr.Radio | None:
    """Add the choice of the head to the current Blocks; None where there is nothing to choose."""
    choices = [(_(JUDGED_BY[head]), head) for head in reversed(detector.heads)]
    if not choices:
        return None
    return gr.Radio(
        choices,
        value=DEFAULT_HEAD,
        label=_("Judged by"),
        info=_(ABOUT),
        elem_id="check-head",
    )
