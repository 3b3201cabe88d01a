"""What the Purify tab is for, in one sentence and one drawing."""

from __future__ import annotations

from html import escape

from causalclip.languages import N_, _

PURPOSE = N_(
    "Somebody adds a change that nobody sees, so that a vision-language model describes another picture. Here you can "
    "see it, remove it, and measure what that costs. It is a demonstration with a small model, and no way to judge "
    "whether a picture was generated."
)
_CAT = (
    "<path d='M12 42c0-14 6-20 16-20s16 6 16 20z'/><path d='M18 26l-3-12 9 6zM38 26l3-12-9 6z'/>"
    "<circle cx='28' cy='22' r='10'/>"
)
_NOISE = "".join(f"<rect x='{6 + (i * 17) % 46}' y='{6 + (i * 29) % 38}' width='3' height='3'/>" for i in range(46))
_HIDDEN = (
    "<g opacity='0.45'>"
    + "".join(f"<circle cx='{6 + (i * 17) % 46}' cy='{6 + (i * 29) % 38}' r='0.9'/>" for i in range(46))
    + "</g>"
)
_STEPS = (
    (_CAT, N_("A picture"), N_("\u201ca cat\u201d")),
    (_NOISE, N_("+ a change nobody sees, here 10 times as strong"), ""),
    (_CAT + _HIDDEN, N_("looks the same; the model says"), N_("\u201ca dog\u201d")),
    (_CAT, N_("purified, a little coarser; the model says"), N_("\u201ca cat\u201d")),
)


def drawing() -> str:
    """The four steps in a row, as HTML; on a phone two by two."""
    items = "".join(
        f"<li><svg viewBox='0 0 56 48' aria-hidden='true'><rect x='1' y='1' width='54' height='46' rx='3' "
        f"class='cc-frame'/>{figure}</svg><span>{escape(_(words), quote=False)}"
        f"{f' <b>{_(said)}</b>' if said else ''}</span></li>"
        for figure, words, said in _STEPS
    )
    return f"<ol class='cc-story'>{items}</ol>"
