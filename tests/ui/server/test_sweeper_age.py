"""What counts as a file's age, with the clock of the file system."""

import os
import time
from pathlib import Path

from ui.server.sweeper import sweep


def test_a_new_copy_with_an_old_date_is_young(tmp_path: Path) -> None:
    """Gradio copies examples with their dates: they must live until the browser has fetched them."""
    path = tmp_path / "example.png"
    path.touch()
    os.utime(path, (1, 1))
    sweep(tmp_path, older_than=100, now=time.time())
    assert path.exists()
    sweep(tmp_path, older_than=100, now=time.time() + 101)
    assert not path.exists()


def test_a_file_from_the_future_does_not_stay_for_good(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch()
    sweep(tmp_path, older_than=100, now=time.time() - 1000)  # the clock was set back
    assert not path.exists()
