"""What is installed is bounded, and what the app needs is pinned with digests."""

import re

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split("#")[0]) for line in lines if line.strip() and line[0] not in "#-"]


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_requirement_has_both_bounds(name: str) -> None:
    for requirement in requirements(name):
        operators = {one.operator for one in requirement.specifier}
        assert operators == {">=", "<"}, requirement


def test_the_lock_holds_what_the_app_needs_within_its_bounds() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    pinned = {entry.split("==")[0]: re.match(r"[^ ;]+", entry.split("==")[1]) for entry in entries}
    for requirement in requirements("requirements.txt"):
        version = pinned[requirement.name]
        assert version
        assert requirement.specifier.contains(version[0]), requirement
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_names_no_place_to_fetch_from() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE)
