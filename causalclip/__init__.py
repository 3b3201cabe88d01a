"""CausalCLIP: was this picture generated, and which part of it says so?

>>> from causalclip import Detector, load_image
>>> detection = Detector.from_pretrained().predict(load_image("picture.jpg").pixels)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.pictures.loading import load_image

__all__ = ["Detector", "load_image"]
# Both bring seconds of imports, which a use of another part need not wait for.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"detector": ["Detector"], "pictures.loading": ["load_image"]}
)
