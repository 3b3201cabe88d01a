"""The house keeps its rooms: none is crowded, and the lower floors work without Gradio."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

WITHOUT_GRADIO = """
import gc, importlib, pkgutil, sys
gc.disable()  # what is imported stays
sys.modules["gradio"] = sys.modules["gradio_client"] = None  # as if neither were installed
import causalclip, purifier
for package in (causalclip, purifier):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def test_the_lower_floors_work_without_gradio() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_GRADIO], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_public_doors_is_quick() -> None:
    code = "import sys, causalclip, purifier; assert 'torch' not in sys.modules; print(causalclip.__all__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(ROOT), capture_output=True, text=True)
    assert done.stdout.strip() == "['Detector', 'examine_file', 'load_image']", done.stderr
