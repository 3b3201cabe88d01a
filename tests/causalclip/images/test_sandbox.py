"""A file is parsed by a process of its own, which answers, or ends at its limits, and leaves
nothing behind.

SECURITY.md's promise 1 (the process that decodes) and 5 (limits), and its attacks 8 and 17: the
tests of a child that is taken over.
"""

import ast
import ctypes
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from causalclip.images import decoding, landlock, sandbox, seccomp, wire, zips
from causalclip.images.formats import MAX_PIXELS, ImageError
from causalclip.images.loading import load_image
from causalclip.images.sandbox import TooCostly, call, stream
from causalclip.languages import speaking
from causalclip.provenance.reading import read_provenance, read_stepwise
from tests.makers import takeover
from tests.makers.cost import slowness
from tests.makers.metadata_files import empty_boxes, make_authority, sign, swollen
from tests.makers.pictures import encode, photo
from tests.serving import until

PICTURE = photo()
TIFF = encode(PICTURE, "TIFF")
LARGE = encode(photo(1200, 900), "TIFF")


@pytest.fixture(
    params=[True, False] if sys.platform == "linux" else [False], ids=lambda forks: f"forks={forks}"
)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Forked, or by a worker that stays."""
    monkeypatch.setattr(sandbox, "FORKS", request.param)
    monkeypatch.setattr(sandbox, "_idle", [])
    yield request.param
    for worker in sandbox._idle:
        worker.kill()


def decoded(data: bytes = TIFF) -> np.ndarray:
    with stream(decoding.decode_in_turn, data, "TIFF", MAX_PIXELS) as items:
        return list(items)[-1][0]


def test_answers_come_back_one_after_the_other(way: bool) -> None:
    for _ in range(2):
        pixels = decoded()
        assert np.array_equal(pixels, PICTURE)
        assert pixels.flags.writeable
    assert len(sandbox._idle) == (0 if way else 1)


def test_errors_come_back_in_the_language_of_who_asks(way: bool) -> None:
    with pytest.raises(zips.ZipError, match="cut short or damaged"):
        call(zips.unpack, b"PK", 5)
    with speaking("de"), pytest.raises(zips.ZipError, match="abgeschnitten oder besch"):
        call(zips.unpack, b"PK", 5)


def test_other_errors_and_other_modules_are_ours(way: bool) -> None:
    with pytest.raises(RuntimeError, match="AttributeError"):
        call(zips.count_members, 1)
    with pytest.raises(RuntimeError, match="sandbox failed"):
        call(subprocess.getoutput, "true")


def test_a_limit_of_memory_ends_it() -> None:
    signed = sign(
        encode(PICTURE, "PNG"),
        make_authority(),
        {"label": "org.test.x", "data": {}},
        mime="image/png",
    )
    bomb = swollen(signed, 2**22)
    with pytest.raises(TooCostly), stream(read_stepwise, bomb, "PNG", memory=100 * 2**20) as steps:
        list(steps)
    assert np.array_equal(decoded(), PICTURE)


def test_a_limit_of_time_ends_it(way: bool) -> None:
    started = time.monotonic()
    with (
        pytest.raises(TooCostly),
        stream(read_stepwise, empty_boxes(1, count=100_000), "HEIC", seconds=0.3) as steps,
    ):
        list(steps)
    assert time.monotonic() - started < 10 * slowness()
    assert np.array_equal(decoded(), PICTURE)


def sent(value: Any, *parts: bytes) -> io.BytesIO:
    """A message as whoever has taken a sandbox over can write it."""
    whole = [json.dumps(value).encode(), *parts]
    sizes = b"".join(struct.pack(">Q", len(part)) for part in whole)
    return io.BytesIO(struct.pack(">I", len(whole)) + sizes + b"".join(whole))


HOSTILE = (
    {"is": "data", "module": "subprocess", "name": "Popen", "of": {"args": ["true"]}},
    {"is": "error", "module": "os", "name": "system", "sentence": "true"},
    {"is": "data", "module": "causalclip.images.sandbox", "name": "_Worker", "of": {}},
    {"is": "error", "module": "causalclip.images.sandbox", "name": "warm_up", "sentence": ""},
    {"is": "data", "module": "causalclip.images.wire", "name": "np.memmap", "of": {}},
    {"is": "large", "number": 9, "shape": [1]},
    {"is": "large", "number": 0, "shape": [-5, 7]},
    {"is": "eval"},
    {"path": "/etc/passwd"},
)


@pytest.mark.parametrize("value", HOSTILE, ids=str)
def test_nothing_but_results_is_made_of_what_comes_back(value: Any) -> None:
    with pytest.raises(ValueError, match=r"No message|reshape"):
        wire.receive(sent(value, b"abc"))


@pytest.mark.parametrize("sizes", [(), (2**25,), (10, 2**29), (10, *[2**28] * 3), (2**63,) * 9])
def test_a_message_that_would_fill_the_memory_is_not_read(sizes: tuple[int, ...]) -> None:
    head = struct.pack(">I", len(sizes)) + b"".join(struct.pack(">Q", size) for size in sizes)
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(head))


def test_what_goes_and_what_comes_are_the_same() -> None:
    signed = sign(encode(PICTURE, "PNG"), make_authority(), mime="image/png")
    found = read_provenance(signed, "PNG")
    for value in (found, (None, 1.5, "x", True, b"\0" * 9), [("a", zips.ZipError("It is empty."))]):
        stream = io.BytesIO()
        wire.send(stream, value)
        stream.seek(0)
        assert repr(wire.receive(stream)) == repr(value)
    with pytest.raises(TypeError, match="sends no set"):
        wire.send(io.BytesIO(), {1})


linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


def server() -> psutil.Process:
    """The process that forks the sandboxes; other tests of this process have children, too, such as
    browsers."""
    living = (child for child in psutil.Process().children() if not has_ended(child))
    (found,) = (child for child in living if "fork_forever" in " ".join(child.cmdline()))
    return found


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, also where nobody has waited for it yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return True


@linux
def test_a_child_holds_nothing_but_its_own_connection_and_ends_with_it() -> None:
    """Neither the way to ask for more, nor the connection of a picture that is decoded at the same
    time."""
    decoded()
    children = server().children
    before = set(children())
    with stream(decoding.decode_in_turn, TIFF, "TIFF", MAX_PIXELS) as first:
        next(first)
        assert until(lambda: set(children()) - before)
        [child] = set(children()) - before
        with stream(decoding.decode_in_turn, TIFF, "TIFF", MAX_PIXELS) as second:
            next(second)
            assert until(lambda: set(children()) - before - {child})
            [other] = set(children()) - before - {child}
            for process in (child, other):
                descriptors = f"/proc/{process.pid}/fd"
                opened = {
                    int(fd): os.readlink(f"{descriptors}/{fd}") for fd in os.listdir(descriptors)
                }
                assert sorted(opened) == [0, 1, 2, 3]
                assert opened[3].endswith("/statm")  # its own: what it takes of memory
        assert until(lambda: not other.is_running() and child.is_running())
    assert until(lambda: not child.is_running())


@linux
def test_another_server_is_started_where_one_was_killed() -> None:
    decoded()
    killed = server()
    killed.kill()
    assert until(lambda: has_ended(killed))
    assert np.array_equal(decoded(), PICTURE)


@linux
def test_it_ends_with_the_process_that_started_it() -> None:
    code = (
        "import psutil; from causalclip.images.loading import load_image; from "
        "tests.makers.pictures import *;load_image(encode(photo(96, 90), 'TIFF')); "
        "print(psutil.Process().children()[0].pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    try:
        left = psutil.Process(int(done.stdout))
    except psutil.NoSuchProcess:
        return
    assert until(lambda: has_ended(left))


@pytest.fixture
def taken_over(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of its own, whose children also run what somebody who has taken them over would."""
    monkeypatch.setenv("CAUSALCLIP_TOKEN", "the host's secret")
    code = (
        "from causalclip.images import sandbox; sandbox.MODULES += 'tests.makers.takeover',; "
        "sandbox.fork_forever()"
    )

    servers = []

    def spawn(function: str, **streams: int) -> subprocess.Popen[bytes]:
        environment = sandbox._environment()
        servers.append(subprocess.Popen([sys.executable, "-c", code], env=environment, **streams))
        return servers[-1]

    monkeypatch.setattr(sandbox, "_control", None)
    monkeypatch.setattr(sandbox, "_spawn", spawn)
    yield
    sandbox._control.close()
    for started in servers:
        started.wait(20)


@linux
def test_a_child_that_is_taken_over_opens_nothing_and_connects_nowhere(
    taken_over: None, tmp_path: Path
) -> None:
    (tmp_path / "there").write_bytes(b"another's")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        given = str(tmp_path), listening.getsockname()[1]
        assert len(takeover.with_a_descriptor(*given)) > 4  # that they can be done at all
        (tmp_path / "new").unlink()
        assert not call(takeover.with_a_descriptor, *given)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@linux
def test_a_child_that_is_taken_over_ends_with_the_app(taken_over: None) -> None:
    """Also where it sleeps, and so reaches no limit."""
    call(takeover.whole_environment)
    children = psutil.Process().children
    before = set(children(recursive=True))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(call, takeover.sleep_on)
        assert until(lambda: set(children(recursive=True)) - before)
        [child] = set(children(recursive=True)) - before
        sandbox._control.close()
        assert until(lambda: has_ended(child))
        with pytest.raises(TooCostly):
            answer.result()


@linux
def test_a_child_that_is_taken_over_and_sleeps_ends_with_its_call(taken_over: None) -> None:
    call(takeover.whole_environment)
    children = psutil.Process().children
    before = set(children(recursive=True))
    with pytest.raises(TooCostly), stream(takeover.sleep_on, patience=1.0) as items:
        next(items)
    assert until(lambda: not set(children(recursive=True)) - before)


@linux
def test_a_child_that_is_taken_over_knows_no_secret_of_the_host(taken_over: None) -> None:
    assert "the host's secret" not in call(takeover.whole_environment)


@pytest.mark.skipif(landlock.version() < 1, reason="this kernel has no Landlock")
def test_a_child_that_is_taken_over_changes_nothing_by_a_path(
    taken_over: None, tmp_path: Path
) -> None:
    (tmp_path / "there").write_bytes(b"another's")
    assert not call(takeover.by_a_path, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.skipif(landlock.version() < 6, reason="this kernel's Landlock leaves signals alone")
def test_a_child_that_is_taken_over_ends_no_other_process(taken_over: None) -> None:
    assert not call(takeover.by_a_signal, os.getpid())


@pytest.fixture
def another() -> Iterator[tuple[int, int]]:
    """A process of this user, and the address of a byte in its memory."""
    code = (
        "import ctypes, time; byte = ctypes.create_string_buffer(1); "
        "print(ctypes.addressof(byte), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        yield other.pid, int(other.stdout.readline())
        other.kill()


@pytest.fixture
def shared_memory() -> Iterator[int]:
    """The number of a System V segment of shared memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.shmget(0, 4096, 0o1600)
    yield number
    libc.shmctl(number, 0, None)


filtered = pytest.mark.skipif(not seccomp.is_supported(), reason="this system has no seccomp")


@filtered
def test_a_child_that_is_taken_over_reaches_nothing_by_any_system_call(
    taken_over: None, another: tuple[int, int], shared_memory: int, tmp_path: Path
) -> None:
    """Attack 17."""
    there = tmp_path / "there"
    there.write_bytes(b"another's")
    there.chmod(0o600)
    process, address = another
    given = str(tmp_path), process, shared_memory, address
    assert call(takeover.by_a_call, *given) == []
    assert (there.read_bytes(), there.stat().st_mode & 0o777) == (b"another's", 0o600)
    assert not call(takeover.by_a_path, str(tmp_path))
    assert not call(takeover.by_a_signal, process)

    # All of that can be done by a process that is not held.
    code = f"from tests.makers import takeover; print(takeover.by_a_call(*{given!r}))"
    free = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(free.stdout)) >= takeover.ALWAYS_POSSIBLE


@filtered
def test_a_child_is_held_by_the_kernel_before_it_reads_a_file() -> None:
    decoded()
    before = set(server().children())
    with stream(decoding.decode_in_turn, TIFF, "TIFF", MAX_PIXELS) as items:
        next(items)
        [child] = set(server().children()) - before
        status = Path(f"/proc/{child.pid}/status").read_text()
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)


@linux
def test_a_child_does_not_know_where_uploads_lie(
    taken_over: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "/the/uploads")
    monkeypatch.setenv("DATABASE", "/the/database")
    assert "/the/" not in call(takeover.whole_environment)


FORMATS = "JPEG", "PNG", "WebP", "AVIF", "HEIC", "TIFF", "GIF"


@linux
@pytest.mark.full
def test_a_child_reads_every_format_without_opening_a_file() -> None:
    with speaking("ja"):  # of which it has to know more than of English
        for name in FORMATS:
            assert load_image(encode(PICTURE, name)).pixels.shape == PICTURE.shape
        # its note holds numbers as the language writes them
        large = load_image(encode(Image.new("L", (8000, 6301), 90), "JPEG"))
        assert large.halved


@linux
def test_a_child_decodes_as_a_process_that_is_not_held() -> None:
    """Good files of all formats, and damaged ones."""
    for name in FORMATS:
        file = encode(PICTURE, name)
        for data in (file, file[: len(file) * 2 // 3]):
            assert outcome(decoding.decode_in_sandbox, data, name) == outcome(
                decoding.decode, data, name
            )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("a.tif", TIFF)
    assert call(zips.unpack, packed.getvalue(), 5) == ("a.tif", TIFF)


def outcome(decode: Callable[..., Any], data: bytes, name: str) -> Any:
    """What a decoder makes of a file, or says of it."""
    try:
        pixels, *others = decode(data, name)
    except ImageError as error:
        return type(error), str(error)
    return pixels.tobytes(), pixels.shape, others


@linux
def test_a_child_checks_a_signature_without_opening_a_file() -> None:
    signed = sign(encode(PICTURE, "PNG"), make_authority(), mime="image/png")
    # the trust list was read before
    assert read_provenance(signed, "PNG").credentials.state == "unknown signer"
