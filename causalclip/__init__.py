"""CausalCLIP: was this picture generated, and what speaks for it?

>>> from causalclip import Detector, examine_file
>>> examine_file("picture.jpg", Detector.from_pretrained()).headline.title  # doctest: +SKIP
"""

import os
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.examination.stages import examine_file
    from causalclip.images.loading import load_image

__all__ = ["Detector", "examine_file", "load_image"]
# Before PyTorch is there: its idle threads wait by spinning, and on a busy machine that takes
# several times the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# All bring seconds of imports, which a use of another part need not wait for.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "detector": ["Detector"],
        "examination.stages": ["examine_file"],
        "images.loading": ["load_image"],
    },
)
