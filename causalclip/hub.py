"""Weights from the Hugging Face hub, by huggingface_hub: `owner/name` there, a folder here."""

from pathlib import Path

from causalclip.paths import WeightsMissing

WEIGHTS = ("*.safetensors", "*.json", "*.md", "*.txt")  # what is fetched: no code


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
