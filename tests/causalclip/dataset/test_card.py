"""The data card says what the tables say, and the tables alone."""

import pytest

from causalclip.dataset.card import END, START, count, fill
from causalclip.dataset.generators import generator_of
from causalclip.dataset.sites import describe, read_sites
from causalclip.dataset.table import read_table
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT


def test_the_card_is_as_the_tables_are() -> None:
    text = (ROOT / "data/README.md").read_text(encoding="utf-8")
    tables = read_table(ROOT / "data/pictures.csv.gz"), read_sites(ROOT / "data/sites.csv")
    assert fill(text, *tables) == text, "Write the counts again: python -m causalclip data card"


def test_counts_are_of_pictures_and_of_owners() -> None:
    rows = [
        picture(path="a"),
        picture(path="b", real_by="exif", hard="night"),
        picture("bert/b", split="test", label="fake", generator="FLUX.1", licence="none stated"),
        picture("emil/e", "1", set="edits2", pair="p"),
        picture("emil/e", "2", set="edits2", pair="p", label="fake", generator="FLUX.1", pasted="yes"),
    ]
    text = count(rows, describe(rows))
    for line in (
        "5 pictures of 3 owners, in 3 repositories.",
        "| `sites` | train | 1 | 2 | 0 |",
        "| `sites` | test | 1 | 0 | 1 |",
        "| `exif` | 1 | 1 |",
        "| `owner` | 2 | 2 |",
        "| `night` | 1 | 1 |",
        "| pictures and their edited versions | 1 | 0 |",
        "1 photographs of 1 owners stand beside",
        "kept its own pixels in 1,",
        "Generators are named in 1 ways.",
        "| FLUX.1 | 2 | 2 |",
        "4 pictures have a licence that lets anybody use them, of 1 no licence is stated",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("name", "generator"),
    [
        ("GPT Image 2 (OpenAI)", "GPT Image 2"),
        ("OpenAI GPT-4o/GPT-image (ChatGPT)", "GPT Image 1, 1.5 or not stated"),
        ("OpenAI GPT-4o image (Sora web name)", "GPT Image 1, 1.5 or not stated"),
        ("Google Nano Banana Pro (Gemini 3 Pro Image)", "Nano Banana Pro (Gemini 3 Pro Image)"),
        ("Nano Banana 2 (Google)", "Nano Banana 2"),
        ("Nano Banana (Gemini)", "Nano Banana (Gemini 2.5 Flash Image)"),
        ("Gemini image (Replit)", "Gemini, version not stated"),
        ("Midjourney v7 (PNG Description/Job ID metadata)", "Midjourney 7"),
        ("FLUX.2 klein (flux2-klein-4b.png)", "FLUX.2"),
        ("sds-ostris_flex.2-preview", ""),
        ("Seedream 4.5", "Seedream 4"),
        ("HunyuanImage 3.0", "Hunyuan Image 3"),
        ("sds-tencent-hunyuan_hunyuandit-v1.1-diffusers", ""),
        ("GPT Image or Grok", ""),
        ("Gemini image, GPT Image", ""),
        ("unknown (2752x1536: Gemini 3 Pro Image; 2496x1664: Seedream?)", ""),
    ],
)
def test_a_newest_generator_counts_where_its_name_stands_alone(name: str, generator: str) -> None:
    assert generator_of(name) == generator


def test_newest_generators_are_counted_by_split_and_owner() -> None:
    made = [picture(f"o{n % 2}/x", f"{n}.jpg", label="fake", generator="FLUX.2 Pro") for n in range(5)]
    made.append(picture("t/x", split="test", label="fake", generator="GPT Image 2"))
    text = count(made, describe(made))
    assert "| FLUX.2 | 5 (2) | 0 | 0 |" in text
    assert "| GPT Image 2 | 0 | 1 (1) | 0 |" in text
    assert "| Recraft | 0 | 0 | 0 |" in text


def test_a_card_without_its_place_for_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        fill(f"{START} and no end", [picture()], describe([picture()]))
    assert fill(f"a {START} old {END} z", [picture()], describe([picture()])).startswith(f"a {START}\n\n1 pictures")
