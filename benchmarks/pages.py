"""Writes what was measured into docs/measured.md and other pages."""


def write_all() -> None:
    """Nothing yet."""
