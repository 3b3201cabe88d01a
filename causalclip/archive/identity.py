"""What an archive's rows will say judged them, known before a worker has loaded it.

The process that starts the workers does without PyTorch, which takes 500 MB: it asks another one, which ends with its
answer.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from causalclip.archive.problems import ArchiveProblem
from causalclip.clip.paths import revision_of


def identity(folder: Path) -> dict[str, Any]:
    """Name and revision of the detector in a folder, and the runtime of this machine.

    Raises:
        ArchiveProblem: CAUSALCLIP_RUNTIME names none that can run here.
    """
    return {"model": folder.name, "revision": revision_of(folder), "runtime": runtime_apart()}


def runtime_apart() -> str:
    """What causalclip.clip.runtime chooses."""
    if "torch" in sys.modules:  # it is there already
        from causalclip.clip.runtime import UnknownRuntime, choose_runtime

        try:
            return choose_runtime()
        except UnknownRuntime as problem:
            raise ArchiveProblem(str(problem)) from None
    command = [sys.executable, "-m", "causalclip.clip.runtime"]
    asked = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise ArchiveProblem(asked.stderr.strip().rpartition("\n")[2])
    return asked.stdout.strip()
