"""Which CLAP checkpoints params.yaml names, and how each is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a checkpoint is opened; section `encoders.opening` of params.yaml."""

    backend: Literal["transformers", "laion-clap"]  # what runs a .pt file of LAION's
    sha256: str | None  # that the weights' file must have; None = any, if it can't run code


AS_IT_IS = Opening(backend="transformers", sha256=None)


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """An entry of regress.extra_claps that says which sha256 the file of weights must have."""

    path: Path
    sha256: str | None  # None = any, if it can't run code


def openings(first: Opening, sha256s: Sequence[str | None]) -> list[Opening]:
    """How several CLAPs are opened: encoders.clap, the first, as `first` says.

    A backend is said of that one alone; `sha256s` are those of the others' files.
    """
    return [first, *(Opening(backend="transformers", sha256=sha256) for sha256 in sha256s)]
