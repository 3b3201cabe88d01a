"""Which profile the answers on this page are held to: the archive's own, or a file that somebody has made before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from causalclip.languages import N_, _, day, number
from causalclip.profile import BadProfile, Profile, parse_profile
from ui.server.files import upload_paths
from ui.server.lazy import Held
from ui.server.problems import explain
from ui.server.queue import FILES, Priority, current_session
from ui.server.store import STORE

LARGEST = 2**20  # bytes of a profile's file; one of 10,000 photographs takes half of it
TOO_LARGE = N_("This profile has more than 1 MB. Whoever runs the app can set it for all, as CAUSALCLIP_PROFILE.")
USED = N_(
    "The answers on this page are held to a profile, until the page is closed or out of reach for a minute. "
    "Photographs in it: {n}. Made on: {day}. An answer that is held to it says so."
)
BY_THE_HOST = N_(
    "All answers are held to a profile that this app's host has chosen. Photographs in it: {n}. Made on: {day}."
)
NONE = N_("The answers on this page are held to no profile.")


@dataclass(frozen=True, slots=True)
class Profiles:
    """What chooses one. detector: what is held to it."""

    detector: Held

    def said(self) -> str:
        """Which one is in use, as HTML."""
        try:
            host = self.detector.own().profile
        except Exception as error:
            return _say(explain(error)[1])
        if profile := self.detector.profile:
            return _say(_about(USED, profile))
        return _say(_about(BY_THE_HOST, host) if host else _(NONE))

    def use(self, profile: Profile) -> str:
        """Holds the page to it."""
        try:
            self.detector.choose(profile)
        except BadProfile as error:
            return _say(str(error))
        return self.said()

    def load(self, payload: Any) -> tuple[str, None]:
        """Reads an uploaded file, which is deleted then; also empties its field."""
        paths = upload_paths(payload)
        try:
            if not paths:
                return self.said(), None
            with open(paths[-1], "rb") as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                return _say(_(TOO_LARGE)), None
            with FILES.enter(Priority.BATCH):
                return self.use(parse_profile(data)), None
        except BadProfile as error:
            return _say(str(error)), None
        finally:
            STORE.drop(current_session() or "", paths)

    def release(self) -> str:
        """Holds the page to none of its own."""
        self.detector.release()
        return self.said()


def write_profile(profile: Profile, folder: Path) -> str:
    """The path of its file, to be downloaded."""
    path = folder / "profile.json"
    profile.write(path)
    return str(path)


def _about(message: str, profile: Profile) -> str:
    try:
        made = day(datetime.fromisoformat(profile.made))
    except ValueError:  # of a file that somebody has changed
        made = "?"
    return _(message, n=number(len(profile.scores)), day=made)


def _say(sentence: str) -> str:
    return f"<p role='status' aria-live='polite'>{escape(sentence)}</p>"
