"""How the app starts, as `python app.py` and as the console script `causalclip-app`."""


def main() -> None:
    """Claims a private room, builds the page and serves it until it is stopped."""
    from ui.server.room import claim  # first of all: `ui` turns off what Gradio would report to others

    room = claim()  # before Gradio is imported: parts of it read only then where to write
    from ui.app import main as serve

    serve(room)
