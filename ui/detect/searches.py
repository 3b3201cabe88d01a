"""What a person can do besides: links to reverse image searches, and next steps where the answer is inconclusive.

The person opens the links and adds the picture there; nothing is sent from here.
"""

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
COLLECTIONS = {
    "by Stable Diffusion": "https://commons.wikimedia.org/wiki/Category:Stable_Diffusion-generated_images",
    "by DALL-E": "https://commons.wikimedia.org/wiki/Category:Images_generated_by_DALL-E",
    "by Midjourney": "https://commons.wikimedia.org/wiki/Category:Midjourney-generated_images",
}


def links() -> str:
    """The links as HTML, the same for every picture."""
    return (
        "<section class='cc-panel' aria-label='Reverse image search'><h2>Look for earlier copies</h2>"
        f"<p class='cc-small'>{WARNING}</p>{_list(SITES)}</section>"
    )


def steps() -> str:
    """What to do with an answer that is none, as HTML for the card."""
    return (
        "<div class='cc-steps'><h3>What you can do now</h3><ol>"
        "<li><button type='button' class='cc-magnify'>Magnify the picture</button> and look for visible marks of "
        "generators, and at hands, text and reflections.</li>"
        f"<li>Look for earlier copies (you add the picture there yourself): {_list(SITES)}</li>"
        "<li>Ask for the original file. A screenshot or a forwarded copy has lost traces, and what the file said.</li>"
        "<li><a href='#reports'>Download the report</a> and pass it on with the picture.</li></ol></div>"
    )


def generated() -> str:
    """Where to find generated pictures to try; none is shipped."""
    return (
        "<div class='cc-small'>Try a generated one: save a picture from Wikimedia Commons and add it here. Some of "
        f"these are edited or small.{_list(COLLECTIONS)}</div>"
    )


def _list(sites: dict[str, str]) -> str:
    items = "".join(
        f"<li><a href='{escape(address)}' target='_blank' rel='noopener noreferrer'>{escape(name)}</a></li>"
        for name, address in sites.items()
    )
    return f"<ul class='cc-links'>{items}</ul>"
