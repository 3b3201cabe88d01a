import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ui.server.memory import give_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what was freed")
def test_what_was_freed_goes_back() -> None:
    """Blocks of 100 kB come from the heap, and one that is still used at its end keeps all before it."""
    rss = lambda: psutil.Process().memory_info().rss / 2**20  # noqa: E731
    blocks = [b"x" * 100_000 for _ in range(2000)]
    last = blocks.pop()
    del blocks
    before = rss()
    give_back()
    assert before - rss() > 100
    assert len(last) == 100_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas of this kind")
def test_threads_share_arenas(tmp_path: Path) -> None:
    """In a process of its own: which arenas there are is settled for good once threads have allocated."""
    counted = subprocess.run(
        [sys.executable, "-c", COUNT_ARENAS, str(tmp_path / "arenas.xml")], capture_output=True, text=True, check=True
    )
    assert 1 <= int(counted.stdout) <= 2


COUNT_ARENAS = """
import ctypes, sys, threading, time
from ui.server.memory import keep_little

keep_little()
def hold():
    kept = [b"x" * 100_000 for _ in range(10)]
    time.sleep(0.3)
    return kept
threads = [threading.Thread(target=hold) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(open(sys.argv[1]).read().count("<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what was freed")
def test_large_blocks_go_back_when_they_are_freed() -> None:
    """Blocks of 16 MB, as Pillow's, with a small one behind each that stays; nothing asks for them back."""
    left = subprocess.run([sys.executable, "-c", FREE_BLOCKS], capture_output=True, text=True, check=True)
    assert float(left.stdout) < 20


FREE_BLOCKS = """
import psutil
from ui.server.memory import keep_little

keep_little()
rss = lambda: psutil.Process().memory_info().rss / 2**20
del (first := [bytearray(30 * 2**20)])[:]  # from now on glibc would take what is smaller from an arena
before = rss()
blocks = [(bytearray(b"x" * (16 * 2**20)), bytearray(100_000)) for _ in range(10)]
small = [behind for _, behind in blocks]
del blocks
print(rss() - before)
"""
