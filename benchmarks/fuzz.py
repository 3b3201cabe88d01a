"""Calls of /api/v1 that are made up from its own document, good and bad ones.

The routes stand behind the app's own doors, without Gradio, and a small random detector answers: what is tried is the
doors and not the model. Every answer must be one that the document names, in the form that it names, and never a 500.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from typing import Any

from benchmarks.common import Options

CALLS = 2000
SEED = 36
HOST = "127.0.0.1"
ORIGIN = "chrome-extension://abcdefghijklmnop"  # only an extension is paired


def measure(options: Options) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        os.environ["CAUSALCLIP_PAIRED"] = f"{folder}/paired.json"
        return fuzz(options.pictures or CALLS)


def fuzz(calls: int) -> dict[str, Any]:
    """Makes so many calls, and counts their answers."""
    import gradio as gr
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    from tests.makers.detectors import tiny_detector
    from ui.api import routes
    from ui.pairing import PAIRINGS
    from ui.server.middleware import Middleware as Guard
    from ui.server.sessions import Sessions

    detector, page = tiny_detector(), gr.Blocks()
    guards = [Middleware(Guard, sessions=Sessions(page), pairings=PAIRINGS)]
    return _Fuzz(Starlette(routes=routes(lambda: detector), middleware=guards)).run(calls)


class _Fuzz:
    """Calls of an app, and what they came to."""

    def __init__(self, app: Any) -> None:
        import schemathesis
        from schemathesis import checks

        _register_pictures()
        self.version = schemathesis.__version__
        self.schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"Host": HOST})
        self.checks: list[Any] = [checks.not_a_server_error]
        self.checks += checks.CHECKS.get_by_names(
            ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
        )
        self.answers: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def run(self, calls: int) -> dict[str, Any]:
        """Half of the calls for each operation, half of those good."""
        import hypothesis
        from schemathesis import GenerationMode

        settings = hypothesis.settings(
            max_examples=calls // 4, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
        )
        operation: Any
        for operation in self.schema.get_all_operations():
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                cases = operation.ok().as_strategy(generation_mode=mode)
                hypothesis.seed(SEED)(settings(hypothesis.given(case=cases)(self.ask)))()
        return {
            "schemathesis": self.version,
            "seed": SEED,
            "calls": self.answers.total(),
            "server_errors": sum(n for name, n in self.answers.items() if name.endswith(" 500")),
            "answers": dict(sorted(self.answers.items())),
            "not as described": dict(self.wrong),
        }

    def ask(self, case: Any) -> None:
        """One call."""
        if case.path.endswith("/pair"):
            case.headers = {**(case.headers or {}), "Origin": ORIGIN}
        answer = case.call(headers={"Host": HOST})
        self.answers[f"{case.path} {answer.status_code}"] += 1
        for check in self.checks:
            try:
                case.validate_response(answer, checks=[check])
            except Exception as error:  # counted, as one finding must not end the others
                self.wrong[f"{case.path} {answer.status_code}: {type(error).__name__} by {check.__name__}"] += 1


def _register_pictures() -> None:
    import schemathesis
    from hypothesis import strategies
    from PIL import Image

    from tests.makers.pictures import encode, photo

    whole = [encode(photo(width, 96), kind) for width, kind in ((128, "PNG"), (96, "JPEG"), (20, "PNG"))]
    whole.append(encode(Image.new("RGB", (96, 96), "white"), "PNG"))  # gets no answer
    damaged = [whole[0][:500], whole[1][:-40] + bytes(40), b"GIF89a", b""]
    pictures = strategies.sampled_from([*whole, *damaged]) | strategies.binary()
    schemathesis.openapi.media_type("image/jpeg", pictures)
