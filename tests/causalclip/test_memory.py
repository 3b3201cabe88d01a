import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from causalclip import memory
from causalclip.clip.views import plan_views, render
from causalclip.memory import give_back, leave_on_disk
from causalclip.pictures import decoding
from tests.makers.pictures import encode, photo


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
from causalclip.memory import keep_little

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
from causalclip.memory import keep_little

keep_little()
rss = lambda: psutil.Process().memory_info().rss / 2**20
del (first := [bytearray(30 * 2**20)])[:]  # from now on glibc would take what is smaller from an arena
before = rss()
blocks = [(bytearray(b"x" * (16 * 2**20)), bytearray(100_000)) for _ in range(10)]
small = [behind for _, behind in blocks]
del blocks
print(rss() - before)
"""


def test_what_is_free_goes_back_before_a_large_picture_is_decoded_and_before_it_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: asked.append(1))
    monkeypatch.setattr(memory, "MUCH", 3 * 100 * 100)
    for side, times in ((100, 0), (101, 2)):
        pixels, *_ = decoding.decode(encode(photo(side, side), "PNG"), "PNG")
        render(pixels, plan_views(side, side, size=32), size=32)
        assert len(asked) == times
    decoding.decode_in_sandbox(encode(photo(101, 101), "TIFF"), "TIFF")
    assert len(asked) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked")
def test_a_files_bytes_are_left_on_disk_and_others_are_kept(tmp_path: Path) -> None:
    """Of a file that nobody else reads: what two processes share stays with both."""
    with (tmp_path / "weights").open("wb") as file:
        file.write(b"w" * (40 * 2**20))
        file.flush()
        os.fsync(file.fileno())  # what is not on the disk yet cannot be dropped
    weights, own = np.memmap(tmp_path / "weights", np.uint8, mode="r"), np.full(2**22, 7, np.uint8)
    assert weights.min() == ord("w")
    before = psutil.Process().memory_info().rss
    for array in (weights, own):
        leave_on_disk(array.ctypes.data, array.nbytes)
    assert before - psutil.Process().memory_info().rss > 30 * 2**20
    assert weights.min() == weights.max() == ord("w")
    assert own.min() == own.max() == 7
