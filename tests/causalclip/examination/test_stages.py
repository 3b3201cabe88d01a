"""The examination grows stage by stage; a file is read once and decoded once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causalclip.examination import stages
from causalclip.examination.result import NotJudged, Stage
from causalclip.examination.schema import UnjudgedSchema
from causalclip.examination.stability import COPIES
from causalclip.examination.stages import examine, examine_file
from tests.makers.detectors import refusing_detector, tiny_detector
from tests.makers.metadata_files import unjudged_files
from tests.makers.pictures import encode, photo


@pytest.fixture(scope="module")
def data() -> bytes:
    return encode(photo(320, 240), "JPEG")


def test_each_stage_holds_what_the_ones_before_it_found(data: bytes) -> None:
    grown = list(examine(data, tiny_detector(), name="a.jpg"))
    claims, verdict, *copies, done = grown
    assert [x.stage for x in grown] == sorted(x.stage for x in grown)
    assert claims.stage == Stage.CLAIMS
    assert claims.drawn is None
    assert verdict.stage == Stage.VERDICT
    assert (verdict.width, verdict.height) == (320, 240)
    assert {x.stage for x in copies} == {Stage.COPY}
    assert [x.copies_judged[0] for x in copies if x.copies_judged] == sorted(
        x.copies_judged[0] for x in copies
    )
    assert done.stage == Stage.DONE
    assert done.copies_judged is None
    assert len(done.stability.rows) == COPIES
    assert {(x.sha256, x.name, x.examined) for x in grown} == {
        (done.sha256, "a.jpg", done.examined)
    }


def test_a_file_is_read_once_and_decoded_once(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    counted = {"read_file": 0, "load_image": 0}

    def count(name: str) -> None:
        work = getattr(stages, name)

        def counting(*given: object) -> object:
            counted[name] += 1
            return work(*given)

        monkeypatch.setattr(stages, name, counting)

    for name in counted:
        count(name)
    assert examine_file(path, tiny_detector()).stage == Stage.DONE
    assert counted == {"read_file": 1, "load_image": 1}


@pytest.mark.parametrize("until", list(Stage))
def test_nothing_is_done_beyond_the_stage_that_is_wanted(data: bytes, until: Stage) -> None:
    assert [*examine(data, tiny_detector(), until=until)][-1].stage == until


def test_the_answer_is_the_same_however_it_is_asked_for(data: bytes) -> None:
    detector = tiny_detector()
    *_rest, last = examine(data, detector)
    whole = examine_file(data, detector)
    assert last.detection.probability == pytest.approx(whole.detection.probability, abs=1e-9)
    assert last.stability.rows == whole.stability.rows
    assert last.headline == whole.headline


def test_a_picture_without_an_answer_has_no_copies() -> None:
    grown = list(examine(encode(photo(200, 150), "JPEG"), refusing_detector("drawing")))
    assert [x.stage for x in grown] == [Stage.CLAIMS, Stage.VERDICT, Stage.DONE]
    assert grown[-1].stability is None


def test_what_a_file_says_is_known_before_its_pixels_are_refused() -> None:
    stream = examine(encode(Image.new("RGB", (16, 16)), "PNG"), tiny_detector())
    assert next(stream).stage == Stage.CLAIMS
    with pytest.raises(NotJudged):
        next(stream)


@pytest.mark.parametrize("why", list(unjudged_files()))
def test_what_is_refused_for_its_pixels_is_headlined_by_its_file(why: str) -> None:
    with pytest.raises(NotJudged) as refused:
        examine_file(unjudged_files()[why], tiny_detector(), name="a.jpg")
    x = refused.value.examination
    assert (x.stage, x.name, x.problem) == (Stage.CLAIMS, "a.jpg", str(refused.value))
    assert (x.headline.source, x.headline.name) == ("file", "Ideogram")
    assert x.headline.pixels.endswith(x.problem)
    assert UnjudgedSchema.dump(x)["provenance"]["marks"][0]["generator"] == "Ideogram"


def test_what_is_refused_and_claims_nothing_is_not_examined() -> None:
    with pytest.raises(NotJudged) as refused:
        examine_file(encode(photo(20, 16), "PNG"), tiny_detector())
    headline = refused.value.examination.headline
    assert (headline.title, headline.source, headline.silent) == ("Not examined", "pixels", True)


def test_a_part_is_judged_alone_under_the_file_s_own_hash() -> None:
    picture = photo(600, 400)
    part = examine_file(
        encode(picture, "PNG"), tiny_detector(), until=Stage.VERDICT, part=(400, 100, 100, 300)
    )
    alone = examine_file(
        encode(np.ascontiguousarray(picture[100:300, 100:400]), "PNG"),
        tiny_detector(),
        until=Stage.VERDICT,
    )
    assert part.part.box == (100, 100, 400, 300)
    assert (part.part.width, part.part.height) == (600, 400)
    assert (part.width, part.height) == (300, 200)
    assert part.detection.probability == pytest.approx(alone.detection.probability, abs=1e-6)
    assert part.sha256 != alone.sha256
