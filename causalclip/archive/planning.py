"""How long an archive will take, from a sample of it: to choose machines by, before a long run."""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, decimal, number

if TYPE_CHECKING:
    from causalclip.archive.running import Judge

SAMPLE = 24  # pictures
MACHINES = 1, 10, 100
SAID = N_(
    "{count} pictures. {sample} of them, chosen by chance, took {seconds} s each on one worker. By that, without what "
    "starting takes and as if workers did not slow each other down, hours on so many machines with {workers} workers "
    "each:"
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """pictures: in the archive. sample: how many of them were judged. seconds: of one worker a picture, on average."""

    pictures: int
    sample: int
    seconds: float

    def hours(self, *, workers: int) -> float:
        """With so many workers in all."""
        return self.pictures * self.seconds / workers / 3600


def estimate(pictures: Sequence[str], judge: "Judge", *, most: int = SAMPLE) -> Estimate:
    """Judges some pictures of an archive, chosen by chance, and times that; nothing is kept of it."""
    chosen = random.Random(0).sample(list(pictures), min(most, len(pictures)))
    _seconds(judge, chosen[0])  # the first one of a process is slow
    return Estimate(len(pictures), len(chosen), statistics.fmean(_seconds(judge, path) for path in chosen))


def as_text(found: Estimate, *, workers: int) -> str:
    """A few lines for the terminal. workers: of each machine."""
    said = {"count": number(found.pictures), "sample": number(found.sample), "workers": number(workers)}
    hours = {n: decimal(found.hours(workers=workers * n), digits=2) for n in MACHINES}
    lines = [f"{number(n):>5}: {hours[n]}" for n in MACHINES]
    return "\n".join([_(SAID, seconds=decimal(found.seconds, digits=2), **said), *lines])


def _seconds(judge: "Judge", path: str) -> float:
    started = time.perf_counter()
    judge({"path": [path]})
    return time.perf_counter() - started
