"""The head of the page: what this is, and the two numbers that matter."""

from __future__ import annotations

from causalclip.examine.meant import error_rates


def introduction() -> str:
    """As HTML; the numbers are the benchmark's, and are left out where there is none."""
    what = "Was this picture made by an image generator, and where in it does the score come from?"
    rates = error_rates()
    return f"<h1>CausalCLIP</h1><p>{what} {f'<b>{rates.sentence}</b> {rates.unsure}' if rates else ''}</p>"
