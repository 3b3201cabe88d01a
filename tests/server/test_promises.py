"""The promises of SECURITY.md, README's Privacy and docs/hosting.md, sentence by sentence, and the
tests that hold them. Those that no other file has are here.

Tests without a file are in tests/acceptance/test_attacks.py (`test_7` and so on) or in this one,
and files without a folder in tests/server or tests/causalclip/images.

SECURITY.md, What is promised
    Listens on 127.0.0.1, elsewhere where the host says so: ui/test_process.py
        test_elsewhere_it_listens_only_where_who_runs_it_says_so
    1. Sent nowhere else: ui/test_app.py test_a_picture_causes_no_traffic_and_no_trace_in_the_log;
        ui/test_process.py test_no_library_reaches_another_machine, test_no_name_is_looked_up
       Two cases alone: test_the_hub_is_reached_for_a_model_that_the_host_has_named_alone;
        ui/test_process.py test_only_who_lends_a_card_is_reached_beside_this_machine
       The process that decodes: test_sandbox.py test_a_child_that_is_taken_over_*,
        test_a_child_is_held_by_the_kernel_before_it_reads_a_file
    2. The random name: test_1_*; test_uploads.py test_equal_files_lie_apart_and_names_lead_nowhere
       An answer goes to whoever asked: test_6_*, test_20_*; by cookie or address: test_senders.py
        test_a_session_belongs_to_whoever_named_it_first
    3. With the page, unless another uses it: test_13_what_a_page_has_used_goes_when_it_closes;
        test_uploads.py test_a_page_takes_its_files_with_it_and_no_others
       Within an hour of the upload: test_13_nothing_outlives_its_time, test_19_*; ui/test_app.py
        test_nothing_lives_longer_than_an_hour; browser/test_keeping.py; test_uploads.py
        test_what_is_made_of_an_upload_goes_with_it
       With the app, after a kill at the next start: ui/test_process.py
        test_it_goes_with_its_process, test_after_a_kill_the_next_start_is_clean
    4. Not logged: test_12_*; ui/test_process.py
        test_type_and_place_are_logged_and_messages_are_not; ui/test_app.py
        test_a_fault_of_ours_is_logged_without_its_message; deploy/test_nginx.py
        test_nothing_of_an_upload_is_logged_where_the_disk_fails
    5. A verdict or a sentence, 15 s and 750 MB: test_7_each_bomb_gets_a_verdict_or_a_sentence;
        causalclip/images/test_fuzz.py; test_sandbox.py test_a_limit_of_memory_ends_it,
        test_a_limit_of_time_ends_it
       A zip: test_unpacking_a_zip_ends_at_its_limit_of_time
    6. Four of one address and 32 of all, others between: test_places.py; a job that has a place:
        test_jobs.py test_only_work_that_holds_nothing_yet_is_refused
       /api/v1 and Gradio's endpoints: test_programs_wait_as_pages_do
       Room: test_9_for_room_the_oldest_of_whoever_sent_most_go
       Requests that are not answered: test_bodies.py;
        test_pictures_of_programs_count_until_they_are_answered
    7. nginx: deploy/test_nginx.py; all attacks run behind it, too

SECURITY.md, Where a byte of an upload may be (by row)
    A file without a name: test_a_connection_that_breaks_leaves_no_bytes
    run folder/uploads: as promise 3; "Your pictures": ui/test_reference.py
        test_a_portion_is_judged_counted_and_deleted_at_once
    A job: test_jobs.py test_work_whose_reader_left_ends_where_it_waits,
        test_the_jobs_of_a_session_that_has_left_end
    What a page keeps: test_what_a_page_keeps_is_kept_for_less_than_an_hour,
        test_what_a_page_keeps_goes_after_its_time
    What a page has shown: test_the_page_that_was_used_longest_ago_is_forgotten_first
    A process with limits: test_sandbox.py
        test_a_child_that_is_taken_over_and_sleeps_ends_with_its_call
    nginx: deploy/test_nginx.py test_nothing_of_a_buffered_upload_is_logged_or_left
    A profile, until the page closes: ui/test_reference.py
        test_a_page_that_was_closed_is_forgotten_and_pages_have_a_limit

README.md, Privacy: promises 1, 3 and 4, and the row of what a page has shown.

docs/hosting.md
    Needs no network, keeps nothing but the token: ui/test_app.py
        test_a_picture_causes_no_traffic_and_no_trace_in_the_log (by the files that it writes, too);
        ui/test_mcp.py test_the_token_is_made_once_and_only_its_owner_can_read_it
    A value that makes no sense is refused: causalclip/test_settings.py
    nginx's limits of connections, calls, uploads and sizes, its log: deploy/test_nginx.py
    Programs and extensions send the token: deploy/test_nginx.py test_programs_bring_the_token;
        ui/test_mcp.py test_an_extension_needs_the_token_and_a_program_does_not
    /healthz: test_the_app_says_whether_its_detector_is_loaded
"""

import gc
import io
import json
import os
import socket
import sys
import weakref
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from causalclip.images import zips
from tests.acceptance.attacker import answer_to, ask, picture, send
from tests.makers.pictures import encode, photo
from tests.serving import until
from ui import app, serving
from ui.places import FILES, MAX_WAITING_OF_ONE, Priority
from ui.server import bodies, monitoring
from ui.server.calls import Calls
from ui.server.offline import OfflineError, stay_offline
from ui.server.senders import Client, Refused, asking
from ui.server.values import MAX_TEXT

PICTURE = encode(photo(300, 200), "PNG")
YOURS = "full of your own requests"

# 1. Another machine -------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["", "owner/model"])
def test_the_hub_is_reached_for_a_model_that_the_host_has_named_alone(named: str) -> None:
    stay_offline()

    def warm_up() -> None:
        with pytest.raises(OSError, match=r".") as failed:
            socket.getaddrinfo("no-such-name.invalid", 443)
        assert isinstance(failed.value, OfflineError) == (not named)

    app._load(SimpleNamespace(other=named, warm_up=warm_up))  # type: ignore[arg-type]


# 3. What is kept ----------------------------------------------------------------------------------


def unnamed_files() -> int:
    """Count the files without a name that this process has open."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # that of the list itself
            continue
    return sum(link.endswith(" (deleted)") for link in links)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a file has no name")
@pytest.mark.parametrize(
    ("path", "field"), [("gradio_api/upload", b"files"), ("api/v1/examine", b"picture")]
)
def test_a_connection_that_breaks_leaves_no_bytes(tiny_app: str, path: str, field: bytes) -> None:
    place, before = urlsplit(tiny_app), unnamed_files()
    head = (
        f"POST /{path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 900000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    part = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="x.jpg"\r\n\r\n' % field
    with socket.create_connection((place.hostname, place.port)) as sender:
        sender.sendall(head.encode() + part + bytes(200_000))
        assert until(lambda: unnamed_files() > before)
    assert until(lambda: unnamed_files() <= before)


def test_what_a_page_keeps_is_kept_for_less_than_an_hour(
    whole_page: tuple[gr.Blocks, Any, str],
) -> None:
    """But for numbers, such as that of the example that was chosen."""
    states = [part for part in whole_page[0].blocks.values() if isinstance(part, gr.State)]
    holding = [state for state in states if not is_made_of_numbers(state.value)]
    assert len(holding) > 5
    assert all(state.time_to_live < 3600 for state in holding)


def is_made_of_numbers(value: Any) -> bool:
    numbers = value if isinstance(value, tuple) else (value,)
    return bool(numbers) and all(isinstance(number, int) for number in numbers)


class SessionValue:
    """Something that a page keeps."""


@contextmanager
def keeping(seconds: float | None) -> Iterator[tuple[Callable[[], None], list[Any]]]:
    """A page that keeps something for each session: what begins one, and weak references."""
    kept: list[Any] = []

    def keep() -> SessionValue:
        value = SessionValue()
        kept.append(weakref.ref(value))
        return value

    with gr.Blocks() as page:
        state = gr.State(time_to_live=seconds)
        gr.on([], keep, None, state, api_name="keep")
    address = serving.launch(page)

    def begin() -> None:
        with httpx.Client(base_url=address) as http:
            assert answer_to(http, "keep")[0]

    try:
        yield begin, kept
    finally:
        page.close(verbose=False)


def is_gone(reference: Any) -> bool:
    gc.collect()
    return reference() is None


def test_what_a_page_keeps_goes_after_its_time() -> None:
    """Gradio deletes it; here after half a second."""
    with keeping(0.5) as (begin, kept):
        begin()
        assert until(lambda: is_gone(kept[0]))


def test_the_page_that_was_used_longest_ago_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of more pages than the app remembers: 200, here 3."""
    monkeypatch.setattr(serving, "SESSIONS", 3)
    with keeping(None) as (begin, kept):
        for _ in range(5):
            begin()
        assert until(lambda: is_gone(kept[0]) and is_gone(kept[1]))
        assert not any(map(is_gone, kept[2:]))


# 5. Limits ----------------------------------------------------------------------------------------


def test_unpacking_a_zip_ends_at_its_limit_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its members may be of 600 MB; 20 s are made a twentieth of a second."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(zips.MAX_PICTURES):
            archive.writestr(f"{number}.jpg", bytes(2**20))
    name, content = next(zips.read_zip(file.getvalue()))
    assert (name, len(content)) == ("0.jpg", 2**20)  # type: ignore[arg-type]
    monkeypatch.setattr(zips, "SECONDS", 0.05)
    with pytest.raises(zips.ZipError, match="too long"):
        list(zips.read_zip(file.getvalue()))


# 6. Who waits -------------------------------------------------------------------------------------


@contextmanager
def others_are_inside() -> Iterator[None]:
    """The places for what a file says are taken by two other addresses."""
    with ExitStack() as held:
        for address in ("192.0.2.8", "192.0.2.9"):
            reset = asking.set(Client(address))
            stay = held.enter_context(FILES.ask(Priority.VERDICT))
            asking.reset(reset)
            list(stay.waits())
        yield


def examine(address: str) -> httpx.Response:
    form: dict[str, Any] = {"files": {"picture": ("x.png", PICTURE)}, "data": {"stability": "no"}}
    return httpx.post(f"{address}api/v1/examine", **form)


def test_programs_wait_as_pages_do(tiny_app: str) -> None:
    """Four of an address, by /api/v1 or Gradio's endpoints; the others are told in a sentence."""
    with ThreadPoolExecutor(MAX_WAITING_OF_ONE) as pool, httpx.Client(base_url=tiny_app) as http:
        path = send(http, PICTURE, "x.png")
        with others_are_inside():
            waiting = [pool.submit(examine, tiny_app) for _ in range(MAX_WAITING_OF_ONE)]
            assert until(lambda: len(FILES._waiting) == MAX_WAITING_OF_ONE)
            refused = examine(tiny_app)
            assert (refused.status_code, YOURS in refused.json()["error"]) == (429, True)
            is_answered, told = answer_to(http, "provenance", picture(path))
            assert (is_answered, YOURS in told) == (False, True)
        assert [call.result().status_code for call in waiting] == [200] * MAX_WAITING_OF_ONE


def test_a_waiting_call_that_gradio_has_forgotten_costs_nobody_else_an_answer(
    tiny_page: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio lets 64 calls run, here two, and remembers 2,000 sessions: whoever names as many
    pushes out those of calls that wait."""
    page, address = tiny_page
    with httpx.Client(base_url=address) as http:
        path = send(http, PICTURE, "x.png")
        assert answer_to(http, "provenance", picture(path))[0]
        runs = page._queue.event_queue_per_concurrency_id["runs"]
        monkeypatch.setattr(runs, "concurrency_limit", 2)
        with others_are_inside():
            calls = [ask(http, "provenance", picture(path)) for _ in range(4)]
            assert until(lambda: len(FILES._waiting) == len(runs.queue) == 2)
            for call in calls:
                del page._queue.pending_messages_per_session[call.json()["event_id"]]
        assert until(lambda: page._queue.stopped or not len(page._queue))
        assert answer_to(http, "provenance", picture(path))[0]


def test_pictures_of_programs_count_until_they_are_answered(
    tiny_app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_ARRIVING_OF_ONE", 5 * len(PICTURE) // 2)
    with ThreadPoolExecutor(2) as pool:
        with others_are_inside():
            waiting = [pool.submit(examine, tiny_app) for _ in range(2)]
            assert until(lambda: len(FILES._waiting) == 2)
            refused = examine(tiny_app)
            assert (refused.status_code, YOURS in refused.json()["error"]) == (429, True)
        assert [call.result().status_code for call in waiting] == [200, 200]
    assert examine(tiny_app).status_code == 200


# Attack 15, field by field ------------------------------------------------------------------------

ODD = (float("nan"), 1e308, [["x"]], {"a": 1}, "x" * (MAX_TEXT + 1), "../../x", True, -1)
TAKEN = {  # of these, by what a field is
    gr.State: ODD,  # it is dropped
    gr.Textbox: ("../../x",),
    gr.HTML: ("../../x",),
    gr.DateTime: ("../../x",),
    gr.Checkbox: (True,),
    gr.Number: (-1,),
    gr.Slider: (-1,),
}


def test_each_field_of_each_function_refuses_odd_values_with_a_sentence(
    whole_page: tuple[gr.Blocks, Any, str],
) -> None:
    """The other fields of each call are as a new page has them."""
    page = whole_page[0]
    calls, refusals = Calls(page), 0
    for number, function in page.fns.items():
        if not function.fn:  # it runs in the browser
            continue
        usual = [
            block.value if isinstance(block, gr.Number | gr.Slider) else None
            for block in function.inputs
        ]
        call: dict[str, Any] = {"fn_index": number, "session_hash": "page"}
        assert refusal(calls, call | {"data": usual}) is None
        for place, block in enumerate(function.inputs):
            taken = next((odd for kind, odd in TAKEN.items() if isinstance(block, kind)), ())
            for value in ODD:
                data = [*usual[:place], value, *usual[place + 1 :]]
                refused = refusal(calls, call | {"data": data})
                if refused is None:
                    assert value in taken, (function.api_name, block.label, str(value)[:50])
                else:
                    assert (refused.status, refused.sentence[-1]) == (422, ".")
                    refusals += 1
    assert refusals > 1000


def refusal(calls: Calls, body: dict[str, Any]) -> Refused | None:
    """Return how a call is refused; None for one that is let in."""
    try:
        calls.read(json.dumps(body).encode(), "")
    except Refused as refused:
        return refused
    return None


# docs/hosting.md ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_loaded", "status"), [(False, 503), (True, 200)])
def test_the_app_says_whether_its_detector_is_loaded(*, is_loaded: bool, status: int) -> None:
    client = TestClient(Starlette(routes=monitoring.routes(lambda: is_loaded)))
    assert client.get("/healthz").status_code == status
