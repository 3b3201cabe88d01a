"""Runs benchmarks by their names, each into the JSON file beside its module, then writes the pages
that show them.

    python -m benchmarks [NAME ...] [--data ../shared/data] [--originals ../originals]

Without a name all run that need no more than the data: that is days on two cores, most of them for
`purification`. `pages` writes the pages alone. What was computed of single pictures is kept in
--cache, so that a killed run goes on.
"""

import argparse
from dataclasses import fields
from importlib import import_module
from pathlib import Path

from benchmarks import pages
from benchmarks.common import Options, write

BENCHMARKS = {
    "detection": "AUC, answers, generators and sources on the test pictures; both heads",
    "robustness": "the same pictures re-encoded, cut to other shapes, retouched",
    "stability": "the stability check, and how often answers are right that copies change",
    "splices": "maps against regions that were pasted in",
    "ablation": "what each piece of the method adds",
    "series": "learned from Stable Diffusion alone, judged on every other series",
    "masks": "what a picture's own mask is worth, and what both halves share",
    "curve": "the price of independence: AUC against what the held-back part shares and tells",
    "fewshot": "what a correction from a reader's own pictures gains",
    "purification": "answers that defences keep under attack",
    "captions": "captions that defences keep under attack",
    "attacked": "whether an attack on the detector is noticed, and verdicts before and after",
    "latency": "seconds and memory of a detection and of a purification",
    "load": "many clients at once",
}
ALONE = {
    "marks": "marks found on --files; with --pictures 1 on real pictures instead, by mistake",
    "forwarded": "what is said of photographs that messengers saved, and of pictures saved alike",
    "signatures": "what C2PA's own reader and what this program say, of C2PA's test images",
    "pages": "writes docs/measured.md and the measured parts of other pages",
}


def main() -> None:
    benchmarks = BENCHMARKS | ALONE
    table = "\n".join(f"  {name:13} {what}" for name, what in benchmarks.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=f"{__doc__}\n{table}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of these benchmarks")
    defaults = Options()
    for field in fields(Options):
        value = getattr(defaults, field.name)
        parser.add_argument(
            f"--{field.name}", type=Path if isinstance(value, Path) else type(value), default=value
        )
    arguments = vars(parser.parse_args())
    names, options = arguments.pop("names") or list(BENCHMARKS), Options(**arguments)
    if unknown := [name for name in names if name not in benchmarks]:
        parser.error(f"There is no benchmark {unknown[0]!r}. There are: {', '.join(benchmarks)}.")
    for name in names:
        if name != "pages":
            report = import_module(f"benchmarks.{name}").measure(options)
            if report is not None:
                write(name, report)
    pages.write_all()


if __name__ == "__main__":
    main()
