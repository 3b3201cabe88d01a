"""python -m tests.tracing page|detect|purify: the project's files that one picture's way enters, as a JSON list.

A file counts once one of its functions or class bodies runs, imports on the way included.
"""

import contextlib
import io
import json
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = tuple(f"{ROOT / name}/" for name in ("causalclip", "purifier", "ui"))
entered: set[str] = set()
counting = threading.Event()


def note(frame: FrameType, event: str, _: object) -> None:
    code = frame.f_code
    if event == "call" and counting.is_set() and code.co_name != "<module>" and code.co_filename.startswith(FOLDERS):
        entered.add(code.co_filename)


def page(picture: Path) -> None:
    """From the upload to the update that shows the verdict, as the browser asks for it."""
    import app
    from causalclip import Detector
    from scripts.redteam.target import Target

    detector = Detector.from_pretrained()
    blocks = app.build(lambda: detector)
    target = Target(None, picture.parent, app.launch(blocks, routes=app.routes(lambda: detector)))  # type: ignore[arg-type]
    counting.set()
    with target.opened("traced") as http:
        assert target.act(http, "traced", "picture", {"path": target.upload(picture.read_bytes(), name=picture.name)})
        with http.stream("GET", "gradio_api/queue/data", params={"session_hash": "traced"}) as updates:
            assert any("ikely" in line for line in updates.iter_lines())
    counting.clear()
    blocks.close(verbose=False)


def detect(picture: Path) -> None:
    """`causalclip detect PICTURE`."""
    counting.set()
    from causalclip.cli import app

    app(["detect", str(picture)], standalone_mode=False)
    counting.clear()


def purify(picture: Path) -> None:
    """An attack, the purification, and answers to a question before and after."""
    counting.set()
    from causalclip.images.loading import load_image
    from purifier.attacks import Attack
    from purifier.demo import DemoRequest, run_demo
    from purifier.models import Models

    request = DemoRequest("What is this?", attack=Attack("pgd", eps=8, steps=2))
    *_, last = run_demo(Models(), load_image(picture).pixels, request)
    assert last.complete
    counting.clear()


def main(way: str, picture: Path) -> None:
    ways: dict[str, Any] = {"page": page, "detect": detect, "purify": purify}
    threading.setprofile(note)
    sys.setprofile(note)
    with contextlib.redirect_stdout(io.StringIO()):
        ways[way](picture)
    sys.setprofile(None)
    print(json.dumps(sorted(str(Path(name).relative_to(ROOT)) for name in entered)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
