"""Errors in words for the person at the page or at the API, and what of them is logged."""

from __future__ import annotations

import logging
import traceback

from causalclip.languages import _
from causalclip.pictures.formats import TOO_LARGE
from causalclip.pictures.loading import ImageError, ImageTooLarge
from causalclip.profile import BadProfile
from ui.server.files import UNREADABLE

log = logging.getLogger(__name__)


def explain(error: Exception) -> tuple[str, str]:
    """A title and a sentence for the user.

    What is not the user's doing is logged without its message, which may hold a file's name.
    """
    # here, because they bring PyTorch, which the page need not wait for
    from causalclip.clip.runtime import UnknownRuntime
    from causalclip.clip.weights import WeightsMissing

    if isinstance(error, ImageTooLarge):
        return _(TOO_LARGE), str(error)
    if isinstance(error, ImageError):
        return _(UNREADABLE), str(error)
    if isinstance(error, UnknownRuntime | BadProfile):
        return _("The app is not set up correctly"), str(error)
    if isinstance(error, WeightsMissing):
        return _("The model's weights are missing"), str(error)
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("A picture was not judged: %s\n%s", type(error).__name__, frames)
    said = _("The picture could not be judged, and that is not its fault. Please try again.")
    return _("Something went wrong here"), said
