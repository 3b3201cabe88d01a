"""What was measured is kept in one compressed table, which a run that was killed goes on with."""

import csv
import gzip
import io
from pathlib import Path

import pytest

from purifier.evaluation.kept import Kept
from purifier.evaluation.metrics import Outcome

HELD = Outcome(True, False, 'a dog, "one", by the sea', psnr=37.25, ssim=0.9885)
FELL = Outcome(False, True, None, psnr=60.0, ssim=1.0)


def test_what_was_put_is_read_again_in_its_order_before_and_after_it_is_packed(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "deep" / "a.csv.gz")
    kept.put("PGD 8/255", 1, "b/2 of 3.jpg", {"JPEG 10": HELD, "no defence": FELL})
    kept.put("PGD 8/255", 0, "a/1.jpg", {"no defence": HELD})
    kept.put("clean", 0, "a/1.jpg", {"no defence": FELL})
    kept.put("PGD 8/255", 1, "b/2 of 3.jpg", {"median": FELL})
    whole = {
        "1 b/2 of 3.jpg": {"JPEG 10": HELD, "no defence": FELL, "median": FELL},
        "0 a/1.jpg": {"no defence": HELD},
    }
    before = Kept(kept.path)
    assert before.all("PGD 8/255") == whole
    kept.pack()
    kept.pack()
    for reader in (before, Kept(kept.path)):
        assert reader.all("PGD 8/255") == whole
        assert list(reader.all("PGD 8/255")) == list(whole)
        assert reader.get("clean", 0, "a/1.jpg") == {"no defence": FELL}
        assert reader.get("clean", 1, "a/1.jpg") == {}
    assert [path.name for path in kept.path.parent.iterdir() if path.suffix != ".lock"] == ["a.csv.gz"]


def test_the_table_is_plain_csv_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    tables = []
    for name in ("a.csv.gz", "b.csv.gz"):
        kept = Kept(tmp_path / name)
        kept.put("clean", 0, "a.jpg", {"no defence": HELD, "JPEG 10": FELL})
        kept.pack()
        tables.append(kept.path.read_bytes())
    assert tables[0] == tables[1]
    held, fell = csv.DictReader(io.StringIO(gzip.decompress(tables[0]).decode()))
    assert held == {
        "column": "clean",
        "seed": "0",
        "picture": "a.jpg",
        "row": "no defence",
        "agrees": "1",
        "right": "0",
        "caption": HELD.caption,
        "psnr": "37.25",
        "ssim": "0.9885",
    }
    assert fell["caption"] == "-"


@pytest.mark.parametrize("cut", [1, 3, 20])
def test_a_run_that_was_killed_while_it_wrote_loses_that_line_alone(tmp_path: Path, cut: int) -> None:
    """Also where the last number is cut, which would be another number."""
    path = tmp_path / "a.csv.gz"
    Kept(path).put("clean", 0, "a.jpg", {"no defence": HELD})
    Kept(path).put("clean", 0, "b.jpg", {"no defence": HELD})
    new = tmp_path / "a.new.csv"
    new.write_bytes(new.read_bytes()[:-cut])
    assert set(Kept(path).all("clean")) == {"0 a.jpg"}
    again = Kept(path)
    again.put("clean", 0, "c.jpg", {"no defence": FELL})
    again.pack()
    assert Kept(path).all("clean") == {"0 a.jpg": {"no defence": HELD}, "0 c.jpg": {"no defence": FELL}}


def test_a_pack_that_was_killed_leaves_all_that_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the table was replaced, and before: what is in both counts once."""
    kept = Kept(tmp_path / "a.csv.gz")
    kept.put("clean", 0, "a.jpg", {"no defence": HELD})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            kept.pack()
    assert Kept(kept.path).all("clean") == {"0 a.jpg": {"no defence": HELD}}
    kept.put("clean", 0, "b.jpg", {"no defence": HELD})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            kept.pack()
    assert set(Kept(kept.path).all("clean")) == {"0 a.jpg", "0 b.jpg"}


def test_two_runs_that_share_a_table_lose_nothing_of_each_other(tmp_path: Path) -> None:
    one, two = (Kept(tmp_path / "a.csv.gz") for _ in range(2))
    one.put("clean", 0, "a.jpg", {"no defence": HELD})
    two.put("PGD 8/255", 0, "a.jpg", {"no defence": FELL})
    one.pack()
    two.put("PGD 8/255", 0, "b.jpg", {"no defence": FELL})
    two.pack()
    read = Kept(one.path)
    assert (len(read.all("clean")), len(read.all("PGD 8/255"))) == (1, 2)


def test_reading_a_table_leaves_nothing_beside_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a.csv.gz")
    kept.put("clean", 0, "a.jpg", {"no defence": HELD})
    kept.pack()
    for path in tmp_path.glob("*.lock"):
        path.unlink()
    assert Kept(kept.path).all("clean")
    assert list(tmp_path.iterdir()) == [kept.path]
    assert Kept(None).all("clean") == {}
