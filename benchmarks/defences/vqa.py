"""Accuracy on VQAv2: an answer against ten people's, as the challenge counts it.

Source of the rules: https://visualqa.org/evaluation.html, and the challenge's own code.
"""

import re
from collections.abc import Sequence

DIGITS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4"}
DIGITS |= {"five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}
ARTICLES = {"a", "an", "the"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
PERIOD = re.compile(r"(?<!\d)\.|\.(?!\d)")  # one that is no decimal point
THOUSANDS = re.compile(r"(?<=\d),(?=\d)")


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """The share of right in [0, 1]: min(people who said the same / 3, 1), over all but one person.

    Args:
        people: their answers, ten in VQAv2; the mean is over leaving out each of them.
    """
    said = normalise_vqa(answer)
    same = [normalise_vqa(text) == said for text in people]
    total = sum(same)
    return sum(min((total - own) / 3, 1.0) for own in same) / len(people)


def normalise_vqa(text: str) -> str:
    """Lower case, without punctuation and articles, numbers up to ten in digits."""
    text = " ".join(text.lower().split())
    text = THOUSANDS.sub("", text)
    for mark in PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        text = text.replace(mark, "" if beside_space else " ")
    text = PERIOD.sub("", text)
    words = [DIGITS.get(word, word) for word in text.split()]
    return " ".join(word for word in words if word not in ARTICLES)
