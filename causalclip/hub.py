"""Weights from the Hugging Face hub, and to it, by huggingface_hub.

A model is `owner/name` there, and a folder here: `hub_folder` fetches one, `push_folder` sends one.
"""

import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

from causalclip.paths import WeightsMissing

WEIGHTS = ("*.safetensors", "*.json", "*.md", "*.txt")  # what is fetched: no code
UNFINISHED = ("checkpoints/**", "*.partial", "*.part", "checkpoint.pt", ".cache/**")
TAGS = {
    "image-classification": ["generated-image-detection", "arxiv:2512.13285"],
    "image-to-text": ["visual-question-answering", "arxiv:2510.11096"],
    "image-feature-extraction": ["clip"],
}


def is_repository(name: str | Path) -> bool:
    """Return whether a name is `owner/name` of the hub, and no folder here."""
    if not isinstance(name, str) or name.count("/") != 1 or Path(name).exists():
        return False
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not name.startswith(".")


def hub_folder(name: str) -> Path:
    """Fetch a model's files, and return the folder of the hub's cache that holds them.

    Args:
        name: `owner/name`.

    Raises:
        WeightsMissing: the hub cannot be reached, or has no such model that may be read.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WEIGHTS)))
    except RepositoryNotFoundError as error:
        raise WeightsMissing(
            f"The hub has no model {name!r} that may be read here. Check its name, or log in "
            "(hf auth login)."
        ) from error
    except OSError as error:  # what huggingface_hub raises where there is no network
        raise WeightsMissing(
            f"The model {name!r} is not here, and the hub cannot be reached. Fetch it where there "
            f"is a network (hf download {name}) and give its folder."
        ) from error


def folder_of(name: str | Path) -> Path:
    """Return a folder as it is, and the folder of `owner/name` once it is fetched; raises
    WeightsMissing as `hub_folder` does."""
    return hub_folder(str(name)) if is_repository(name) else Path(name)


def push_folder(
    folder: str | Path,
    name: str,
    *,
    private: bool = False,
    repo_type: Literal["model", "dataset"] = "model",
) -> str:
    """Send a model's folder to the hub, in one commit; the repository is made where there is none.

    Args:
        folder: with weights, config and card; what an unfinished run left is not sent.
        name: `owner/name`. private: whether a new repository is. repo_type: what it holds.

    Returns:
        The address of the commit.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(name, private=private, repo_type=repo_type, exist_ok=True)
    commit = api.upload_folder(
        repo_id=name,
        repo_type=repo_type,
        folder_path=str(folder),
        ignore_patterns=list(UNFINISHED),
        commit_message=f"Weights and card of {Path(name).name}",
    )
    return str(commit.commit_url)


class PushToHub(ABC):
    """Gives a model with `save_pretrained` a `push_to_hub`.

    pipeline_tag: the hub's name for what it does.
    """

    pipeline_tag = ""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model to a folder."""

    def push_to_hub(self, name: str, *, private: bool = False) -> str:
        """Send the model to `owner/name` of the hub, with a short card, and return the commit's
        address; `push_folder` sends a folder with a card of its own."""
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            (Path(folder) / "README.md").write_text(self._card(name), encoding="utf-8")
            return push_folder(folder, name, private=private)

    def _card(self, name: str) -> str:
        from huggingface_hub import ModelCardData

        facts: dict[str, Any] = {"library_name": "causalclip", "pipeline_tag": self.pipeline_tag}
        data = ModelCardData(**facts, tags=TAGS[self.pipeline_tag])
        call = f"{type(self).__name__}.from_pretrained({name!r})"
        return f"---\n{data.to_yaml()}\n---\n\n# {Path(name).name}\n\nLoad it by `{call}`.\n"
