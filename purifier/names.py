"""What commands may be given, checked before anything heavy is imported: attacks, objectives, and a result's name."""

from pathlib import Path

ATTACKS = ("fgsm", "pgd", "mi-fgsm", "apgd", "square", "patch")
OBJECTIVES = ("answer", "caption", "features", "detector")
MAX_PIXELS = 12_000_000  # of a picture: what a purification holds in memory grows with it
EMBEDDED, OTHER = "embedded", "other"  # the vision-language model that is shipped, and one that a host has added


def check_name(name: str, known: tuple[str, ...], kind: str) -> None:
    """Raises ValueError for a name that is not known."""
    if name not in known:
        raise ValueError(f"There is no {kind} {name!r}; use one of {', '.join(known)}.")


def check_png(path: Path) -> None:
    """Raises ValueError if a result would be saved in another format, which would change what was made, or nowhere."""
    if path.suffix.lower() != ".png":
        raise ValueError("Name the result .png: other formats change pixels, and with them what an attack has done.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder '{path.parent}' for the result. Make it, or name another.")
