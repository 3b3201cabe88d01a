"""The one detector of the app, loaded once and only when it is needed."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from causalclip.profile import read_profile

if TYPE_CHECKING:
    from causalclip.detector import Detector


class LazyDetector:
    """Loads the detector once, at the first call or in the background, and hands it out to all threads.

    profile: the file of an archive that it is held to.

    Raises:
        WeightsMissing: at every call, while the weights are not there.
        BadProfile: the same for the profile.
    """

    def __init__(self, name: str, *, profile: str = "") -> None:
        self.name, self.profile = name, profile
        self._lock = threading.Lock()
        self._detector: Detector | None = None
        self._tried = threading.Event()
        self._problem: Exception | None = None

    def __call__(self) -> Detector:
        with self._lock:
            if self._detector is None:
                from causalclip.detector import Detector  # seconds of imports, after the page is up

                archive = read_profile(self.profile) if self.profile else None
                detector = Detector.from_pretrained(self.name)
                self._detector = detector.with_profile(archive) if archive else detector
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

    def loaded(self) -> bool:
        """Whether it is there to be used; does not wait."""
        return self._tried.is_set() and self._problem is None

    def problem(self) -> Exception | None:
        """Why it cannot be used, once warm_up has tried; waits for that."""
        self._tried.wait()
        return self._problem
