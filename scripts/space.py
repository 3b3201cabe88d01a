"""Assembles a Hugging Face Space: python -m scripts.space [--out dist/space] [--gpu]

Only what the app reads, and the pages that its README leads to; what is not committed is left out.
requirements.txt pins every package as requirements.lock does, with PyTorch's CPU wheels unless
--gpu is given.
"""

import argparse
import re
import shutil
import subprocess
from pathlib import Path

from scripts.install import CARD_ONLY, INDEX, locked_packages

ROOT = Path(__file__).resolve().parent.parent
KEPT = re.compile(
    r"app\.py|README\.md|LICENSE|pyproject\.toml|assets/.+|(causalclip|purifier|ui)/.+\.py"
)
LINK = re.compile(r"\]\(([^)\s#]+)")
# What Spaces installs together with requirements.txt
ADDED = ("gradio[oauth,mcp]=={sdk}", "uvicorn>=0.14.0", "websockets>=10.4", "spaces")
# The Hub refuses binary files over 1 MB outside LFS or Xet; `hf upload` sees to that by itself,
# `git push` by this.
ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def assemble(out: Path, *, gpu: bool = False) -> list[Path]:
    """Writes the files that a Space needs to `out`, which is emptied first; returns their paths in
    it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    committed = {Path(name) for name in listed.split("\0") if name}
    chosen = {path for path in committed if KEPT.fullmatch(path.as_posix())} | _linked(
        Path("README.md"), committed
    )
    shutil.rmtree(out, ignore_errors=True)
    for path in chosen:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, out / path)
    (out / "requirements.txt").write_text(requirements(gpu=gpu), encoding="utf-8")
    (out / ".gitattributes").write_text(ATTRIBUTES, encoding="utf-8")
    return sorted({*chosen, Path("requirements.txt"), Path(".gitattributes")})


def _linked(page: Path, committed: set[Path]) -> set[Path]:
    """The committed files that a page leads to, and the pages among them."""
    found: set[Path] = set()
    pages = [page]
    while pages:
        page = pages.pop()
        for link in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
            path = Path((ROOT / page.parent / link).resolve())
            path = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            if path in committed - found:
                found.add(path)
                pages += [path] if path.suffix == ".md" else []
    return found


def requirements(*, gpu: bool) -> str:
    """What pip installs on a Space: every package at the version of requirements.lock."""
    lines = [one.split("\n")[0].removesuffix("\\").strip() for one in locked_packages()]
    if not gpu:
        kept = [line for line in lines if not CARD_ONLY.match(line)]
        lines = [re.sub(r"^(torch(?:vision)?==[^ ;]+)", r"\1+cpu", line) for line in kept]
        lines.insert(0, f"--extra-index-url {INDEX}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "space")
    parser.add_argument(
        "--gpu", action="store_true", help="for a Space with a graphics card, ZeroGPU's among them"
    )
    options = parser.parse_args()
    files = assemble(options.out, gpu=options.gpu)
    total = sum((options.out / path).stat().st_size for path in files) / 1e6
    print(
        f"{len(files)} files, {total:.0f} MB. Upload them: hf upload OWNER/NAME {options.out} . "
        "--repo-type space"
    )


if __name__ == "__main__":
    main()
