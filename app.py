"""CausalCLIP's app: `python app.py`, then open the address that it prints.

GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where it listens; CAUSALCLIP_MODEL names another detector (a folder).
GRADIO_TEMP_DIR says where uploads are kept, CAUSALCLIP_KEPT for how many seconds.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before PyTorch is: spinning threads crawl on a busy machine

from causalclip.room import Room, claim

if __name__ == "__main__":
    ROOM = claim()  # before Gradio is imported: parts of it read only then where to write

import gradio as gr

from causalclip import sessions
from causalclip.batch_tab import build_batch_tab
from causalclip.card import failure
from causalclip.examples import write_examples
from causalclip.explorer_tab import build_explorer_tab
from causalclip.measured_tab import build_measured_tab
from causalclip.memory import give_back, share_arenas
from causalclip.sweeper import Sweeper
from causalclip.tab import build_tab, explain
from purifier.models import Models, shipped
from purifier.tab import build_tab as build_purify_tab

if TYPE_CHECKING:
    from causalclip.detector import Detector

ASSETS = Path(__file__).resolve().parent / "assets"
DETECTOR = os.environ.get("CAUSALCLIP_MODEL", "detector")
WAITING = 16  # requests in the queue at most; further ones are told to come back
LONGEST = 3000  # seconds that a file is kept at most: with the rounds between sweeps, none lives for an hour
INTRO = """# CausalCLIP
Was this picture made by an image generator, and where in it is the evidence?"""
FOOTER = "Pictures are read on this server alone and deleted within the hour; no history is kept."


class LazyDetector:
    """Loads the detector once, at the first call or in the background, and hands it out to all threads.

    Raises:
        WeightsMissing: at every call, while the weights are not there.
    """

    def __init__(self, name: str = DETECTOR) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._detector: Detector | None = None
        self._tried = threading.Event()
        self._problem: Exception | None = None

    def __call__(self) -> Detector:
        with self._lock:
            if self._detector is None:
                from causalclip.detector import Detector  # seconds of imports, after the page is up

                self._detector = Detector.from_pretrained(self.name)
            return self._detector

    def warm_up(self) -> None:
        """Loads the detector and examines a picture once: the first examination of a process is slow."""
        from io import BytesIO

        from PIL import Image

        from causalclip.examination import examine

        try:
            file = BytesIO()
            Image.new("RGB", (400, 300)).save(file, "PNG")
            examine(file.getvalue(), self())
            self._problem = None
        except Exception as error:  # shown on the page; the app goes on without the model
            self._problem = error
        finally:
            self._tried.set()

    def problem(self) -> Exception | None:
        """Why it cannot be used, once warm_up has tried; waits for that."""
        self._tried.wait()
        return self._problem


def build(
    detector: Callable[[], Detector],
    *,
    problem: Callable[[], Exception | None] = lambda: None,
    examples_folder: Path | None = None,
    models: Models | None = None,
) -> gr.Blocks:
    """Builds the whole page.

    Args:
        detector: returns the loaded detector.
        problem: returns why there is none; asked when a page is opened.
        examples_folder: where the examples are written; a new folder by default.
        models: of the Purify tab; without them there is no such tab.
    """
    examples = write_examples(examples_folder or Path(tempfile.mkdtemp(prefix="causalclip-examples-")))

    def notice() -> tuple[dict[str, Any], str]:
        error = problem()
        if error:
            return gr.update(visible=True, value=failure(*explain(error))), ""
        model = detector()
        said = f"Model: {model.name}, revision {model.config.revision}, on {model.config.backbone}."
        return gr.update(visible=False), f"<p class='cc-small'>{escape(said)} {FOOTER}</p>"

    def forget(request: gr.Request) -> None:
        if request.session_hash:
            sessions.forget_state(page, request.session_hash)
            sessions.forget(request.session_hash)

    with gr.Blocks(title="CausalCLIP", analytics_enabled=False) as page:
        gr.Markdown(INTRO)
        banner = gr.HTML(visible=False, elem_id="banner")
        with gr.Tabs():
            with gr.Tab("Detect"):
                build_tab(detector, examples)
            with gr.Tab("Batch"):
                build_batch_tab(detector)
            if models is not None:
                with gr.Tab("Purify"):
                    build_purify_tab(models)
            with gr.Tab("Explore"):
                build_explorer_tab(detector)
            with gr.Tab("How good is it?") as measured:
                build_measured_tab(measured)
        with gr.Accordion("Privacy, and what this cannot tell you", open=False):
            gr.Markdown((ASSETS / "privacy.md").read_text(encoding="utf-8"))
        footer = gr.HTML(elem_id="footer")
        page.load(notice, None, [banner, footer], queue=False, show_progress="hidden", api_visibility="private")
        page.unload(forget)
    page.queue(max_size=WAITING, default_concurrency_limit=4)
    return page


def launch(page: gr.Blocks, **options: Any) -> str:
    """Serves the page in the background and returns its address. `options` are those of gr.Blocks.launch."""
    _, address, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        mcp_server=True,
        max_file_size="20mb",
        footer_links=["api", "settings"],
        theme=_theme(),
        css_paths=[ASSETS / f"{name}.css" for name in ("style", "evidence", "reviewer", "purify")],
        js=(ASSETS / "upload.js").read_text(encoding="utf-8"),
        **options,
    )
    return address


def _theme() -> gr.themes.Base:
    """Colours apart from the maps' two; Gradio's own font files, in whole weights (its semi-bold is a subset)."""
    font = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    return gr.themes.Default(primary_hue="teal", neutral_hue="stone", font=[font, "system-ui", "sans-serif"])


def main(room: Room) -> None:
    logging.basicConfig(level=logging.WARNING)
    share_arenas()
    detector = LazyDetector()
    models = Models(detector=detector, wait=detector.problem) if shipped() else None
    page = build(detector, problem=detector.problem, examples_folder=room.examples, models=models)
    keep(page, room).start()
    print(f"CausalCLIP is ready: open {launch(page)}", flush=True)
    threading.Thread(target=detector.warm_up, daemon=True).start()
    page.block_thread()


def keep(page: gr.Blocks, room: Room) -> Sweeper:
    """Keeps the promise that nothing of a picture outlives the hour, on disk or in memory; to be started."""
    limit = min(float(os.environ.get("CAUSALCLIP_KEPT", LONGEST)), LONGEST)
    chores = partial(sessions.forget_idle, page, limit), sessions.forget_closed, give_back
    return Sweeper(room.folder, limit=limit, spare=[room.examples], chores=chores)


if __name__ == "__main__":
    main(ROOM)
