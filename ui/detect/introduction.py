"""The head of the page: what this is, and the two numbers that matter."""

from __future__ import annotations

from causalclip.examine.meant import headline


def introduction() -> str:
    """As HTML; the numbers are the benchmark's, and are left out where there is none."""
    what = "Was this picture made by an image generator, and where in it is the evidence?"
    return f"<h1>CausalCLIP</h1><p>{what} {_numbers()}</p>"


def _numbers() -> str:
    found = headline()
    if found is None:
        return ""
    recognised, accused = round(100 * found.recognised), 100 * found.accused
    unsure = [round(100 * share) for share in found.undecided]
    few = "fewer than 1" if accused < 0.5 else f"about {round(accused)}"
    return (
        f"<b>On test pictures of like content, it calls {recognised} of 100 generated ones likely generated, and "
        f"wrongly {few} of 100 real ones.</b> It says \u201cinconclusive\u201d for {unsure[0]} of 100 generated and "
        f"{unsure[1]} of 100 real ones."
    )
