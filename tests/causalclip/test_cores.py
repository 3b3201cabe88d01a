"""How many cores are used: a quota counts, not the host's cores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from causalclip.cores import usable_cores
from tests.conftest import ROOT

HOST = 64


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(HOST)), raising=False)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("files", "group", "expected"),
    [
        ({}, "", HOST),
        ({"cpu.max": "200000 100000"}, "0::/", 2),
        ({"cpu.max": "150000 100000"}, "0::/", 2),
        ({"cpu.max": "max 100000"}, "0::/", HOST),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 4),
        ({"cpu.max": "800000 100000", "a/cpu.max": "50000 100000"}, "0::/a", 1),
        (
            {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"},
            "4:cpu:/docker/x",
            3,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            "4:cpu:/docker/x",
            HOST,
        ),
    ],
)
def test_a_quota_bounds_the_cores(
    files: dict[str, str], group: str, expected: int, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "self").write_text(group + "\n")
    assert usable_cores(tmp_path, tmp_path / "self") == expected


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")])
def test_the_app_and_the_command_line_start_no_more_threads(
    given: dict[str, str], expected: str
) -> None:
    code = """
import os
os.sched_getaffinity = lambda process: {0}
import causalclip.__main__
print(os.environ["OMP_NUM_THREADS"])
"""
    environment = {
        name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"
    } | given
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == expected, done.stderr
