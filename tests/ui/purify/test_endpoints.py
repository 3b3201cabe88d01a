"""The Purify tab for programs: its endpoints over HTTP, on tiny models."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from causalclip import load_image
from purifier import attacks
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.models import Models
from tests.conftest import HANGS
from tests.makers.models import tiny_models
from tests.makers.pictures import encode, photo
from ui import app
from ui.languages import Page
from ui.places import MODEL, PURIFICATIONS, Priority
from ui.tabs.purify import endpoints
from ui.tabs.purify.tab import build_purify_tab

QUESTION = "Is there a dog?"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Page(analytics_enabled=False) as page:
        build_purify_tab(tiny_models())
    yield Client(app.launch(page), verbose=False)
    page.close(verbose=False)


@pytest.fixture
def picture(tmp_path: Path) -> Any:
    (tmp_path / "a.png").write_bytes(encode(photo(96, 72), "PNG"))
    return handle_file(str(tmp_path / "a.png"))


def test_attack_then_purify_then_ask(
    client: Client, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, speaker = [], Models.speaker
    attacked, facts = client.predict(
        picture, "pgd", 6, 3, "answer", QUESTION, "", 0, api_name="/attack"
    )
    change = np.array(Image.open(attacked)).astype(int) - photo(96, 72)
    # PNG all the way: the budget holds to the last bit
    assert 0 < np.abs(change).max() == facts["linf"] <= 6
    purified, facts = client.predict(handle_file(attacked), 2, api_name="/purify")
    assert facts["steps"] == 2
    assert np.array(Image.open(purified)).shape == (72, 96, 3)
    monkeypatch.setattr(
        Models,
        "speaker",
        lambda models, *, lora_encoder: (
            asked.append(lora_encoder) or speaker(models, lora_encoder=lora_encoder)
        ),
    )
    said = client.predict(handle_file(purified), QUESTION, True, api_name="/ask")
    assert set(said) == {"caption", "answer", "confidence", "sure"}
    assert asked == [True]
    for none in ("", None):
        assert set(client.predict(picture, none, False, api_name="/ask")) == {"caption"}


@pytest.mark.parametrize("name", ["purify", "ask"])
def test_a_call_that_waits_holds_no_pixels(
    client: Client, picture: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture of some kB has 137 MB of them, and twenty calls of one address can wait."""
    read: list[str] = []
    monkeypatch.setattr(endpoints, "load_image", lambda path: read.append(path) or load_image(path))
    with PURIFICATIONS.ask(Priority.ATTACK), PURIFICATIONS.ask(Priority.ATTACK):
        asked = client.submit(picture, api_name=f"/{name}")
        until = time.monotonic() + HANGS
        while not PURIFICATIONS._waiting and time.monotonic() < until:
            time.sleep(0.02)
        assert PURIFICATIONS._waiting
        assert not read
    asked.result(HANGS)
    assert read


def test_a_verdict_goes_in_between_two_tiles_of_a_purification(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strip has dozens of tiles, half a second each: nobody waits for all of them."""
    (tmp_path / "strip.png").write_bytes(encode(photo(2400, 64), "PNG"))
    reached, wanted, seen, tiles = threading.Event(), threading.Event(), list[int](), list[int]()
    network = PurifierPipeline._velocity

    def velocity(pipeline: Any, pixels: Any, t: Any) -> Any:
        def count(*_: Any) -> None:
            tiles.append(1)
            reached.set()
            assert wanted.wait(HANGS)

        hook = pipeline.unet.register_forward_pre_hook(count)
        try:
            return (yield from network(pipeline, pixels, t))
        finally:
            hook.remove()

    monkeypatch.setattr(PurifierPipeline, "_velocity", velocity)
    asked = client.submit(handle_file(str(tmp_path / "strip.png")), 3, True, api_name="/purify")
    assert reached.wait(HANGS)
    verdict = MODEL.ask(Priority.VERDICT)
    wanted.set()
    with verdict:
        list(verdict.waits())
        seen.append(len(tiles))
        time.sleep(0.1)
        assert len(tiles) == seen[0]
    purified, _ = asked.result(HANGS)
    assert seen == [1]
    assert len(tiles) > 12
    assert Image.open(purified).size == (2400, 64)


def test_an_attack_ends_within_two_steps_once_its_program_has_left(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it hold a place any more."""
    made: list[int] = []
    begun, go_on = threading.Event(), threading.Event()
    steps = attacks.attack_steps

    def slow(*given: Any) -> Iterator[Any]:
        for state in steps(*given):
            made.append(state.step)
            begun.set()
            go_on.wait(HANGS)
            time.sleep(0.3)
            yield state

    monkeypatch.setattr(attacks, "attack_steps", slow)
    with httpx.Client(base_url=client.src, timeout=HANGS) as program:
        files = {"files": ("a.png", encode(photo(96, 72), "PNG"))}
        [path] = program.post("gradio_api/upload", files=files).json()
        values = [{"path": path}, "pgd", 8, 100, "caption", "", "", 0]
        asked = program.post("gradio_api/call/attack", json={"data": values}).json()
        with program.stream("GET", f"gradio_api/call/attack/{asked['event_id']}"):
            assert begun.wait(HANGS)
    go_on.set()
    until = time.monotonic() + HANGS
    while PURIFICATIONS._inside and time.monotonic() < until:
        time.sleep(0.05)
    assert not PURIFICATIONS._inside
    assert len(made) <= 3


def test_errors_over_http_are_sentences(client: Client, picture: Any) -> None:
    with pytest.raises(AppError, match="needs a question"):
        client.predict(picture, "pgd", 6, 3, "answer", "", "", 0, api_name="/attack")
    with pytest.raises(AppError, match="Send a picture"):
        client.predict(None, 1, api_name="/purify")
    for steps in (-1, 0, 6, 1e9, None):
        with pytest.raises(AppError, match="1 to 5 steps"):
            client.predict(picture, steps, api_name="/purify")
    for eps, steps in ((6, -1), (None, 3), (6, None)):
        with pytest.raises(AppError, match="the steps 1 to 200"):
            client.predict(picture, "pgd", eps, steps, "caption", "", "", 0, api_name="/attack")
    with pytest.raises(Exception, match="at most 200 characters"):
        client.predict(picture, "x" * 201, False, api_name="/ask")
