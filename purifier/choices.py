"""The attacks and objectives that can be chosen, by name, and what a person reads of them.

Apart from the code that makes them: a page lists them before PyTorch is imported.
"""

from dataclasses import dataclass

from causalclip.languages import N_

# in the order of the page's lists; titles are messages to translate
OBJECTIVE_TITLES = {
    "answer": N_("The answer to the question"),
    "caption": N_("The caption"),
    "features": N_("What CLIP sees"),
    "detector": N_("The detector's verdict"),
}


@dataclass(frozen=True, slots=True)
class AttackChoice:
    """An attack as it is chosen; its class takes the rest from here (purifier.attacks).

    Attributes:
        title: in the page's list, a message to translate.
        summary: one sentence in English, for the documentation.
    """

    title: str
    summary: str


# in the order of the page's lists
ATTACK_CHOICES = {
    "pgd": AttackChoice(
        "PGD",
        "Steps along the sign of the gradient, from a random start.",
    ),
    "apgd": AttackChoice(
        "APGD",
        "Like PGD, with momentum and a step size that halves by itself.",
    ),
    "mi-fgsm": AttackChoice(
        "MI-FGSM",
        "Steps along a gradient that is accumulated over the steps.",
    ),
    "di-fgsm": AttackChoice(
        "DI-FGSM",
        "Like MI-FGSM, on pictures that are shrunk and moved at random: transfers better.",
    ),
    "cw": AttackChoice(
        "Carlini-Wagner",
        "Raises the objective less the squared length of the change, by Adam.",
    ),
    "fgsm": AttackChoice(
        N_("FGSM, one step"),
        "One step of the whole budget along the sign of the gradient.",
    ),
    "square": AttackChoice(
        N_("Square, black box"),
        "Random search over squares; needs no gradient.",
    ),
    "patch": AttackChoice(
        N_("A patch"),
        "Changes one square of the picture freely; the budget does not bind it.",
    ),
}
