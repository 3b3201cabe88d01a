"""Without the packages that purification alone needs, the app judges, and says how to add them."""

import os
import subprocess
import sys

from tests.conftest import ROOT

CODE = """
import sys
sys.modules["transformers"] = sys.modules["diffusers"] = None  # as if neither were installed
import app
from purifier.models import lacking
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from causalclip.evidence.examination import (examine)

page = app.build(lambda: None)
print(lacking())
print(lacking() in str(page.config))
print(examine(encode(photo(200, 160), "PNG"), tiny_detector()).band)
"""


def test_detect_starts_and_says_what_to_add() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, shown, band = done.stdout.splitlines()
    assert said == "To purify pictures, add what is missing: pip install diffusers transformers"
    assert shown == "True"
    assert band in {"likely generated", "inconclusive", "likely not generated"}
