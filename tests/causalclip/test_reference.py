"""The bound on false alarms, the command that makes a profile, and profiles."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from crepes.base import p_values_batch
from PIL import Image
from scipy.stats import binom
from typer.testing import CliRunner, Result

from causalclip.commands.app import app
from causalclip.images.loading import load_image
from causalclip.reference import (
    BadProfile,
    hold,
    parse_profile,
    photographs_needed,
    rank,
    read_profile,
    threshold,
    too_few,
)
from causalclip.reference_set import (
    ReferencePicture,
    UnreadFile,
    examine_set,
    groups,
    highest_of_each,
    make_profile,
)
from causalclip.report.reference import ReferenceReport
from tests.makers.detectors import tiny_detector, tiny_profile
from tests.makers.pictures import coarse_noise, encode, photo

CAMERA, TAKEN = 272, 36867


def run_causalclip(*arguments: object, **variables: object) -> Result:
    return CliRunner().invoke(
        app, [str(a) for a in arguments], env={k: str(v) for k, v in variables.items()}
    )


def judged(
    score: float, *, hash_: int, camera: str = "", day: str = "", name: str = "a"
) -> ReferencePicture:
    return ReferencePicture(name, score, hash_, camera, day, "JPEG", 1000, (), "data:,")


def jpeg(pixels: np.ndarray, *, camera: str = "", taken: str = "") -> bytes:
    exif = Image.Exif()
    if camera:
        exif[CAMERA] = camera
    if taken:
        exif.get_ifd(0x8769)[TAKEN] = taken
    return encode(pixels, "JPEG", exif=exif)


# The bound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at_most", "least"), [(0.05, 59), (0.02, 149), (0.01, 299)])
def test_fewest_photographs(at_most: float, least: int) -> None:
    assert photographs_needed(at_most) == least
    assert (rank(least - 1, at_most), rank(least, at_most)) == (0, 1)
    assert str(least) in too_few(least - 1, at_most)
    assert too_few(least, at_most) == ""


@pytest.mark.parametrize("n", [100, 480_000])
@pytest.mark.parametrize("at_most", [0.05, 0.01])
def test_rank_is_the_largest_that_keeps_the_bound(n: int, at_most: float) -> None:
    """P(Beta(k, n + 1 - k) <= a) is the chance that at least k of n uniform numbers lie at or below
    a."""
    k = rank(n, at_most)
    assert k == 0 or 1 - binom.cdf(k - 1, n, at_most) >= 0.95
    assert 1 - binom.cdf(k, n, at_most) < 0.95


def test_the_bound_is_kept_in_95_of_100_archives() -> None:
    """Uniform scores, of which the share above a threshold is known: the plain rank would keep it
    in about half."""
    rng = np.random.default_rng(0)
    accused = [1 - (threshold(rng.uniform(size=200), 0.05) or 0.0) for _ in range(2000)]
    assert 0.945 <= np.mean(np.array(accused) <= 0.05) <= 0.985
    plain = [1 - np.sort(rng.uniform(size=200))[-10] for _ in range(2000)]
    assert np.mean(np.array(plain) <= 0.05) < 0.65


def test_threshold_is_just_above_a_tie_and_as_crepes_has_it() -> None:
    """crepes gives (1 + archive scores at least as high) / (n + 1); accused is who has at most k /
    (n + 1)."""
    scores = [0.9] * 5 + [0.1] * 195
    assert threshold(scores, 0.05) == np.nextafter(0.9, 2)
    assert threshold(scores[:58], 0.05) is None
    rng = np.random.default_rng(1)
    archive, new = rng.normal(size=200), rng.normal(size=500)
    values = p_values_batch(archive, new, smoothing=False)
    high = threshold(archive, 0.05)
    assert high is not None
    assert np.array_equal(
        new >= high, values <= rank(len(archive), 0.05) / (len(archive) + 1) + 1e-12
    )


# From photographs to a profile --------------------------------------------------------------------


def test_days_of_a_camera_and_bursts_count_as_one() -> None:
    far = [int(x) for x in np.random.default_rng(0).integers(0, 2**63, 5)]
    rows = [
        judged(0.9, hash_=far[0], camera="A", day="20260101"),
        judged(0.5, hash_=far[1], camera="A", day="20260101"),
        judged(0.4, hash_=far[2], camera="B", day="20260101"),
        judged(0.3, hash_=far[3]),
        judged(0.6, hash_=far[3] ^ 0b101),
        judged(0.2, hash_=far[4]),
    ]
    found = groups(rows)
    assert found[0] == found[1] != found[2]
    assert found[3] == found[4]
    assert len(set(found)) == 4
    assert highest_of_each(rows) == (0.9, 0.6, 0.4, 0.2)


def test_photographs_become_a_profile_that_holds_no_names() -> None:
    detector = tiny_detector()
    members = [
        (
            f"secret-{i}.jpg",
            jpeg(coarse_noise(i), camera="Nikon Z 6", taken=f"2026:01:{1 + i // 2:02d} 10:00:00"),
        )
        for i in range(6)
    ]
    found = list(examine_set([*members, ("broken.jpg", b"\xff\xd8\xff nothing")], detector))
    assert [one.name for one in found if isinstance(one, UnreadFile)] == ["broken.jpg"]
    rows = [one for one in found if isinstance(one, ReferencePicture)]
    assert [row.day for row in rows[:3]] == ["20260101", "20260101", "20260102"]
    profile = make_profile(rows, detector, at_most=0.05, generated=rows[:2])
    assert (len(profile.scores), len(profile.counted), profile.at_most) == (6, 3, None)
    assert profile.cameras == {"Nikon Z 6": 6}
    assert "secret" not in profile.as_json()
    assert rows[0].score == pytest.approx(
        detector.predict(load_image(members[0][1]).pixels).probability
    )
    said = " ".join(ReferenceReport(profile, rows, (), shipped=0.7, at_most=0.05).sentences())
    for words in (
        "3 are too few for 5%: 59 are needed.",
        "one camera (Nikon Z 6)",
        "known to be generated",
    ):
        assert words in said


def test_the_page_shows_the_accused_and_escapes_names() -> None:
    rows = [judged(0.9, hash_=1, name="<b>.jpg"), judged(0.1, hash_=2, name="fine.jpg")]
    profile = make_profile(rows, tiny_detector(), at_most=0.05)
    page = ReferenceReport(
        profile, rows, [UnreadFile("<i>", "No.")], shipped=0.7, at_most=0.05
    ).page()
    assert "&lt;b&gt;.jpg: 0.900" in page
    assert "fine.jpg" not in page
    assert "<i>" not in page


# The command --------------------------------------------------------------------------------------


def test_the_command_makes_a_profile_that_detect_uses(model: str, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for i in range(3):
        (photos / f"{i}.jpg").write_bytes(jpeg(coarse_noise(i)))
    (photos / "even.png").write_bytes(encode(np.full((150, 200, 3), 90, np.uint8), "PNG"))
    done = run_causalclip(
        "calibrate", photos, "--out", out, "--model", model, "--at-most", "2", "--fakes", photos
    )
    assert done.exit_code == 0, done.output
    assert "3 are too few for 2%: 149 are needed." in done.stdout
    assert "get no answer: 2." in done.stdout
    assert len(read_profile(out / "profile.json").scores) == 3
    assert "<svg" in (page := (out / "summary.html").read_text())
    assert "even.png" not in page
    detect = "detect", photos / "0.jpg", "--explain", "--model", model
    found = run_causalclip(*detect, "--profile", out / "profile.json")
    assert "photographs of yours" in found.stdout
    named = run_causalclip(*detect, CAUSALCLIP_PROFILE=out / "profile.json")
    assert named.stdout == found.stdout


def test_nothing_that_can_be_judged_is_an_error(model: str, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    done = run_causalclip("calibrate", tmp_path, "--out", tmp_path / "out", "--model", model)
    assert done.exit_code == 2
    assert "No photograph could be read there." in done.stderr
    done = run_causalclip("calibrate", tmp_path, "--out", tmp_path / "note.txt", "--model", model)
    assert done.exit_code == 1
    assert done.stderr.startswith("[Errno 17] File exists")


# Profiles -----------------------------------------------------------------------------------------


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    tiny_profile().write(tmp_path / "profile.json")
    assert read_profile(tmp_path / "profile.json") == tiny_profile()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"scores": [float("nan")]},
        {"counted": [0.5] * 480_000},
        {"sides": [6000, 900]},
        {"cameras": {"": -5}},
        {"kinds": {"dark": "3"}},
    ],
)
def test_other_files_are_refused_in_a_sentence(change: dict) -> None:
    raw = json.loads(tiny_profile().as_json()) | change
    with pytest.raises(BadProfile, match="calibrate"):
        parse_profile(json.dumps(raw).encode())


def test_what_is_no_profile_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for data in (b"", b"{}", b"\xff\xfe", b"[" * 100_000):
        with pytest.raises(BadProfile, match="no profile"):
            parse_profile(data)
    with pytest.raises(BadProfile, match="cannot be read"):
        read_profile(tmp_path / "gone.json")


def test_a_profile_only_raises_the_threshold() -> None:
    detector = tiny_detector()  # its own is 0.7
    stricter = hold(detector, tiny_profile()).predict(photo(200, 160))
    own = threshold(tiny_profile().counted, 0.05)
    assert own is not None
    assert stricter.high == own > 0.7
    assert "at most 5 of 100" in stricter.standing.rule
    looser = hold(detector, tiny_profile(tuple(np.linspace(0.3, 0, 200)))).predict(photo(200, 160))
    assert looser.high == 0.7
    assert "stays" in looser.standing.rule
    plain = detector.predict(photo(200, 160))
    assert (plain.high, plain.standing) == (0.7, None)
    assert plain.probability == pytest.approx(stricter.probability)


def test_a_profile_of_another_model_is_refused() -> None:
    with pytest.raises(BadProfile, match="revision older"):
        hold(tiny_detector(), dataclasses.replace(tiny_profile(), revision="older"))
