"""Links to reverse image searches. The person opens them and adds the picture there; nothing is sent from here."""

from html import escape

SITES = {
    "Google Lens": "https://lens.google.com/",
    "TinEye": "https://tineye.com/",
    "Bing Visual Search": "https://www.bing.com/visualsearch",
    "Yandex Images": "https://yandex.com/images/",
    "Baidu Images": "https://image.baidu.com/",
}
WARNING = (
    "An earlier copy can show where a picture comes from. These pages open in a new tab, and nothing is sent to them "
    "from here: you add the picture there yourself. Whoever runs the page then has it, so think twice with material "
    "that could put somebody at risk."
)


def links() -> str:
    """The links as HTML, the same for every picture."""
    items = "".join(
        f"<li><a href='{escape(address)}' target='_blank' rel='noopener noreferrer'>{escape(name)}</a></li>"
        for name, address in SITES.items()
    )
    return (
        "<section class='cc-panel' aria-label='Reverse image search'><h2>Look for earlier copies</h2>"
        f"<p class='cc-small'>{WARNING}</p><ul class='cc-links'>{items}</ul></section>"
    )
