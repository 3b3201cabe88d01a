"""Attacks on pictures, their purification, and the vision-language models that show what both do.

>>> from purifier import PurifierPipeline, load_vlm
>>> purified = PurifierPipeline.from_pretrained()(pixels).images  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from purifier.denoiser.pipeline import PurifierPipeline
    from purifier.vlm.hub import load_vlm

__all__ = ["PurifierPipeline", "load_vlm"]
# Both bring seconds of imports, which a use of another part need not wait for.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"denoiser.pipeline": ["PurifierPipeline"], "vlm.hub": ["load_vlm"]}
)
