"""Errors of the Purify tab and of its endpoints, in words."""

from __future__ import annotations

from causalclip.languages import _
from ui.fields import explain


def reason(error: Exception) -> tuple[str, str]:
    """A title and a sentence for the user."""
    from purifier.aims import AimError  # here, because these bring PyTorch, which the page need not wait for
    from purifier.vlm import EmptyQuestion

    return (_("This cannot be done"), str(error)) if isinstance(error, AimError | EmptyQuestion) else explain(error)
