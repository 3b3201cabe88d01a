import platform

import psutil
import pytest

from causalclip.memory import give_back


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
