"""From photographs to a profile: what counts as one, and what is said."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import beta
from typer.testing import CliRunner, Result

from causalclip.cli import app
from causalclip.profile import Profile, read_profile
from causalclip.yardstick.looking import Looked, Refused, look
from causalclip.yardstick.making import Rate, findings, groups, highest_of_each, make_profile
from causalclip.yardstick.page import as_page
from tests.makers.detectors import saved_detector, tiny_detector
from tests.makers.pictures import encode

CAMERA, TAKEN = 272, 36867


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("detector")
    saved_detector(folder)
    return str(folder / "model")


def run_causalclip(*arguments: object, **variables: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], env={k: str(v) for k, v in variables.items()})


def looked(score: float, *, hash_: int, camera: str = "", day: str = "", name: str = "a") -> Looked:
    return Looked(name, score, hash_, camera, day, "JPEG", 1000, (), "data:,")


def jpeg(pixels: np.ndarray, *, camera: str = "", taken: str = "") -> bytes:
    exif = Image.Exif()
    if camera:
        exif[CAMERA] = camera
    if taken:
        exif.get_ifd(0x8769)[TAKEN] = taken
    return encode(pixels, "JPEG", exif=exif)


def noise(seed: int) -> np.ndarray:
    """Pictures whose perceptual hashes have nothing in common."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC))


def test_days_of_a_camera_and_bursts_count_as_one() -> None:
    far = [int(x) for x in np.random.default_rng(0).integers(0, 2**63, 5)]
    rows = [
        looked(0.9, hash_=far[0], camera="A", day="20260101"),
        looked(0.5, hash_=far[1], camera="A", day="20260101"),
        looked(0.4, hash_=far[2], camera="B", day="20260101"),
        looked(0.3, hash_=far[3]),
        looked(0.6, hash_=far[3] ^ 0b101),
        looked(0.2, hash_=far[4]),
    ]
    found = groups(rows)
    assert found[0] == found[1] != found[2]
    assert found[3] == found[4]
    assert len(set(found)) == 4
    assert highest_of_each(rows) == (0.9, 0.6, 0.4, 0.2)


def test_photographs_become_a_profile_that_holds_no_names() -> None:
    detector = tiny_detector()
    members = [
        (f"secret-{i}.jpg", jpeg(noise(i), camera="Nikon Z 6", taken=f"2026:01:{1 + i // 2:02d} 10:00:00"))
        for i in range(6)
    ]
    found = list(look([*members, ("broken.jpg", b"\xff\xd8\xff nothing")], detector))
    [refused] = [one for one in found if isinstance(one, Refused)]
    rows = [one for one in found if isinstance(one, Looked)]
    assert refused.name == "broken.jpg"
    assert [row.day for row in rows[:3]] == ["20260101", "20260101", "20260102"]
    profile = make_profile(rows, detector, at_most=0.05, generated=rows[:2])
    assert len(profile.scores) == 6
    assert len(profile.counted) == 3
    assert profile.at_most is None
    assert profile.cameras == {"Nikon Z 6": 6}
    assert "secret" not in profile.as_json()
    assert rows[0].score == pytest.approx(detector.predict(noise_as_saved(members[0][1])).probability)
    said = " ".join(findings(profile, shipped=0.7, at_most=0.05))
    assert "3 are too few for 5 %: 59 are needed." in said
    assert "one camera (Nikon Z 6)" in said
    assert "known to be generated" in said
    assert re.search(r"stability: \d\. With such pictures counted as one: \d of 3 \(", said)


def noise_as_saved(data: bytes) -> np.ndarray:
    from causalclip.pictures.loading import load_image

    return load_image(data).pixels


def test_no_photograph_of_a_small_archive_is_outside_its_sizes() -> None:
    rows = [replace(looked(0.1, hash_=i), side=side) for i, side in enumerate((451, 512, 640, 741, 1411))]
    profile = make_profile(rows, tiny_detector(), at_most=0.05)
    assert profile.sides == (451, 1411)
    assert profile.unlike(camera="", format="JPEG", side=451, kinds=()) == ()


def test_interval_is_clopper_and_pearsons() -> None:
    low, high = Rate(3, 412).interval
    assert (low, high) == pytest.approx((beta.ppf(0.025, 3, 410), beta.ppf(0.975, 4, 409)))
    assert Rate(3, 412).words == "3 of 412 (0.7 %; 95 % interval 0.2 to 2.1 %)"


def test_enough_photographs_get_a_threshold_in_words() -> None:
    scores = tuple(np.linspace(0.99, 0.01, 200))
    profile = Profile("m", "r", "float32", "now", scores, scores, 0.02)
    said = " ".join(findings(profile, shipped=0.7, at_most=0.02))
    assert "at most 2 of 100" in said
    assert "stability: 59 of 200 (29.5 %;" in said
    assert "count as one" not in said  # nothing does
    assert "counts as one" not in said
    assert "95 of 100 archives" in said
    assert "stays" in " ".join(findings(profile, shipped=0.999, at_most=0.02))


def test_the_page_shows_the_accused_and_escapes_names() -> None:
    rows = [looked(0.9, hash_=1, name="<b>.jpg"), looked(0.1, hash_=2, name="fine.jpg")]
    page = as_page(["Said."], rows, [Refused("<i>", "No.")], shipped=0.7, high=0.8)
    assert "&lt;b&gt;.jpg: 0.900" in page
    assert "fine.jpg" not in page
    assert "<i>" not in page
    assert "Photographs: 2; in the highest bar: 1." in page


def test_the_command_makes_a_profile_that_detect_uses(model: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(3):
        (photos / f"{i}.jpg").write_bytes(jpeg(noise(i)))
    out = tmp_path / "yardstick"
    done = run_causalclip("calibrate", photos, "--out", out, "--model", model, "--at-most", "2")
    assert done.exit_code == 0, done.output
    assert "3 are too few for 2 %: 149 are needed." in done.stdout
    assert len(read_profile(out / "profile.json").scores) == 3
    assert "<svg" in (out / "summary.html").read_text()
    judged = run_causalclip("detect", photos / "0.jpg", "--model", model, "--profile", out / "profile.json")
    assert "of your archive" in judged.stdout
    named = run_causalclip("detect", photos / "0.jpg", "--model", model, CAUSALCLIP_PROFILE=out / "profile.json")
    assert named.stdout == judged.stdout


def test_the_command_leaves_out_what_gets_no_answer(model: str, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "yardstick"
    photos.mkdir()
    (photos / "even.png").write_bytes(encode(np.full((150, 200, 3), 90, np.uint8), "PNG"))
    alone = run_causalclip("calibrate", photos, "--out", out, "--model", model)
    assert alone.exit_code == 2
    assert "No photograph could be read there." in alone.stderr
    assert "get no answer: 1." in alone.stderr
    (photos / "photo.jpg").write_bytes(jpeg(noise(1)))
    done = run_causalclip("calibrate", photos, "--fakes", photos, "--out", out, "--model", model)
    assert done.exit_code == 0, done.output
    assert "Photographs that were judged: 1." in done.stdout
    assert "get no answer: 2." in done.stdout
    profile = read_profile(out / "profile.json")
    assert len(profile.scores) == len(profile.generated) == 1
    assert "even.png" not in (out / "summary.html").read_text()
    shown = run_causalclip("detect", photos / "even.png", "--model", model, "--profile", out / "profile.json")
    assert "No answer for this kind of picture" in shown.stdout
    assert "of your archive" not in shown.stdout


def test_all_that_a_calibration_says_is_in_the_language_asked_for(model: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(noise(1)))
    (tmp_path / "small.jpg").write_bytes(jpeg(noise(2)[:20]))
    done = run_causalclip("calibrate", tmp_path, "--out", tmp_path / "out", "--model", model, "--lang", "de")
    assert done.exit_code == 2
    assert "Beurteilte Fotografien: 1." in done.stdout
    assert re.search(r"Nicht gelesen: .*small\.jpg: Das Bild hat 160 x 20 Pixel", done.stdout)
    assert "Verwenden Sie es so: python -m causalclip detect" in done.stdout
    assert '<html lang="de"' in (tmp_path / "out" / "summary.html").read_text()
    other = run_causalclip("calibrate", tmp_path, "--model", model, "--lang", "xx")
    assert other.exit_code == 2
    assert "--lang is one of" in other.stderr


def test_refusals_cost_their_row_and_nothing_at_all_is_an_error(model: str, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    done = run_causalclip("calibrate", tmp_path, "--out", tmp_path / "out", "--model", model)
    assert done.exit_code == 2
    assert "No photograph could be read there." in done.stderr
    done = run_causalclip("calibrate", tmp_path / "mistyped", "--out", tmp_path / "out", "--model", model)
    assert "mistyped: There is no such file. Check where it is." in done.stderr
    taken = tmp_path / "note.txt"
    done = run_causalclip("calibrate", tmp_path, "--out", taken, "--model", model)
    assert done.exit_code == 1
    assert done.stderr == f"[Errno 17] File exists: '{taken}'\n"
    bad = run_causalclip("detect", tmp_path / "note.txt", "--profile", tmp_path / "note.txt", "--model", model)
    assert bad.exit_code == 1
    assert "no profile of an archive" in bad.stderr
