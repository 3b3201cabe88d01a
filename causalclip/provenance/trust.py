"""The lists of certificates that signatures of Content Credentials are checked against.

assets/trust/README.md says where they come from; `python -m scripts.trust` brings newer ones.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from causalclip.languages import N_, _, day, paragraph
from causalclip.paths import shipped_folder

FOLDER = shipped_folder("assets") / "trust"
SIGNERS, TIME_STAMPS, INTERIM = "c2pa-signers.pem", "c2pa-time-stamps.pem", "interim-signers.pem"
ORIGIN = "origin.json"
MAX_AGE = 180  # days, after which a list is called old
DATED = N_("It was checked against C2PA's trust list of {day}.")
OLD = N_("That list is more than {n} days old: a signer that was added since then is unknown here.")


@dataclass(frozen=True, slots=True)
class TrustLists:
    """PEM texts and their date.

    Attributes:
        signers: C2PA's trust list.
        time_stamps: C2PA's list of authorities for time stamps.
        interim: the list that was in use before C2PA's and is frozen; "" where it is not installed.
        issued: the day of the commit that both of C2PA's lists were taken from.
    """

    signers: str
    time_stamps: str
    interim: str
    issued: date

    def sentence(self, today: date | None = None) -> str:
        """Return of which day C2PA's list is, and that it is old where it is."""
        age = (today or datetime.now(UTC).date()) - self.issued
        dated = _(DATED, day=day(datetime.combine(self.issued, datetime.min.time())))
        return paragraph(dated, _(OLD, n=MAX_AGE) if age.days > MAX_AGE else "")


@lru_cache(maxsize=1)
def trust_lists() -> TrustLists:
    """Return the lists as they are shipped or installed."""
    origin = json.loads((FOLDER / ORIGIN).read_text(encoding="utf-8"))
    interim = FOLDER / INTERIM
    return TrustLists(
        signers=(FOLDER / SIGNERS).read_text(encoding="utf-8"),
        time_stamps=(FOLDER / TIME_STAMPS).read_text(encoding="utf-8"),
        interim=interim.read_text(encoding="utf-8") if interim.is_file() else "",
        issued=date.fromisoformat(origin["date"]),
    )
