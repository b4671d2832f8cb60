"""Folders of the Hugging Face hub, by their id: owner/name, or owner/name@revision."""

from collections.abc import Sequence
from pathlib import Path
from soundjudge.errors import HubError




def is_hub_id(name: str) -> bool:
    """Whether `name` can only be meant for the hub: "checkpoints/x" beside a folder "checkpoints"
    is a path, never an id."""
    return name.count("/") == 1 and not Path(name).parent.exists()


def download_command(name: str) -> tuple[str, str]:
    """The command that puts the hub's folder into one here, and the path of that."""
    repository, _, revision = name.partition("@")
    place = f"checkpoints/official/{Path(repository).name}"
    command = f"hf download {repository}" + (f" --revision {revision}" if revision else "")
    return f"{command} --local-dir {place}", place


def snapshot_folder(name: str, patterns: Sequence[str] | None = None) -> Path:
    """The hub's folder in its cache here, fetched if need be; `patterns` say which files."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    wanted = list(patterns) if patterns else None
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=wanted))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise HubError(f"the hub does not give out {name}") from error
