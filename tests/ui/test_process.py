"""What holds for the whole process: its log, port and folder, no other machine reached, packages
that are missing.

SECURITY.md's promise 1 (no other machine), 3 (the app's end) and 4 (the log).
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio import processing_utils

from tests.conftest import HANGS, ROOT
from ui import serving
from ui.server import offline
from ui.server.offline import OfflineError, online, stay_offline
from ui.serving import check_sandbox, launch, refuse_exposure
from ui.start import PREFIX, RunFolder, clean

SECRET = "a-name-that-must-not-be-logged"
SCRIPT = f"""
import asyncio, logging, sys, threading, traceback, warnings
logging.basicConfig(level=logging.WARNING)
if sys.argv[1] == "kept":
    from ui.server.monitoring import drop_messages
    drop_messages()

def fail(name="{SECRET}"):
    error = ValueError(name)
    error.add_note(name)
    raise error from KeyError(name)

def caught(tell):
    try:
        fail()
    except ValueError as error:
        tell(error)

class Group(Exception): pass

caught(lambda e: logging.getLogger("gradio").exception("it was %s", e))
caught(lambda e: logging.getLogger("uvicorn.error").error(f"it was {{e}}"))
caught(lambda e: logging.getLogger("uvicorn.error").error("it was", exc_info=ExceptionGroup("{SECRET}", [e])))
caught(lambda e: logging.getLogger("ui.server").exception("A picture was not judged"))
caught(lambda e: traceback.print_exc())  # as Gradio does
warnings.warn("{SECRET}")
print("before", file=sys.stderr)
for name in ("uvicorn.error", None):
    logging.getLogger(name).warning("a request that cannot be read")
print("after", file=sys.stderr)
thread = threading.Thread(target=fail); thread.start(); thread.join()
async def main():
    asyncio.get_running_loop().create_task(asyncio.to_thread(fail))
    await asyncio.sleep(0.5)
asyncio.run(main())
fail()
"""  # noqa: E501


def run(how: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, how], cwd=ROOT, capture_output=True, text=True
    ).stderr


def test_type_and_place_are_logged_and_messages_are_not() -> None:
    log = run("kept")
    assert SECRET not in log
    assert log.count("ValueError") >= 5
    assert ", in fail" in log
    assert "A picture was not judged" in log
    assert "before\nafter\n" in log  # what anybody can send at any rate is not logged


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CAUSALCLIP_EXPOSED", "SPACE_ID", "FORWARDED_ALLOW_IPS", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize(
    ("address", "variables", "allowed"),
    [
        *((own, {}, True) for own in (None, "localhost", "[::1]")),
        *((other, {}, False) for other in ("0.0.0.0", "::", "check.example.org")),
        (None, {"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
        # no proxies
        *(
            ("0.0.0.0", {"FORWARDED_ALLOW_IPS": believed}, False)
            for believed in ("127.0.0.1", "*", "")
        ),
        *(("0.0.0.0", {name: "1"}, True) for name in ("CAUSALCLIP_EXPOSED", "SPACE_ID")),
        ("0.0.0.0", {"FORWARDED_ALLOW_IPS": "172.28.0.2"}, True),
    ],
)
def test_elsewhere_it_listens_only_where_who_runs_it_says_so(
    address: str | None, variables: dict[str, str], allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with nullcontext() if allowed else pytest.raises(SystemExit, match="CAUSALCLIP_EXPOSED=1"):
        refuse_exposure(address)


@pytest.mark.parametrize("missing", [["Landlock"], ["seccomp"], ["Landlock", "seccomp"]])
def test_a_system_without_a_sandbox_is_named_and_refused_where_one_is_required(
    missing: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving, "missing_protections", lambda: missing)
    monkeypatch.delenv("CAUSALCLIP_REQUIRE_SANDBOX", raising=False)
    check_sandbox()
    said = capsys.readouterr().out
    assert all(name in said for name in missing)
    monkeypatch.setenv("CAUSALCLIP_REQUIRE_SANDBOX", "1")
    with pytest.raises(SystemExit) as refused:
        launch(gr.Blocks())
    assert all(name in str(refused.value) for name in missing)


def test_a_system_with_a_sandbox_needs_no_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving, "missing_protections", list)
    monkeypatch.setenv("CAUSALCLIP_REQUIRE_SANDBOX", "1")
    check_sandbox()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_no_library_reaches_another_machine(host: str) -> None:
    """Not by a socket, and not by Gradio, httpx or safehttpx, each of which would fetch an
    address."""
    stay_offline()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as one, pytest.raises(OfflineError):
            one.connect((host, 80))
    with socket.socket(family, socket.SOCK_DGRAM) as one, pytest.raises(OfflineError):
        one.sendto(b"x", (host, 53))
    url = f"http://{f'[{host}]' if ':' in host else host}/x"
    with pytest.raises((OfflineError, httpx.HTTPError)):
        httpx.get(url)
    with pytest.raises(Exception, match=r"."):
        processing_utils.unsafe_download(url, "/nowhere")


def test_no_name_is_looked_up() -> None:
    stay_offline()
    for name in ("example.org", b"example.org", "localhost.example.org"):
        with pytest.raises(OfflineError):
            socket.getaddrinfo(name, 80)
    for look_up in (socket.gethostbyname, socket.gethostbyname_ex, socket.gethostbyaddr):
        with pytest.raises(OfflineError):
            look_up("example.org")
    with pytest.raises(OfflineError):
        socket.getnameinfo(("192.0.2.7", 80), 0)
    assert socket.getaddrinfo("localhost", 80)
    assert socket.gethostbyname("localhost")
    with online(), pytest.raises(OSError, match=r"(?i)^(?!this app)"):
        socket.getaddrinfo("no-such-name.invalid", 80)


def test_only_who_lends_a_card_is_reached_beside_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offline, "_reachable", set())
    monkeypatch.setenv("SPACES_ZERO_DEVICE_API_URL", "http://192.0.2.7:8080")
    stay_offline()
    with socket.socket() as one:
        one.setblocking(False)
        one.connect_ex(("192.0.2.7", 9))  # is not refused; nobody answers there
    with socket.socket() as one, pytest.raises(OfflineError):
        one.connect(("192.0.2.8", 9))


MEMORY = """
import resource, sys
from ui.server.memory import give_back_memory
held = [b"x" * 10_000_000 for _ in range(20)]
after_them = b"x" * 100_000
held.clear()
if sys.argv[1] == "given back":
    give_back_memory()
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * resource.getpagesize() // 10**6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_a_picture_took_goes_back_to_the_system() -> None:
    """Of a heap that keeps all that is freed."""
    keeps_all = {"MALLOC_MMAP_THRESHOLD_": "30000000", "MALLOC_TRIM_THRESHOLD_": "1000000000"}
    taken = {
        how: int(
            subprocess.check_output(
                [sys.executable, "-c", MEMORY, how], env={**os.environ, **keeps_all}, cwd=ROOT
            )
        )
        for how in ("kept", "given back")
    }
    assert taken["given back"] < 100 < taken["kept"], taken


CODE = """
import pathlib, sys, tempfile, time
from ui.start import (claim)
run = claim()
(run.uploads / "picture.jpg").write_bytes(b"x")
tempfile.NamedTemporaryFile(delete=False).write(b"half an upload")
print(run.folder, flush=True)
time.sleep({seconds})
"""


def start(base: Path, *, seconds: float = 60) -> tuple[subprocess.Popen[str], Path]:
    """A process with a folder in `base`, and the folder."""
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(base)}
    command = [sys.executable, "-c", CODE.format(seconds=seconds)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("ending", ["end", "SIGTERM", "SIGINT"])
def test_it_goes_with_its_process(tmp_path: Path, ending: str) -> None:
    process, run = start(tmp_path, seconds=0 if ending == "end" else 60)
    if ending != "end":
        assert (run / "uploads" / "picture.jpg").exists()
        assert len(list(run.iterdir())) == 3  # uploads, examples, and half an upload
        process.send_signal(getattr(signal, ending))
    process.wait(HANGS)
    assert not list(tmp_path.iterdir())


def test_after_a_kill_the_next_start_is_clean(tmp_path: Path) -> None:
    process, killed = start(tmp_path)
    process.kill()
    process.wait(HANGS)
    assert (killed / "uploads" / "picture.jpg").exists()
    run = RunFolder(tmp_path)
    assert not killed.exists()
    assert run.uploads.exists()
    run.close()
    assert not list(tmp_path.iterdir())


def test_only_folders_are_cleaned(tmp_path: Path) -> None:
    """Other folders, files of that name, and links of that name, whose targets stay."""
    other, target = tmp_path / "other", tmp_path / "target"
    for folder in (other, target):
        folder.mkdir()
        (folder / "a.png").touch()
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(target)
    before = sorted(tmp_path.rglob("*"))
    clean(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


WITHOUT = """
import sys
sys.modules["transformers"] = sys.modules["diffusers"] = None  # as if neither were installed
from ui import app
from purifier.models import lacking

page = app.build(lambda: None)
print("torch" in sys.modules)  # it takes seconds, and the page is there before
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from causalclip.examination.stages import examine_file

print(lacking())
print(lacking() in str(page.config))
print(examine_file(encode(photo(200, 160), "PNG"), tiny_detector()).band)
"""


@pytest.mark.full
def test_the_app_starts_and_says_what_to_add() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    slow, said, shown, band = done.stdout.splitlines()
    assert slow == "False"
    assert said == "To purify pictures, add what is missing: pip install diffusers transformers"
    assert shown == "True"
    assert band in {"likely generated", "inconclusive", "likely not generated"}
