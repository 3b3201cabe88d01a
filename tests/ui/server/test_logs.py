"""What reaches the log: types and places, never what a message holds."""

import subprocess
import sys

from tests.conftest import ROOT

SECRET = "a-name-that-must-not-be-logged"
SCRIPT = f"""
import asyncio, logging, sys, threading, traceback, warnings
logging.basicConfig(level=logging.WARNING)
if sys.argv[1] == "kept":
    from ui.server.logs import drop_messages
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

caught(lambda e: traceback.print_exc())
caught(lambda e: print(traceback.format_exc(), file=sys.stderr))
caught(lambda e: logging.getLogger("gradio").exception("it was %s", e))
caught(lambda e: logging.getLogger("uvicorn.error").error(f"it was {{e}}"))
caught(lambda e: logging.getLogger("uvicorn.error").error("it was", exc_info=ExceptionGroup("{SECRET}", [e])))
caught(lambda e: logging.getLogger("ui.server").exception("A picture was not judged"))
warnings.warn("{SECRET}")
print("before", file=sys.stderr)
for name in ("uvicorn.error", "mcp.server.lowlevel.server", None):
    logging.getLogger(name).warning("a request that cannot be read")
print("after", file=sys.stderr)
thread = threading.Thread(target=fail); thread.start(); thread.join()
async def main():
    asyncio.get_running_loop().create_task(asyncio.to_thread(fail))
    await asyncio.sleep(0.5)
asyncio.run(main())
try:
    compile("{SECRET} =", "{SECRET}", "exec")
except SyntaxError:
    traceback.print_exc()
fail()
"""


def run(how: str) -> str:
    return subprocess.run([sys.executable, "-c", SCRIPT, how], cwd=ROOT, capture_output=True, text=True).stderr


def test_type_and_place_are_logged_and_messages_are_not() -> None:
    log = run("kept")
    assert SECRET not in log
    assert log.count("ValueError") >= 8
    assert ", in fail" in log
    assert "A picture was not judged" in log
    assert "SyntaxError" in log
    assert "before\nafter\n" in log  # what anybody can send at any rate is not logged


def test_without_it_they_are() -> None:
    assert run("as-it-was").count(SECRET) >= 10
