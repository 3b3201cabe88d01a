"""python -m scripts.quick [COMMIT], for `make quick`: the tests of what differs from a commit, by default the last one.

A changed module is tested by the test modules that import it, and by its own: tests/ mirrors the packages. A changed
maker or test is tested by itself and by those that import it. Browsers, proxies and Ray are left to `make test`.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("causalclip", "purifier", "ui", "benchmarks", "scripts", "tests")
ALWAYS = (
    "tests/test_requirements.py",
    "tests/causalclip/test_detector.py",
    "tests/causalclip/evidence/test_headline.py",
)
SLOW = ("tests.browser", "tests.deploy")


def changed(commit: str) -> list[Path]:
    """Files that differ from the commit, and new ones that git does not ignore."""
    listed = [["diff", "--name-only", commit], ["ls-files", "--others", "--exclude-standard"]]
    names = [subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True) for words in listed]
    return [Path(name) for done in names for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def module(path: Path) -> str:
    """ "a/b.py" is the module a.b."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def own(name: str) -> str:
    """Where the tests of a module are: of a.b in tests.a.test_b."""
    room, _, last = name.rpartition(".")
    return f"tests.{room}.test_{last}" if room else f"tests.test_{last}"


def concerned(files: Iterable[Path], graph: grimp.ImportGraph) -> list[str]:
    """The test modules of those files."""
    modules = {module(path) for path in files if path.suffix == ".py"} & graph.modules
    found = {one for name in modules for one in (name, own(name), *graph.find_modules_that_directly_import(name))}
    return sorted(one for one in found & graph.modules if is_test(one))


def is_test(name: str) -> bool:
    return name.rpartition(".")[2].startswith("test_") and not name.startswith(SLOW)


def main(commit: str = "HEAD") -> int:
    files = changed(commit)
    graph = grimp.build_graph(*PACKAGES, cache_dir=None) if files else grimp.ImportGraph()
    tests = [f"{name.replace('.', '/')}.py" for name in concerned(files, graph)]
    print(
        f"{len(files)} files differ from {commit}. Tests: {', '.join(tests) or 'none of them has its own'}", flush=True
    )
    more = [name for name in ALWAYS if name.partition("::")[0] not in tests]
    return subprocess.run([sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", *tests, *more], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
