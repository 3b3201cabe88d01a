"""Errors as a title and a sentence, for whoever uses the app."""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr

from causalclip.examination.result import NotJudged
from causalclip.images.formats import TOO_LARGE, TOO_SMALL, ImageError, ImageTooLarge, ImageTooSmall
from causalclip.languages import N_, _
from causalclip.paths import WeightsMissing
from causalclip.reference import BadProfile
from causalclip.settings import SettingsError

UNREADABLE = N_("This file could not be read")
log = logging.getLogger(__name__)


def explain(error: Exception) -> tuple[str, str]:
    """Return a title and a sentence for the user.

    What is not the user's doing is logged without its message, which may hold a file's name.
    """
    if isinstance(error, gr.Error):
        return error.title, str(error.message)
    if isinstance(error, NotJudged):
        error = error.reason
    if isinstance(error, ImageTooLarge):
        return _(TOO_LARGE), str(error)
    if isinstance(error, ImageTooSmall):
        return _(TOO_SMALL), str(error)
    if isinstance(error, ImageError):
        return _(UNREADABLE), str(error)
    if isinstance(error, SettingsError | BadProfile):
        return _("The app is not set up correctly"), str(error)
    if isinstance(error, WeightsMissing):
        return _("The model's weights are missing"), str(error)
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("A picture was not judged: %s\n%s", type(error).__name__, frames)
    sentence = _("The picture could not be judged, and that is not its fault. Please try again.")
    return _("Something went wrong here"), sentence


@contextmanager
def errors_as_sentences(
    describe: Callable[[Exception], tuple[str, str]] = explain,
) -> Iterator[None]:
    """Raise any error in a `with` as Gradio's, with the title and sentence of `describe(error)`."""
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        title, sentence = describe(error)
        raise gr.Error(sentence, title=title, print_exception=False) from None
