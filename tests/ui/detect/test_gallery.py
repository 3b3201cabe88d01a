"""The gallery of stored answers: of this revision, without the pictures, with a link and words to each."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from causalclip.evidence.examination import examine
from causalclip.languages import LANGUAGES, speaking
from causalclip.paths import shipped_folder
from causalclip.pictures.loading import load_image
from scripts import gallery as script
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.detect.gallery import FOLDER, PICTURES, gallery, way_there


def test_what_is_stored_is_of_the_shipped_revision() -> None:
    """After a new detector: python -m scripts.gallery ORIGINALS."""
    kept = json.loads((FOLDER / "examinations.json").read_text(encoding="utf-8"))
    shipped = json.loads((shipped_folder("assets") / "models" / "detector" / "config.json").read_text())
    assert kept["revision"] == shipped["revision"]
    assert set(kept["pictures"]) == {public.sha256 for public in PICTURES}
    assert {path.stem for path in FOLDER.glob("*.webp")} == {public.sha256[:12] for public in PICTURES}


def test_each_has_its_answer_its_map_and_a_link_to_one_commit() -> None:
    drawn = gallery()
    assert drawn.count("<article>") == drawn.count("src='data:image/webp") == len(PICTURES)
    links = re.findall(r"href='(.*?)'", drawn)
    assert all(re.match(r"https://github\.com/[^/]+/[^/]+/blob/[0-9a-f]{40}/\S+$", link) for link in links)
    assert drawn.count("In truth: ") == len(PICTURES)
    assert "In truth: a photograph<" in drawn
    assert "In truth: generated, " in drawn


def test_who_has_no_picture_yet_is_led_to_those_that_it_calls_likely_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as there are such."""
    assert "<a href='#public-pictures'>See public pictures that it called likely generated</a>" in way_there()
    text = (FOLDER / "examinations.json").read_text(encoding="utf-8")
    (tmp_path / "examinations.json").write_text(text.replace('"likely generated"', '"inconclusive"'), encoding="utf-8")
    monkeypatch.setattr("ui.detect.gallery.FOLDER", tmp_path)
    assert way_there() == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_words_are_in_every_language(language: str) -> None:
    with speaking(language):
        assert ("In truth" in gallery()) == (language == "en")


def test_a_map_has_nothing_of_its_picture(tmp_path: Path) -> None:
    """The same map of another picture is the same file."""
    detector = tiny_detector()
    x = examine(encode(photo(300, 200), "PNG"), detector)
    script.draw(x, tmp_path / "one.webp")
    object.__setattr__(x, "pixels", np.zeros_like(x.pixels))
    size = script.draw(x, tmp_path / "two.webp")
    assert (tmp_path / "one.webp").read_bytes() == (tmp_path / "two.webp").read_bytes()
    assert max(size) == script.SIDE


def test_the_script_writes_what_the_page_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(photo(300, 200), "PNG")
    public = replace(PICTURES[0], sha256=hashlib.sha256(data).hexdigest())
    originals = tmp_path / "originals" / public.sha256[:2]
    originals.mkdir(parents=True)
    (originals / f"{public.sha256}.png").write_bytes(data)
    monkeypatch.setattr(script, "PICTURES", (public,))
    monkeypatch.setattr("ui.detect.gallery.PICTURES", (public,))
    monkeypatch.setattr("ui.detect.gallery.FOLDER", tmp_path / "kept")
    detector = tiny_detector()
    script.write(tmp_path / "originals", detector, tmp_path / "kept")
    x = examine(data, detector)
    drawn = gallery()
    assert x.headline.title in drawn
    assert x.stability is not None
    assert x.stability.words in drawn
    assert load_image(tmp_path / "kept" / f"{public.sha256[:12]}.webp").width == script.SIDE
