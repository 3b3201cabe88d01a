"""The attacks and objectives that can be chosen, by name, with their titles.

Apart from the code that makes them: a page lists them before PyTorch is imported.
"""

from causalclip.languages import N_

# in the order of the page's lists; titles are messages to translate
ATTACKS = {
    "pgd": "PGD",
    "apgd": "APGD",
    "mi-fgsm": "MI-FGSM",
    "di-fgsm": "DI-FGSM",
    "cw": "Carlini-Wagner",
    "fgsm": N_("FGSM, one step"),
    "square": N_("Square, black box"),
    "patch": N_("A patch"),
}
OBJECTIVES = {
    "answer": N_("The answer to the question"),
    "caption": N_("The caption"),
    "features": N_("What CLIP sees"),
    "detector": N_("The detector's verdict"),
}
