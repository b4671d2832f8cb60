"""What an entry of the catalog says: repositories, files, hashes, license, and where it is put."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Mirror:
    """A repository of the hub that has the files."""

    repository: str
    revision: str = "main"
    kind: Literal["model", "dataset"] = "model"

    @property
    def page(self) -> str:
        """Its path below the hub's address."""
        return f"datasets/{self.repository}" if self.kind == "dataset" else self.repository

    def __str__(self) -> str:
        return f"{self.page}@{self.revision}"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository."""

    name: str
    bytes: int
    "about so many, to plan with; the hub says how many exactly"
    sha256: str | None = None
    "that it must have; null = that of the first download, kept beside the file"
    optional: bool = False
    "not every repository of its kind has it"

    @property
    def is_weights(self) -> bool:
        """Whether its hash is recorded where none is known."""
        return Path(self.name).suffix in (".safetensors", ".pt", ".pth")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing to fetch."""

    description: str
    mirrors: tuple[Mirror, ...]
    "in the order in which they are tried"
    files: tuple[RemoteFile, ...]
    license: str
    path: Path
    "the file, or the folder of the files"
    in_cache: bool = False
    "`path` starts from the user's cache, not from the working folder"
    companion: str = ""
    "the entry of another repository whose files belong into the same folder"

    @property
    def is_file(self) -> bool:
        """Whether `path` is a lone file."""
        return self.path.suffix == ".pt"

    @property
    def bytes(self) -> int:
        """About so many, optional files left out."""
        return sum(file.bytes for file in self.files if not file.optional)

    def trust_sentences(self) -> tuple[str, ...]:
        """What is to be known of weights whose sha256 nobody has published."""
        return tuple(
            f"no published sha256 of {file.name} is known: the first download is trusted, its "
            "sha256 kept"
            for file in self.files
            if file.is_weights and file.sha256 is None
        )

    @property
    def target(self) -> Path:
        """Where it is put unless somebody says otherwise."""
        return user_cache(self.path.as_posix()) if self.in_cache else self.path


def user_cache(name: str) -> Path:
    """A folder of this name for all that one user fetches."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "soundjudge" / name
