"""The tab "Your pictures": portions are judged and deleted, and answers are held to the profile
that comes of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from causalclip.images.loading import load_image
from causalclip.paths import WeightsMissing
from causalclip.reference import BadProfile
from causalclip.reference_set import Lesson, ReferencePicture, UnreadFile, learn
from causalclip.report.reference import BARS, COLOURS
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import coarse_noise, encode
from ui import detector as held_detector
from ui.detector import ChosenDetector
from ui.panel import new_request
from ui.server.uploads import add
from ui.tabs.reference import session
from ui.tabs.reference.session import (
    MAX_PICTURES,
    MAX_PROFILE_BYTES,
    MAX_THUMBNAILS,
    ProfileChoice,
    ReferenceSet,
)
from ui.tabs.reference.tab import ReferenceTab, build_reference_tab, chooser


@pytest.fixture(scope="module")
def tab() -> ReferenceTab:
    detector = tiny_detector()
    with gr.Blocks(), gr.Tabs(), gr.Tab() as tab:
        return build_reference_tab(tab, ChosenDetector(lambda: detector))


@pytest.fixture(autouse=True)
def nobody_has_chosen() -> Iterator[None]:
    yield
    held_detector._chosen.clear()


def noise(seed: int) -> bytes:
    return encode(coarse_noise(seed), "JPEG")


def upload(**files: bytes) -> list[dict[str, str]]:
    """As the server keeps them: each in a folder of its own, of whoever asks."""
    named = {name.replace("_", "."): data for name, data in files.items()}
    paths = [add(BytesIO(data), name, "", len(data)) for name, data in named.items()]
    return [{"path": path} for path in paths]


def run(
    tab: ReferenceTab,
    payload: Any,
    reference_set: ReferenceSet | None = None,
    *,
    generated: bool = False,
) -> Any:
    return list(tab.run(new_request("reference"), payload, reference_set, "5", generated=generated))


def judged(score: float, n: int = 0) -> ReferencePicture:
    return ReferencePicture(
        f"{n}.jpg", score, n, f"camera {n}", "20260101", "JPEG", 1000, (), "data:,"
    )


def whole(count: int) -> ReferenceSet:
    """Photographs by as many cameras, whose scores are spread over [0, 0.9]."""
    hashes = np.random.default_rng(0).integers(0, 2**63, count)
    return ReferenceSet(
        real=tuple(judged(0.9 * n / count, int(hash_)) for n, hash_ in enumerate(hashes)),
        judged=count,
    )


def test_the_last_sentence_fits_what_was_asked_for(tab: ReferenceTab) -> None:
    few = whole(12)
    threshold = few.report(tab.detector.own(), 0.05).sentences()
    correction = few.report(tab.detector.own(), 0.05, corrects=True).sentences()
    assert "59 are needed" in threshold[-1]
    assert "10 real and 10 generated" in correction[-1]
    assert not any("59" in sentence for sentence in correction)


def test_the_chart_shows_both_kinds(tab: ReferenceTab) -> None:
    both = replace(whole(12), generated=tuple(judged(0.95, 100 + i) for i in range(4)))
    section = both.report(tab.detector.own(), 0.05, corrects=True).section()
    assert "Real pictures: 12; generated ones: 4" in section
    assert all(section.count(f"fill='{colour}'") == BARS for colour in COLOURS)
    alone = whole(12).report(tab.detector.own(), 0.05).section()
    assert alone.count("<rect") == 2 * BARS


def test_ten_of_each_kind_are_asked_for_before_any_larger_number() -> None:
    places = chooser().split("</fieldset>")
    numbers = [re.findall(r"\b\d+\b", re.sub("<[^>]*>", "", place)) for place in places[:2]]
    assert numbers[0][:3] == ["10", "5", "59"]
    assert numbers[1] == ["10"]


def test_a_portion_is_judged_counted_and_deleted_at_once(tab: ReferenceTab) -> None:
    payload = upload(a_jpg=noise(1), b_jpg=b"\xff\xd8\xff broken", c_jpg=noise(2))
    updates = run(tab, payload)
    counted = [f"data-judged='{n}' data-portions='0'" for n in (1, 2, 3)]
    assert all(count in update[tab.status] for count, update in zip(counted, updates, strict=False))
    last = updates[-1]
    assert "data-judged='3' data-portions='1'" in last[tab.status]
    assert [last[field] for field in tab.files.values()] == [None, None]
    assert not any(Path(one["path"]).exists() for one in payload)
    reference_set = last[tab.reference_set]
    assert (len(reference_set.real), len(reference_set.unread), reference_set.judged) == (2, 1, 3)
    assert reference_set.real[0].score == pytest.approx(
        tab.detector().score(load_image(noise(1)).pixels).probability
    )
    assert "Photographs that were judged: 2." in last[tab.result]
    assert "b.jpg: " in last[tab.result]
    assert re.search(r"<svg role='img' [^>]*direction='ltr'>", last[tab.result])  # in Arabic, too
    assert tab.reference_set.time_to_live <= 3600


def test_a_page_has_a_limit_and_small_copies_of_the_accused_alone(tab: ReferenceTab) -> None:
    reference_set = ReferenceSet()
    for n in range(MAX_THUMBNAILS + 20):
        reference_set = reference_set.with_picture(judged(0.9, n), generated=False, high=0.7)
    reference_set = reference_set.with_picture(judged(0.2, 5000), generated=False, high=0.7)
    reference_set = reference_set.with_picture(judged(0.9, 5001), generated=True, high=0.7)
    reference_set = reference_set.with_picture(UnreadFile("x", "No."), generated=False, high=0.7)
    assert sum(bool(one.thumbnail) for one in reference_set.real) == MAX_THUMBNAILS
    assert not reference_set.generated[0].thumbnail
    assert reference_set.judged == MAX_THUMBNAILS + 23
    payload = upload(a_jpg=noise(1), b_jpg=noise(2))
    assert (
        run(tab, payload, ReferenceSet(judged=MAX_PICTURES - 1))[-1][tab.reference_set].judged
        == MAX_PICTURES
    )
    assert not any(Path(one["path"]).exists() for one in payload)


def test_a_failure_halts_and_leaves_no_file() -> None:
    def missing() -> Any:
        raise WeightsMissing("There are none.")

    with gr.Blocks(), gr.Tabs(), gr.Tab() as outer:
        broken = build_reference_tab(outer, ChosenDetector(missing))
    payload = upload(a_jpg=noise(1))
    [update] = run(broken, payload)
    assert "data-halt" in update[broken.status]
    assert "There are none." in update[broken.status]
    assert not Path(payload[0]["path"]).exists()


def test_a_profile_of_a_file_is_read_and_its_upload_goes(tab: ReferenceTab, tmp_path: Path) -> None:
    choice, path = ProfileChoice(tab.detector), tab.profile(whole(80), "5")
    assert path
    data = Path(path).read_bytes()
    payload = upload(profile_json=data)
    said, field = choice.load(payload)
    assert "Photographs in it: 80." in said
    assert field is None
    assert not Path(payload[0]["path"]).exists()
    other = json.loads(data) | {"revision": "another"}
    assert "Make it again" in choice.load(upload(profile_json=json.dumps(other).encode()))[0]
    assert "This is no profile" in choice.load(upload(profile_json=b"[]"))[0]
    assert "more than 1 MB" in choice.load(upload(profile_json=b" " * (MAX_PROFILE_BYTES + 1)))[0]
    assert "Photographs in it: 80." in choice.status()  # what cannot be used changes nothing
    with pytest.raises(gr.Error):
        choice.load([{"path": str(tmp_path / "elsewhere.json")}])


def test_a_report_learns_once_and_has_the_profile_that_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detector = tiny_detector(hidden=8)
    width = sum(len(head.shift) for head in detector.heads.values())
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(2, 12, width)).astype(np.float16)
    generated[:, :10] += 20
    reference_set = ReferenceSet(
        real=tuple(replace(judged(0.2, i), lesson=Lesson(x, -1.0)) for i, x in enumerate(real)),
        generated=tuple(
            replace(judged(0.8, 100 + i), lesson=Lesson(x, 1.0)) for i, x in enumerate(generated)
        ),
    )
    profile = reference_set.report(detector, 0.05, corrects=True).profile
    runs = []
    monkeypatch.setattr(session, "learn", lambda *of: runs.append(1) or learn(*of))
    assert reference_set.report(detector, 0.05).learned is None  # a threshold was asked for
    report = reference_set.report(detector, 0.05, corrects=True)
    assert runs == [1]
    assert report.learned is not None
    assert report.profile.private == report.learned.private == profile.private
    assert replace(report.profile, made=profile.made) == profile


def test_a_page_that_was_closed_is_forgotten_and_pages_have_a_limit(tab: ReferenceTab) -> None:
    profile = whole(80).report(tab.detector.own(), 0.05).profile
    tab.detector.choose(profile)
    held_detector.forget_choices("")
    assert tab.detector.profile is None
    held_detector._chosen.update(
        {
            f"another {n}": held_detector.ChosenProfile("", profile)
            for n in range(held_detector.MAX_PROFILES)
        }
    )
    with pytest.raises(BadProfile, match="At most 4 pages"):
        tab.detector.choose(profile)


def test_one_address_never_takes_all_places_for_profiles(tab: ReferenceTab, answer: Any) -> None:
    profile = whole(80).report(tab.detector.own(), 0.05).profile

    def choose(session: str, address: str) -> None:
        answer(session, address)
        tab.detector.choose(profile)

    for i in range(held_detector.MAX_PROFILES_OF_ADDRESS):
        choose(f"crowd-{i}", "192.0.2.1")
    choose("crowd-0", "192.0.2.1")  # another profile in the place of its own
    with pytest.raises(BadProfile, match="At most 4 pages"):
        choose("crowd-x", "192.0.2.1")
    choose("other", "192.0.2.2")
    held_detector.forget_choices("crowd-0")
    choose("crowd-x", "192.0.2.1")


def test_a_place_for_a_profile_that_nobody_has_used_for_an_hour_is_free(
    tab: ReferenceTab, answer: Any
) -> None:
    profile = whole(80).report(tab.detector.own(), 0.05).profile
    for i in range(held_detector.MAX_PROFILES_OF_ADDRESS):
        answer(f"crowd-{i}", "192.0.2.1")
        tab.detector.choose(profile)
    for chosen in held_detector._chosen.values():
        chosen.used -= held_detector.UNUSED + 1
    answer("crowd-0", "192.0.2.1")
    assert tab.detector.profile == profile  # it is used again
    answer("crowd-x", "192.0.2.1")
    tab.detector.choose(profile)
    assert set(held_detector._chosen) == {"crowd-0", "crowd-x"}
