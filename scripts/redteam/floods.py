"""Tries at what the server has to give: memory and turns."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from scripts.redteam.target import Target, at_once, picture


def fifty_megapixels_twelve_times(target: Target) -> tuple[bool, str]:
    """Sends twelve pictures of 50 megapixels at once"""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((8000, 6200)).convert("RGB").save(file, "JPEG", quality=50)
    paths = [target.upload(file.getvalue()) for _ in range(12)]
    most, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            most[0] = max(most[0], target.memory())

    threading.Thread(target=watch, daemon=True).start()
    answers = at_once(lambda i: target.ask("detect", paths[i]), 12)
    over.set()
    answered = sum("event: complete" in text for _, text in answers)
    told = sum("queue is full" in text for _, text in answers)
    return answered + told == 12 and most[0] < 1600, f"{answered} answered, {told} told, {most[0]:.0f} MB at most"


def attacks_at_once(target: Target) -> tuple[bool, str]:
    """Asks for 17 attacks at once, while somebody else asks for a verdict"""
    path, other = target.upload(picture(3)), target.elsewhere(9)
    theirs = other.upload(picture(4))
    with ThreadPoolExecutor(17) as pool:
        more = ("fgsm", 8, 1, "features", "", "", 0)
        attacks = [pool.submit(target.ask, "attack", path, *more) for _ in range(17)]
        time.sleep(1)
        started = time.monotonic()
        quick = "event: complete" in other.ask("provenance", theirs)[1]
        claims = time.monotonic() - started
        judged = "event: complete" in other.ask("detect", theirs)[1]
        told = sum(attack.result()[0] == 429 for attack in attacks)
    waited = time.monotonic() - started
    return (
        quick and judged and told >= 11,
        f"{told} told; the other: claims in {claims:.1f} s, all in {waited:.1f} s",
    )
