"""Rows by generator and by hard kind: names are joined by family, shares are of the right pictures."""

import numpy as np
import pytest

from benchmarks.detection import by_licence, by_note, family_of, with_clear_licence
from causalclip.dataset.selection import choose
from causalclip.dataset.table import COLUMNS, as_picture
from causalclip.training.data import Record
from causalclip.training.evaluation import Scores


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("OpenAI GPT-4o/GPT-image (C2PA)", "GPT Image 1 and 1.5, GPT-4o"),
        ("GPT Image 2 (OpenAI)", "GPT Image 2"),
        ("Gemini image, GPT Image (Replit)", "several at one site"),
        ("Gemini image (Replit)", "Gemini, Nano Banana"),
        ("FLUX.2 klein", "FLUX.2"),
        ("Flux Dev via Leonardo.ai", "FLUX.1"),
        ("unknown (Lovable 2026)", "Lovable's tool, model not stated"),
        ("unknown (2026)", "not stated"),
        ("", "not stated"),
        ("SimSwap", "SimSwap"),
    ],
)
def test_names_are_joined_by_family(name: str, family: str) -> None:
    assert family_of(name) == family


def picture(number: int, *, label: str, split: str = "test", generator: str = "", hard: str = "") -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "") | {
        "set": "sites",
        "split": split,
        "label": label,
        "kind": "photo",
        "real_by": "owner" if label == "real" else "",
        "format": "JPEG",
        "licence": "MIT",
    }
    named = {"generator": generator, "hard": hard, "repo": f"o{number % 2}/r", "commit": "a" * 40, "path": "a.jpg"}
    return (
        row
        | named
        | {"site": f"o{number % 2}", "evidence": "stated", "sha256": f"{number:064x}", "width": "9", "height": "9"}
    )


def test_shares_are_of_the_test_pictures_of_sites_at_one_threshold() -> None:
    fakes = [picture(i, label="fake", generator="Qwen-Image") for i in range(4)]
    night = [picture(10 + i, label="real", hard="night") for i in range(4)]
    rows = [*fakes, *night, picture(90, label="fake", generator="Qwen-Image 2", split="train")]
    table = [as_picture(row, line) for line, row in enumerate(rows, 2)]
    records = [
        Record(
            f"{i}.jpg", int(p.label == "fake"), p.owner, "test", "sites", "picture", p.sha256, p.owner, owner=p.owner
        )
        for i, p in enumerate(table[:8])
    ]
    bands = ["likely generated"] * 2 + ["inconclusive"] * 3 + ["likely generated"] + ["likely not generated"] * 2
    probability = np.array([0.9, 0.9, 0.3, 0.9, 0.5, 0.8, 0.1, 0.1])
    found = by_note(Scores(tuple(records), probability, tuple(bands)), table)
    assert 0.5 < found["threshold"] <= 0.8
    assert found["generators"] == {
        "Qwen-Image": {"pictures": 4, "owners": 2, "in_train": 1, "recognised": 0.75, "called": 0.5}
    }
    assert found["hard"] == {"night": {"pictures": 4, "owners": 2, "accused": 0.25, "inconclusive": 0.25}}


def records_of(rows: list[dict[str, str]]) -> list[Record]:
    table = [as_picture(row, line) for line, row in enumerate(rows, 2)]
    return [
        Record(f"{i}.jpg", int(p.label == "fake"), p.owner, "test", p.set, "picture", p.sha256, p.owner, owner=p.owner)
        for i, p in enumerate(table)
    ]


def test_the_row_of_clear_licences_holds_what_the_sample_is_drawn_from_and_nothing_else() -> None:
    drawn = [picture(i, label=("real", "fake")[i % 2]) for i in range(6)]
    others = [
        picture(10, label="real") | {"licence": "CC BY-NC 4.0"},
        picture(11, label="real") | {"pair": "one"},
        picture(12, label="real") | {"kind": "drawing"},
        picture(13, label="real") | {"set": "edits"},
        picture(14, label="real", split="train"),
    ]
    table = [as_picture(row, line) for line, row in enumerate([*drawn, *others], 2)]
    records = records_of([*drawn, *others])
    assert with_clear_licence(table, records) == records[:6]
    assert {p.sha256 for p in choose(table, sample=True)} == {r.picture for r in records[:6]}
    with pytest.raises(FileNotFoundError, match="1 of 6 originals are not there"):
        with_clear_licence(table, records[1:])
    bands = ("likely not generated", "likely generated") * 3
    scores = Scores(tuple(records[:6]), np.array([0.1, 0.9, 0.2, 0.8, 0.85, 0.7]), bands)
    row = by_licence(scores, threshold=0.5, bands=())
    assert (row["pictures"], row["owners"], row["sets"]) == (6, 2, {"sites": 6})
    assert row["auc"] == pytest.approx(7 / 9)
    assert row["auc_interval"][0] <= row["auc"] <= row["auc_interval"][1]
    assert row["bands"]["likely generated"] == {"real": 0.0, "generated": 1.0}
