"""Sends the shipped models and the data set's tables to the Hugging Face hub.

    python -m scripts.publish OWNER               # says what it would send
    python -m scripts.publish OWNER --send        # sends it, with the token of `hf auth login`

Each folder of assets/models becomes OWNER/causalclip-NAME, the tables OWNER/causalclip-pictures. A
detector's card names its data set, its tower and what was measured of it (model-index).
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.errors import HfHubHTTPError

from causalclip.hub import push_folder
from causalclip.measured import measured
from causalclip.paths import ASSETS, HEADS

SETS = "alike", "broad", "edits", "fresh", "sites", "all"  # of test pictures
TABLES = Path(__file__).resolve().parent.parent / "training" / "tables"


@dataclass(frozen=True, slots=True)
class Shipment:
    """A folder, and the repository that it becomes."""

    folder: Path
    repository: str
    repo_type: Literal["model", "dataset"] = "model"

    def files(self) -> list[Path]:
        """Return the files that are sent."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def _shipments(owner: str) -> Iterator[Shipment]:
    """Yield every folder that is published, under an owner's name."""
    for folder in sorted(path for path in ASSETS.iterdir() if (path / "README.md").is_file()):
        yield Shipment(folder, f"{owner}/causalclip-{folder.name}")
    yield Shipment(TABLES, f"{owner}/causalclip-pictures", "dataset")


def card(shipment: Shipment, owner: str) -> ModelCard | None:
    """Return a detector's card with its data set, tower and measurements; None for the others,
    whose own card is sent."""
    head = next((head for head, name in HEADS.items() if name == shipment.folder.name), None)
    if head is None:
        return None
    own = ModelCard.load(shipment.folder / "README.md")
    own.data.datasets = [f"{owner}/causalclip-pictures"]
    own.data.base_model = f"{owner}/causalclip-clip-vit-b-16"
    own.data.model_name = shipment.folder.name
    own.data.eval_results = results(head, f"{owner}/causalclip-pictures")
    return own


def results(head: str, data_set: str) -> list[EvalResult]:
    """Return a head's AUC and average precision on each test set, for the card's model-index."""
    numbers = measured()
    sets = [name for name in SETS if f"detection.{head}.{name}.auc" in numbers]
    return [
        EvalResult(
            task_type="image-classification",
            dataset_type=data_set,
            dataset_name=f"test, {name}",
            dataset_config=name,
            dataset_split="test",
            metric_type=metric,
            metric_value=round(numbers[f"detection.{head}.{name}.{key}"].value, 3),
        )
        for name in sets
        for metric, key in (("roc_auc", "auc"), ("average_precision", "ap"))
    ]


def send(shipment: Shipment, owner: str, *, private: bool) -> str:
    """Send a folder with its card, and return the commit's address."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        shutil.copytree(shipment.folder, copy)
        if own := card(shipment, owner):
            own.save(copy / "README.md")
        return push_folder(copy, shipment.repository, private=private, repo_type=shipment.repo_type)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m scripts.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("owner", help="a user or an organisation of the hub")
    parser.add_argument("--only", nargs="*", default=[], help="names of folders, such as purifier")
    parser.add_argument("--send", action="store_true", help="send; without it nothing is sent")
    parser.add_argument("--private", action="store_true", help="new repositories are private")
    arguments = parser.parse_args(words)

    chosen = [
        one
        for one in _shipments(arguments.owner)
        if not arguments.only or one.folder.name in arguments.only
    ]
    if not chosen:
        parser.error(f"None of {', '.join(arguments.only)} is a folder that is published.")
    for one in chosen:
        files = one.files()
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"{one.repo_type} {one.repository}: {len(files)} files, {size:.1f} MB")
        if not arguments.send:
            for path in files:
                print(f"    {path.relative_to(one.folder)}")
            continue
        try:
            print(f"    sent: {send(one, arguments.owner, private=arguments.private)}")
        except (HfHubHTTPError, OSError) as error:
            sys.exit(f"    not sent: {error}")
    if not arguments.send:
        print("Nothing was sent: add --send.")


if __name__ == "__main__":
    main()
