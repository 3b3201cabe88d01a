"""The one detector of the app, loaded once and only when it is needed."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from causalclip.detector import Detector


class LazyDetector:
    """Loads the detector once, at the first call or in the background, and hands it out to all threads.

    Raises:
        WeightsMissing: at every call, while the weights are not there.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._detector: Detector | None = None
        self._tried = threading.Event()
        self._problem: Exception | None = None

    def __call__(self) -> Detector:
        with self._lock:
            if self._detector is None:
                from causalclip.detector import Detector  # seconds of imports, after the page is up

                self._detector = Detector.from_pretrained(self.name)
            return self._detector

    def warm_up(self) -> None:
        """Loads the detector and examines a picture once: the first examination of a process is slow."""
        from causalclip.examine.examination import examine

        try:
            file = BytesIO()
            Image.new("RGB", (400, 300)).save(file, "PNG")
            examine(file.getvalue(), self())
            self._problem = None
        except Exception as error:  # shown on the page; the app goes on without the model
            self._problem = error
        finally:
            self._tried.set()

    def problem(self) -> Exception | None:
        """Why it cannot be used, once warm_up has tried; waits for that."""
        self._tried.wait()
        return self._problem
