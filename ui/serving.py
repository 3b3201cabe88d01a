"""The page's serving: style, scripts, and the options of Gradio that keep its promises."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import Route

from causalclip.images.formats import MAX_BYTES
from causalclip.images.sandbox import missing_protections
from causalclip.paths import shipped_folder
from causalclip.settings import read_settings
from ui.detector import forget_choices
from ui.jobs import cancel_jobs
from ui.languages import Languages
from ui.panel import forget_requests
from ui.server import uploads
from ui.server.gate import Gate, Refused, refuse
from ui.server.offline import stay_offline
from ui.server.senders import is_on_space, is_this_machine
from ui.server.token import check_sender

ASSETS = shipped_folder("assets")
STYLES = "style", "evidence", "reviewer", "purify", "review", "reference"
SCRIPTS = "address", "upload", "keys", "stale", "part", "answer", "mask", "erase"
# Pages whose state Gradio keeps, 0.7 MB each; the one that was used longest ago goes first.
SESSIONS = 200
REFUSED = (
    "The app does not listen on {address}: others could reach it there, and it is not made for "
    "slow and many clients. Put a proxy before it (docs/hosting.md) and name that one in "
    "FORWARDED_ALLOW_IPS, or set CAUSALCLIP_EXPOSED=1 if whoever can reach that address is meant "
    "to, such as inside a container of your own."
)
UNPROTECTED = (
    "This system has no {missing}: the process that decodes pictures is held by less. SECURITY.md "
    "says what a hole in a decoder could reach then."
)
SANDBOX_REQUIRED = (
    "The app does not start: CAUSALCLIP_REQUIRE_SANDBOX=1 asks for a process that decodes pictures "
    "under Landlock and seccomp, and this system has no {missing}. Run it on Linux 5.13 or newer, "
    "on x86-64 or 64-bit ARM, or unset the variable (SECURITY.md says what a hole in a decoder "
    "could reach then)."
)
CONNECTIONS = 16_384
THREADS = 100  # for the page's functions, many of which wait; files and uploads have 40 more


def launch(page: gr.Blocks, *, routes: Sequence[Route] = (), **options: Any) -> str:
    """Serve the page in the background and return its address.

    Where others could reach it, and nobody has said that they may, the program ends. Never mount
    the page into another app (gr.mount_gradio_app): Gradio 6.31 then serves any file of the host.

    Args:
        routes: beside Gradio's own, which come after them.
        options: of gr.Blocks.launch.
    """
    refuse_exposure(options.get("server_name"))
    check_sandbox()
    stay_offline()
    _open_many()
    _describe_once(page)
    _app, address, _shared = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        mcp_server=False,
        app_kwargs={
            "routes": [*uploads.routes(), *routes],
            "exception_handlers": {Refused: refuse},
            "middleware": [
                Middleware(Languages),
                Middleware(Gate, page=page, check_api=check_sender, on_leave=cancel_jobs),
            ],
        },
        state_session_capacity=SESSIONS,
        max_threads=THREADS,
        max_file_size=f"{MAX_BYTES >> 20}mb",
        footer_links=["api"],
        theme=theme(),
        css_paths=[ASSETS / f"{name}.css" for name in STYLES],
        js=_script(),
        **options,
    )
    return str(address)


def _describe_once(page: gr.Blocks) -> None:
    """Have each part of the page described once, and not again for every session.

    Gradio 6.31 does that where all requests are answered, when a session asks for the first time:
    0.15 s of this page, in which nobody else gets an answer, and 80 calls are 80 sessions.
    """
    for part in page.blocks.values():
        part.get_config = partial(dict, part.get_config())  # type: ignore[method-assign]


def close_page(request: gr.Request) -> None:
    """Forget what a page has that is being closed: its runs, its choices and its files."""
    session = request.session_hash or ""
    forget_requests(session)
    cancel_jobs(session)
    forget_choices(session)
    uploads.close(session)


def refuse_exposure(listens_on: str | None) -> None:
    """End the program with a sentence where others could reach it, and nobody has said they may.

    On a Space, and where FORWARDED_ALLOW_IPS names a proxy (as in a network of containers), there
    is one before it.

    Args:
        listens_on: an address; None for what GRADIO_SERVER_NAME says, or else 127.0.0.1.
    """
    settings = read_settings()
    listens_on = listens_on or settings.server_name
    proxies = set(settings.proxies) - {"*"}
    behind_a_proxy = not all(map(is_this_machine, proxies)) or is_on_space()
    if not (is_this_machine(listens_on) or behind_a_proxy or settings.exposed):
        raise SystemExit(REFUSED.format(address=listens_on))


def check_sandbox() -> None:
    """Say what this system lacks of what holds the process that decodes pictures; end the program
    where CAUSALCLIP_REQUIRE_SANDBOX=1 asks for all of it."""
    missing = " and no ".join(missing_protections())
    if missing and read_settings().require_sandbox:
        raise SystemExit(SANDBOX_REQUIRED.format(missing=missing))
    if missing:
        print(UNPROTECTED.format(missing=missing), flush=True)


def _open_many() -> None:
    """Let this process have as many connections as the system allows it.

    1,024 is usual, and where none is left, nobody gets in and asyncio logs that without end.
    """
    # Not on Windows; elsewhere the system may have its own rule.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _script() -> str:
    pieces = [(ASSETS / f"{name}.js").read_text(encoding="utf-8").strip() for name in SCRIPTS]
    return f"() => {{ {' '.join(f'({piece})();' for piece in pieces)} }}"


def theme() -> gr.themes.Base:
    """Return the page's theme: colours apart from the maps' two, and four sizes of type.

    The fonts are Gradio's own files, in whole weights: its semi-bold is a subset. More is in
    assets/style.css.
    """
    font = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    sizes = gr.themes.Size(*("12px",) * 3, *("14px",) * 2, "18px", "28px", name="cc")  # xxs to xxl
    return gr.themes.Default(
        primary_hue="teal",
        neutral_hue="stone",
        font=[font, "system-ui", "sans-serif"],
        text_size=sizes,
    )
