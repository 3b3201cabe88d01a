"""Two copies of one picture: aligned, and what differs.

>>> from causalclip import load_image
>>> from causalclip.compare import compare
>>> found = compare(load_image("a.jpg").pixels, load_image("earlier.jpg").pixels)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from causalclip.compare.comparison import Change, Comparison, compare

__all__ = ["Change", "Comparison", "compare"]
# OpenCV takes half a second to import, which --help need not wait for.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs={"comparison": ["Change", "Comparison", "compare"]})
