"""What is said of a picture that is no photograph: why there is no answer, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalclip.languages import N_

if TYPE_CHECKING:
    from causalclip.head.kinds import PictureKind

NO_ANSWER = N_("no answer")  # the band
TITLE = N_("No answer for this kind of picture")
NAMES: dict[PictureKind, str] = {
    "photograph": N_("photograph"),
    "drawing": N_("drawing"),
    "page": N_("page"),
    "blank": N_("blank"),
}
WHY: dict[PictureKind, str] = {
    "drawing": N_(
        "It looks like a drawing, a painting or a rendering. The detector knows photographs, and generated pictures "
        "that look like photographs; on anything else its score would mean nothing."
    ),
    "page": N_(
        "It looks like a screenshot, a chart, a scan, a meme or a collage. The detector knows photographs, and "
        "generated pictures that look like photographs; on anything else its score would mean nothing."
    ),
    "blank": N_(
        "There is no picture in it that could be judged: it is one colour, or even noise. The detector would give such "
        "a file a score all the same, and it would mean nothing."
    ),
}
WHAT_TO_DO: dict[PictureKind, str] = {
    "drawing": N_(
        "Find out who made it, and when: earlier copies and the artist's own page tell more than pixels here."
    ),
    "page": N_(
        "Cut out the photograph in it, if there is one, and examine that part; or find the picture that it shows."
    ),
    "blank": N_("Ask for the file again: it may have been damaged, or was exported without its content."),
}
TRACES = N_("They are not those of a photograph, so they are not judged.")
