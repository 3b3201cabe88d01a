"""The image's steps without Docker: what each copies, what is installed, and the app as its command
starts it."""

import http.client
import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest

from tests.conftest import ROOT
from tests.serving import HANGS, address_of

STEPS = [
    line.split(" ", 1)
    for line in (ROOT / "Dockerfile").read_text().splitlines()
    if line and line[0] != "#"
]
USER = "nobody"


def kept(path: str) -> bool:
    """Whether .dockerignore lets a path into the image's context: the last pattern that it or a
    parent matches."""
    names = [path, *map(str, PurePosixPath(path).parents)]
    answer = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if line.strip() and any(_matches(name, pattern) for name in names):
            answer = line.startswith("!")
    return answer


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(fnmatchcase(part, pattern[3:]) for part in PurePosixPath(name).parts)
    own, wanted = PurePosixPath(name).parts, PurePosixPath(pattern).parts
    return len(own) == len(wanted) and all(map(fnmatchcase, own, wanted))


def copy(arguments: str, image: Path) -> None:
    """COPY: files of the context, which is what is committed and .dockerignore leaves."""
    *sources, target = arguments.split()
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    context = [name for name in listed.stdout.splitlines() if kept(name)]
    for source in sources:
        found = [name for name in context if source == "." or name == source]
        assert found, f"COPY {source}: .dockerignore leaves nothing of it"
        for name in found:
            place = image / target / (name if source == "." else Path(name).name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place)


def can_run_as(user: str) -> bool:
    try:
        return (
            subprocess.run(
                [sys.executable, "-c", "import numpy"], user=user, stderr=subprocess.DEVNULL
            ).returncode
            == 0
        )
    except (PermissionError, LookupError, OSError):
        return False


@pytest.mark.full
def test_the_app_starts_from_what_the_image_holds(tmp_path: Path) -> None:
    image, home = tmp_path / "image", tmp_path / "home"
    image.mkdir()
    home.mkdir(mode=0o777)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done, command, user = [], "", None
    for word, arguments in STEPS:
        done.append(word)
        if word == "COPY":
            copy(arguments, image)
        elif word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in shlex.split(arguments))
        elif arguments == "python scripts/install.py":
            code = (
                "import runpy; own = runpy.run_path('scripts/install.py');"
                "own['accepted_versions'](); print(len(own['locked_packages']()))"
            )
            said = subprocess.run(
                [sys.executable, "-c", code], cwd=image, capture_output=True, text=True, check=True
            )
            assert int(said.stdout) > 100  # what make app installs, too
        elif word == "USER":
            user = USER if can_run_as(USER) else None
        elif word == "CMD":
            command = arguments
        else:
            assert word in {"FROM", "ARG", "WORKDIR", "EXPOSE"} or arguments.startswith(
                "useradd"
            ), f"unknown: {word}"
    assert done[-1] == "CMD"

    log = tmp_path / "log"
    environment |= {
        "GRADIO_SERVER_PORT": os.environ["GRADIO_SERVER_PORT"],
        "CAUSALCLIP_EXPOSED": "1",
        "TMPDIR": str(home),
    }
    words = [
        sys.executable if word == "python" else word for word in re.findall(r'"([^"]+)"', command)
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            words, cwd=image, env=environment, user=user, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        port = int(address_of(process, log).rstrip("/").rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    finally:
        process.terminate()
        process.wait(HANGS)
    assert not list(image.rglob("__pycache__"))
