"""What takes the memory of a detection: python -m benchmarks.light.memory [--purify]

Prints resident MB of this process after each step, as docs/hosting.md shows them, and the most that it had. Pages of
files are shared between processes, and Linux takes them back where memory is short; the rest is this process's own.
"""

import argparse
import resource
import tempfile
from pathlib import Path

from benchmarks.latency import make_picture

STATUS = Path("/proc/self/status")


def resident() -> tuple[int, int]:
    """MB of all, and of that pages of files."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    every, files = (int(lines[name].split()[0]) // 1024 for name in ("VmRSS", "RssFile"))
    return every, files


def say(what: str) -> None:
    every, files = resident()
    print(f"| {what} | {every:,} | {files:,} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--purify", action="store_true", help="and purifications, in the same process")
    options = parser.parse_args()
    print("| after | all of it | of that files |\n| --- | --- | --- |")
    import torch

    torch.set_num_threads(2)
    say("`import torch`")
    from causalclip.detector import Detector
    from causalclip.examine.stability import check_stability
    from causalclip.maps.overlay import draw_map, prepare
    from causalclip.memory import give_back, keep_little
    from causalclip.pictures.loading import load_image

    keep_little()  # as the app does
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        make_picture(path)
        pixels = load_image(path).pixels
    detector = Detector.from_pretrained()
    say(f"the detector is loaded, in {detector.runtime}")
    detection = detector.predict(pixels)
    say("a detection")
    draw_map(prepare(pixels, detection))
    say("its map")
    check_stability(detector, pixels, detection)
    say("its check")
    give_back()
    say("memory that is free is given back, as the app does")
    if options.purify:
        import purifier.denoiser.pipeline  # noqa: F401
        from benchmarks.purification.speed import measure_purifier

        say("the purifier is imported")
        measure_purifier(1024, 768)
        say("six purifications of 1,024 x 768")
    print(f"\nAt most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB.")


if __name__ == "__main__":
    main()
