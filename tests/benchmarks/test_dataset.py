"""The data set's benchmark counts what can be rebuilt, draws what it cannot count, and says what was seen of labels."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.dataset import audit, page, rebuilding
from causalclip.dataset.collecting.originals import place
from causalclip.dataset.table import Picture
from tests.causalclip.dataset.collecting.hosting import Host, sha
from tests.causalclip.dataset.making import picture

WEAK = {"label": "fake", "generator": "unknown (Lovable 2026)", "evidence": "Lovable pictures 800x800 without metadata"}


def test_mirrors_are_counted_and_others_drawn_and_brought_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, away = Host(tmp_path), tmp_path / "away"
    rows = [
        row for n in range(6) for row in host.pictures(f"owner{n}/site", {"a.jpg": bytes([n]), "b.jpg": b"b%d" % n})
    ]
    rows[0] = replace(rows[0], sha256=sha(b"as it was"))
    away.mkdir()
    for n in range(2, 6):
        shutil.move(host.mirrors / f"owner{n}+site", away)
    monkeypatch.setattr(rebuilding, "read_table", lambda: rows)
    monkeypatch.setattr(rebuilding, "DRAWN", 3)
    file = tmp_path / "rebuilt.json"
    ledger = rebuilding.rebuild(file, host.mirrors, tmp_path)
    assert ledger["kept"] == ["owner0/site", "owner1/site"]
    assert ledger["summary"]["kept"] | {"interval": None} == {
        "repositories": 2, "whole": 1, "rows": 4, "missing": {"changed": 1}, "share": 0.75, "interval": None
    }  # fmt: skip
    assert "share" not in ledger["summary"]
    waiting = rebuilding.waiting_for_mirrors(ledger, host.mirrors)
    assert waiting == ledger["strata"][0]["drawn"]
    for name in waiting[:2]:
        shutil.move(away / name.replace("/", "+"), host.mirrors)
    ledger = rebuilding.rebuild(file, host.mirrors, tmp_path, lost=frozenset(waiting[2:]))
    assert rebuilding.waiting_for_mirrors(ledger, host.mirrors) == []
    assert ledger["summary"]["drawn"][0]["missing"] == {"gone": 2}
    assert ledger["summary"]["share"] == pytest.approx((3 + 8 * 4 / 6) / 12, abs=1e-3)
    assert ledger["summary"]["collect"]["pictures"] == 7
    said = page.rebuilt(ledger)
    assert "Missing: 2 gone, 1 changed." in said
    assert "| mirrors that were there | 2 | 1 | 4 | 75.0 % | all were counted |" in said
    assert not page.rebuilt_aims(ledger)[0].reached


def test_repositories_that_join_later_are_drawn_from_apart_and_count_once_they_are_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, file = Host(tmp_path), tmp_path / "rebuilt.json"
    first = [row for n in range(2) for row in host.pictures(f"owner{n}/site", {"a.jpg": b"a%d" % n, "b.jpg": b"b"})]
    monkeypatch.setattr(rebuilding, "read_table", lambda: first)
    assert rebuilding.rebuild(file, host.mirrors, tmp_path)["summary"].get("share") is None  # nothing is estimated
    joined = [row for n in range(40) for row in host.pictures(f"late{n:02}/site", {"c.jpg": b"c%d" % n})]
    joined[7] = replace(joined[7], sha256=sha(b"as it was"))
    monkeypatch.setattr(rebuilding, "read_table", lambda: [*first, *joined])
    monkeypatch.setattr(rebuilding, "LATER", 39)
    monkeypatch.setattr(rebuilding, "SEED", 3)
    ledger = rebuilding.rebuild(file, host.mirrors, tmp_path)
    (part,), (found,) = ledger["strata"], ledger["summary"]["drawn"]
    assert (len(part["repositories"]), part["rows"], found["repositories"]) == (40, 40, 39)
    assert "late07/site" in part["drawn"]
    assert found["missing"] == {"changed": 1}
    assert ledger["summary"]["share"] == pytest.approx((4 + 40 * 38 / 39) / 44, abs=1e-4)
    low, high = ledger["summary"]["interval"]
    assert low < ledger["summary"]["share"] < high <= 1
    assert f"| the table as it was then, {part['date']}, estimated | 42 |  | 44 | 97.7 % |" in page.rebuilt(ledger)
    again = rebuilding.rebuild(file, host.mirrors, tmp_path)
    assert again["strata"] == ledger["strata"]
    assert len(again["runs"]) == len(ledger["runs"])


def test_strata_hold_together_at_a_stricter_level() -> None:
    counted = {f"{s}{n}": {"rows": 1, "missing": {}} for s in "ab" for n in range(100)}
    strata = [
        {"date": "d", "rows": 200, "repositories": range(200), "drawn": [f"{s}{n}" for n in range(100)]} for s in "ab"
    ]
    ledger = {"kept": [], "rows_of_kept": 0, "strata": strata[:1], "runs": [], "repositories": counted}
    assert rebuilding.summarise(ledger)["interval"] == [0.9638, 1.0]  # 0.025 ** (1 / 100)
    assert rebuilding.summarise(ledger | {"strata": strata})["interval"] == [0.9571, 1.0]  # 0.0125 ** (1 / 100)


def test_the_interval_is_of_repositories() -> None:
    rows = np.full(100, 10)
    low, high = rebuilding.interval(rows, np.zeros(100))
    assert (round(low, 3), high) == (0.964, 1.0)  # exact: 0.025 ** (1 / 100)
    gone = np.where(np.arange(100) < 5, 10, 0)
    low, high = rebuilding.interval(rows, gone)
    assert 0.88 < low < 0.95 < high < 1


@pytest.mark.parametrize(
    "sure",
    [
        {"evidence": "IPTC trainedAlgorithmicMedia in the file"},
        {"evidence": "a Lovable site [IPTC:trainedAlgorithmicMedia; C2PA]"},
        {"evidence": "Lovable illustrations; looked at one by one"},
        {"generator": "Gemini", "evidence": "the site says so"},
    ],
)
def test_only_what_nothing_states_is_weak(sure: dict[str, str]) -> None:
    weak = picture(**WEAK)
    assert audit.is_unsigned(weak)
    assert not audit.is_unsigned(replace(weak, **sure))  # type: ignore[arg-type]
    assert not audit.is_unsigned(picture())


def test_a_photograph_is_weak_where_somebody_says_so_and_no_camera() -> None:
    said = picture(real_by="owner", evidence="the firm's own phone pictures")
    assert audit.is_claimed(said)
    assert audit.is_claimed(replace(said, real_by="date"))
    assert not audit.is_claimed(replace(said, real_by="stock"))
    assert not audit.is_claimed(replace(said, evidence="EXIF of an iPhone 11 on one"))
    assert not audit.is_claimed(picture(**WEAK))


def test_sheets_show_what_was_drawn_and_the_report_counts_what_was_seen(tmp_path: Path) -> None:
    weak = [picture(f"owner{n % 5}/site", f"{n}.jpg", **WEAK) for n in range(200)]
    drawn = audit.draw(audit.find_weak([*weak, picture()]))
    assert len({p.sha256 for p in drawn}) == audit.DRAWN
    assert drawn == audit.draw(audit.find_weak(weak[::-1]))
    for p in drawn[:16]:
        save(tmp_path, p)
    first, second = audit.sheets(drawn[:16], tmp_path)
    assert first.getpixel((100, 100)) == second.getpixel((100, 100)) == (254, 0, 0)
    assert second.getpixel((100 + audit.SIDE, 100)) == (255, 255, 255)
    looked_at = tmp_path / "looked_at.csv"
    with looked_at.open("w", newline="") as file:
        seen = ["wrong"] * 3 + ["doubtful"] * 7 + ["fine"] * 140
        lines = [[p.sha256, "fake", s, ""] for p, s in zip(drawn, seen, strict=True)]
        real = [["0" * 64, "real", "fine", ""], ["1" * 64, "real", "doubtful", "a screenshot"]]
        csv.writer(file).writerows([["sha256", "label", "seen", "why"], *lines, *real])
    claimed = [picture(f"late{n}/site", real_by="owner", evidence="his own") for n in range(3)]
    report = audit.report([*weak, *claimed], looked_at, frozenset({"late0/site", "late1/site"}))
    found = report["fake"]
    assert (found["weak"], found["owners"], found["wrong"], found["doubtful"]) == (200, 5, 3, 7)
    assert found["wrong_interval"] == [0.004, 0.057]  # Clopper and Pearson
    assert (report["real"]["weak"], report["real"]["looked_at"], report["real"]["doubtful"]) == (2, 2, 1)
    said = page.audit(report)
    assert "140 look generated, 7 can be either, and 3 look wrong: 0.4 to 5.7 % (95 %)" in said
    assert "1 look like photographs, 1 can be either, and 0 look wrong: 0.0 to 84.2 % (95 %)" in said


def save(folder: Path, p: Picture) -> None:
    place(folder, p).parent.mkdir(exist_ok=True)
    Image.new("RGB", (64, 48), (254, 0, 0)).save(place(folder, p))


def test_every_picture_that_was_looked_at_has_a_known_answer() -> None:
    with audit.LOOKED_AT.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["sha256"] for row in rows}) == len(rows)
    assert {row["seen"] for row in rows} <= set(audit.SEEN)
    assert all(row["why"] for row in rows if row["seen"] != "fine")


def test_hints_and_shares_are_told_as_they_are() -> None:
    hints = {"sites": {"pictures": 800, "owners": 9, "size": 0.9, "format": 0.7}, "new": {"pictures": 3, "owners": 2}}
    hints["new"] |= {"too few owners": True}
    said = page.hints({"hints": hints, "faults": 0})
    assert "| `sites` | 800 | 9 | 0.900 | 0.700 |" in said
    assert "| `new` | 3 | 2 | too few owners | too few owners |" in said
    assert [page.exact(share) for share in (1, 0.99999, 0.5)] == ["100 %", "over 99.9 %", "50.0 %"]


def test_a_check_that_takes_over_ten_minutes_misses_its_aim() -> None:
    runs = {"cold": {"seconds": 700, "processor_seconds": 71, "load": [9, 4]}}
    report = {
        "pictures": 1234,
        "hints": {},
        "faults": 0,
        "runs": runs | {"warm": {"seconds": 601, "processor_seconds": 20, "load": [4, 5]}},
    }
    assert "of 1,234 rows took 700 seconds (71 of processors, load 4 to 9) without thumbnails" in page.hints(report)
    assert [aim.reached for aim in page.check_aims(report)] == [False]
    report["runs"]["warm"]["seconds"] = 599
    assert [aim.reached for aim in page.check_aims(report)] == [True]


@pytest.mark.parametrize(("revision", "aims"), [("1", 1), ("2", 0)])
def test_the_sample_is_compared_with_what_it_is_drawn_from_by_the_same_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str, aims: int
) -> None:
    bands = {band: {"real": 0.25, "generated": 0.5} for band in page.PASSED}
    found = {"pictures": 50, "auc": 0.9, "auc_interval": [0.8, 0.95], "bands": bands}
    clear = found | {"auc": 0.85, "revision": "1", "owners": 12, "sets": {"broad": 119}}
    test = {"revision": "1", "all": found | {"auc": 0.97}, "clear_licence": clear}  # outside: another mixture of sets
    monkeypatch.setattr(page, "whole_test", lambda: test)
    report = found | {"revision": revision, "date": "2026-01-01", "owners": 10, "sets": {"broad": 50}}
    report |= {"collect": {"seconds": 60, "processor_seconds": 1, "load": [1, 2]}}
    report |= {"evaluate": {"seconds": 30, "processor_seconds": 40, "load": [7, 2]}}
    assert "Collecting and measuring it took 1.5 minutes, 41 processor seconds, at a load of 7" in page.sample(report)
    assert "collected before, took 0.5 minutes, 40 proc" in page.sample(report | {"collect": None})
    assert "| all of `test` with clear licences (12 owners) | 50 | 0.850 (0.800 to 0.950) |" in page.sample(report)
    assert ("cannot be compared" in page.sample(report)) == (not aims)
    assert [aim.reached for aim in page.sample_aims(report)] == [True] * aims
