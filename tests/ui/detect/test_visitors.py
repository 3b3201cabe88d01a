"""Several visitors at once: everybody's first verdict comes before anybody's map, and maps before stability checks."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext

from causalclip.maps.overlay import draw_map
from tests.conftest import HANGS
from tests.makers.detectors import tiny_detector
from tests.makers.keeping import until
from tests.makers.pictures import encode, photo
from ui.detect.tab import build_tab
from ui.server.queue import MODEL, Priority
from ui.server.turns import take_turn

VISITORS = 4


class Slow:
    """A detector that takes its time and notes what it is asked for, and whether it was asked twice at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.most = self.now = 0
        self._tiny = tiny_detector()

    def predict(self, pixels: np.ndarray) -> Any:
        if (
            self.asked.count("verdict") < VISITORS - 1
        ):  # one stays until the next one waits, however slow the machine is
            assert until(lambda: any(ticket.priority == Priority.VERDICT for ticket in MODEL._waiting))
        return self._look("verdict", 0.5, lambda: self._tiny.predict(pixels))

    def judge_all(self, pictures: list[np.ndarray], **options: Any) -> Any:
        return self._look("copy", 0.01, lambda: self._tiny.judge_all(pictures, **options), len(pictures))

    def _look(self, what: str, seconds: float, look: Any, count: int = 1) -> Any:
        self.asked.extend([what] * count)
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(seconds)
        self.now -= 1
        return look()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tiny, name)


def test_first_verdicts_of_four_visitors_come_before_any_map_and_stability_check(
    uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Slow()

    def drawn(*args: Any, **options: Any) -> Any:
        detector.asked.append("map")
        return draw_map(*args, **options)

    monkeypatch.setattr("ui.detect.tab.draw_map", drawn)
    with gr.Blocks():
        tab = build_tab(lambda: detector, [])  # type: ignore[arg-type, return-value]
    path = uploads / "visitors" / "picture.jpg"
    path.parent.mkdir(exist_ok=True)
    said: dict[int, list[str]] = {}
    together = threading.Barrier(VISITORS)

    def visit(number: int) -> None:
        LocalContext.request.set(SimpleNamespace(session_hash=f"visitor-{number}"))  # type: ignore[arg-type]
        turn = take_turn("detect")
        path.write_bytes(data)
        together.wait(HANGS)
        said[number] = [u[tab.status] for u in turn.shows(tab.run(turn, {"path": str(path)})) if tab.status in u]

    data = encode(photo(96, 72), "JPEG")
    threads = [threading.Thread(target=visit, args=(i,)) for i in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * HANGS)
    assert detector.asked[:VISITORS] == ["verdict"] * VISITORS
    assert detector.asked[VISITORS] == "map"
    assert detector.asked.count("map") == 2 * VISITORS
    assert detector.asked.count("copy") == 9 * VISITORS
    assert detector.most == 1
    assert any("before you" in words for statuses in said.values() for words in statuses)
    assert all("Thresholds" in statuses[-1] for statuses in said.values())
