"""Fits the templates of visible marks from public pictures that bear them: python -m
scripts.mark_templates MIRRORS

MIRRORS holds bare git directories OWNER+NAME. Where a mark stands on a black picture, the template
is its brightness; where it stands on others, it is what they have in common. Writes
assets/marks/templates.safetensors, uint8 [H, W] each.
"""

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from causalclip.marks.pixels import TEMPLATES

# Of the repository and commit: the picture and the mark's box in it, as x0, y0, x1, y1.
CAPTURES = "wiltodelta/remove-ai-watermarks", "f52e40ae24"
BLACK = {
    "doubao": ("data/calibration/doubao/doubao_black_1x1_1.png", (1692, 1938, 2014, 2007)),
    "jimeng": ("data/calibration/jimeng/jimeng_cap_A.png", (1582, 1878, 1982, 1982)),
    "samsung-it": ("data/calibration/samsung/samsung_black_1.png", (18, 1406, 352, 1434)),
}
DREAMINA = (
    "nasa1024/zhaoyaojing",
    "72bf176b8a",
    "tests/fixtures/dreamina_visible_wm.jpg",
    (18, 18, 150, 71),
)
META = "IndiOfEarth/Theme-Park-Website", "28aee8e484", (50, 1121, 160, 1231)
META_PICTURES = tuple(f"images/MetaAI{name}.jpg" for name in ("", "(2)", "(3)", "(4)", "(5)"))
PROMPTS = "songguoxs/gpt4o-image-prompts", "27ee9f06bc"
# Where Grok's logo stands in them, as pixels from the right and the bottom: it has one size,
# whatever the picture's is.
GROK, GROK_BOX = ("images/676.jpeg", "images/739.jpeg", "images/927.jpeg"), (76, 35, 13, 15)
PILL = "images/223-2.jpeg", (1001, 1950, 1071, 2002)
META_WORDS = "images/760.jpeg", (606, 1361, 769, 1399)
# px of a template; others have 128
WIDTHS = {"samsung-it": 256, "meta": 96, "grok": 63, "gemini-pill": 70}


def read(mirrors: Path, repository: str, commit: str, path: str) -> np.ndarray:
    """The grey picture, float32 [H, W]; the mirror's newest commit where it lacks the named one."""
    folder = mirrors / repository.replace("/", "+")
    git = next(
        place
        for place in (folder / "repo" / ".git", folder / "repo", folder)
        if (place / "HEAD").exists()
    )
    for version in (commit, "HEAD"):
        shown = subprocess.run(
            ["git", "-C", str(git), "show", f"{version}:{path}"], capture_output=True, check=False
        )
        if shown.returncode == 0:
            return np.asarray(Image.open(io.BytesIO(shown.stdout)).convert("L"), dtype=np.float32)
    raise SystemExit(f"{repository} has no {path} at {commit}.")


def cut(grey: np.ndarray, box: tuple[int, int, int, int], width: int) -> np.ndarray:
    """A box of a picture at so many px of width, from 0 to 1."""
    x0, y0, x1, y1 = box
    part = cv2.resize(
        grey[y0:y1, x0:x1],
        (width, round(width * (y1 - y0) / (x1 - x0))),
        interpolation=cv2.INTER_AREA,
    )
    return (part - part.min()) / (part.max() - part.min())


def above_ground(grey: np.ndarray, side: int) -> np.ndarray:
    """What is brighter than the median of its surroundings."""
    ground = cv2.medianBlur(grey.astype(np.uint8), side).astype(np.float32)
    return np.clip(grey - ground, 0, None)


def main(mirrors: Path) -> None:
    fitted = {
        name: cut(read(mirrors, *CAPTURES, path), box, WIDTHS.get(name, 128))
        for name, (path, box) in BLACK.items()
    }
    repository, commit, path, box = DREAMINA
    pill = above_ground(read(mirrors, repository, commit, path), 15)
    fitted["jimeng-pill"] = np.clip(cut(pill, box, 128) * 1.5, 0, 1)
    repository, commit, box = META
    common = np.median(
        [above_ground(read(mirrors, repository, commit, path), 41) for path in META_PICTURES],
        axis=0,
    )
    fitted["meta"] = np.clip(cut(common, box, WIDTHS["meta"]) * 1.5 - 0.2, 0, 1)
    corners = []
    for path in GROK:
        grey = above_ground(read(mirrors, *PROMPTS, path), 21)
        right, bottom = grey.shape[::-1]
        corners.append(
            grey[
                bottom - GROK_BOX[1] : bottom - GROK_BOX[3],
                right - GROK_BOX[0] : right - GROK_BOX[2],
            ]
        )
    logo = np.mean([corner / np.percentile(corner, 99) for corner in corners], axis=0)
    fitted["grok"] = cut(logo, (0, 0, *logo.shape[::-1]), WIDTHS["grok"])
    path, box = PILL
    fitted["gemini-pill"] = cut(read(mirrors, *PROMPTS, path), box, WIDTHS["gemini-pill"])
    path, box = META_WORDS
    fitted["meta-words"] = np.clip(
        cut(above_ground(read(mirrors, *PROMPTS, path), 41), box, 128) * 1.5 - 0.2, 0, 1
    )
    TEMPLATES.parent.mkdir(exist_ok=True)
    save_file(
        {name: np.round(255 * part).astype(np.uint8) for name, part in fitted.items()}, TEMPLATES
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
