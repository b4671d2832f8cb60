"""Folders of the Hugging Face hub, by their id: owner/name, owner/name@revision; hf:// may lead."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from soundjudge.errors import HubError

SCHEME = "hf://"
OUR_FOLDERS = ("checkpoints", "data")  # of the repository: typed elsewhere, they are no accounts


class HubOptions(TypedDict, total=False):
    """Of a download, as huggingface_hub has them."""

    revision: str | None
    token: str | bool | None
    cache_dir: str | Path | None
    force_download: bool
    local_files_only: bool


def is_hub_id(name: str) -> bool:
    """Whether `name` is an id of the hub, with or without hf://.

    "checkpoints/x" is none, nor is "folder/x" beside a folder of that name.
    """
    owner = Path(name).parent
    is_local = owner.exists() or owner.name in OUR_FOLDERS
    return name.startswith(SCHEME) or (name.count("/") == 1 and not is_local)


def repository_name(name: str) -> str:
    """The name of the repository alone, without its owner."""
    return Path(name.removeprefix(SCHEME).partition("@")[0]).name


def download_command(name: str) -> tuple[str, str]:
    """The command that downloads the hub's folder, and the folder that it writes."""
    repository, _, revision = name.removeprefix(SCHEME).partition("@")
    folder = f"checkpoints/official/{repository_name(name)}"
    command = f"hf download {repository}" + (f" --revision {revision}" if revision else "")
    return f"{command} --local-dir {folder}", folder


def snapshot_folder(
    name: str, patterns: Sequence[str] | None = None, **options: Unpack[HubOptions]
) -> Path:
    """The hub's folder in the local cache, downloaded if need be: all files, or by `patterns`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.removeprefix(SCHEME).partition("@")
    options = {"revision": revision or None, **options}
    files = list(patterns) if patterns else None
    try:
        return Path(snapshot_download(repository, allow_patterns=files, **options))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise HubError(f"the hub does not provide {name}") from error
