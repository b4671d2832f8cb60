"""A CLAP checkpoint of any kind, opened by its path.

a folder with config.json              transformers' layout
a .pt file, or a folder with one       LAION's own, RoBERTa's tokenizer beside it
a folder with portable_m2d.py          M2D-CLAP by NTT's code
owner/name, or owner/name@revision     a transformers folder on the hub
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from soundjudge.clap.encoders import laion, m2d, m2d_copy, weight_files
from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.source import Opening
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.data.fetch import hub
from soundjudge.errors import HubError, SoundjudgeError

Kind = Literal["transformers", "laion", "m2d"]


def load_encoder(path: Path, device: str | torch.device, opening: Opening) -> ClapEncoder:
    """The CLAP at `path`, in eval mode."""
    if opening.backend == "laion-clap":
        from soundjudge.clap.encoders.laion_backend import LaionClap

        if checkpoint_kind(path) != "laion":
            raise SoundjudgeError(
                f"{path} is no .pt file: encoders.opening.backend must be transformers."
            )
        return LaionClap.load(_laion_file(path), device, opening.sha256)
    if checkpoint_kind(path) == "m2d":
        return m2d.M2dClap.load(path, device, opening.sha256)
    return load_as_transformers(path, device, opening.sha256)


def load_tunable(
    path: Path, device: str | torch.device, opening: Opening
) -> TransformersClap | m2d.M2dClap:
    """The CLAP at `path`, with towers whose weights can be trained."""
    if opening.backend == "laion-clap":
        raise SoundjudgeError(
            f"{path}: what the package laion-clap runs can't be tuned; regress can use it. For "
            "tune, set encoders.opening.backend to transformers."
        )
    if checkpoint_kind(path) == "m2d":
        clap = m2d.M2dClap.load(path, device, opening.sha256)
        clap.check_parts()
        return clap
    return load_as_transformers(path, device, opening.sha256)


def load_as_transformers(
    path: Path, device: str | torch.device, sha256: str | None
) -> TransformersClap:
    """The CLAP of a transformers folder, an id of the hub or a .pt file: it can be saved."""
    if checkpoint_kind(path) == "laion":
        return laion.load_laion(_laion_file(path), device, sha256)
    folder = resolve_path(path)
    if sha256 is not None:
        weight_files.check_sha256(folder / "model.safetensors", sha256)
    return TransformersClap.load(folder, device)


def check_one_m2d(paths: Sequence[Path]) -> None:
    """Raises ClapError for several M2D-CLAPs: of a judge's user no more than one is asked for."""
    found = [path.as_posix() for path in paths if checkpoint_kind(path) == "m2d"]
    if len(found) > 1:
        raise SoundjudgeError(
            f"{' and '.join(found)} are M2D-CLAPs, and a judge can ask its user for one alone: "
            "take all others out of encoders.clap and regress.extra_claps."
        )


def checkpoint_kind(path: Path) -> Kind:
    """What lies at `path`, by its names alone."""
    if (path / m2d_copy.CODE).is_file():
        return "m2d"
    ours = (path / "preprocessor_config.json", path / "processor_config.json")
    if path.suffix == ".pt" or (any(path.glob("*.pt")) and not any(p.is_file() for p in ours)):
        return "laion"
    return "transformers"


def _laion_file(path: Path) -> Path:
    files = sorted(path.glob("*.pt")) if path.is_dir() else [path]
    if len(files) > 1:
        raise SoundjudgeError(f"{path} holds {len(files)} .pt files: name the one that you mean.")
    return files[0]


def resolve_path(path: Path) -> Path:
    """The path itself, or for an id of the hub its copy here, fetched if need be."""
    name = path.as_posix()
    if not hub.is_hub_id(name):
        return path
    try:
        return hub.snapshot_folder(name, ("*.json", "*.txt", "*.safetensors"))
    except HubError as error:
        command, place = hub.download_command(name)
        raise SoundjudgeError(
            f"{name} is no folder here and is not to be had from the hub. Where the hub is in "
            f"reach: {command}; then name {place} in its place in params.yaml."
        ) from error
