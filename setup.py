"""What pyproject.toml cannot say: files beside the packages go into the wheel, inside
causalclip."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
DATA = {"assets": ("*",)}


def folders(name: str) -> dict[str, str]:
    """Every folder under ROOT / name as a package's name, and where it lies."""
    found = [ROOT / name, *(path for path in (ROOT / name).rglob("*") if path.is_dir())]
    kept = [path.relative_to(ROOT) for path in found if path.name != "__pycache__"]
    return {".".join(("causalclip", *path.parts)): str(path) for path in kept}


places = {package: place for name in DATA for package, place in folders(name).items()}
setup(
    packages=[*find_packages(include=["causalclip*", "purifier*", "ui*"]), *places],
    package_dir=places,
    package_data={package: list(DATA[package.split(".")[1]]) for package in places},
)
