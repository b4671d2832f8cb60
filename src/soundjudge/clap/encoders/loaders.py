"""How each kind of CLAP is loaded, and of which type it is.

The loaders import what they need: recognizing a kind takes no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from soundjudge.clap.encoders.source import ClapSource
from soundjudge.data.hub import hub
from soundjudge.errors import HubError, SoundjudgeError

if TYPE_CHECKING:
    import torch

    from soundjudge.clap.encoders.encoder import ClapEncoder as ClapEncoder
    from soundjudge.clap.encoders.m2d import M2dClap
    from soundjudge.clap.encoders.mgaclap import MgaClap
    from soundjudge.clap.encoders.msclap import MsClap
    from soundjudge.clap.encoders.pe_audio import PeAudioClap
    from soundjudge.clap.encoders.sentence_transformer import SentenceTransformer
    from soundjudge.clap.encoders.towers import TowersClap
    from soundjudge.clap.encoders.transformers_clap import TransformersClap
    from soundjudge.clap.encoders.whisper import WhisperMeans

    Device = str | torch.device
    SavableEncoder = TransformersClap | PeAudioClap | WhisperMeans
    TunableClap = TransformersClap | M2dClap | MsClap | TowersClap


def resolve_path(path: Path) -> Path:
    """The path itself, or for an id of the hub its copy here, fetched if need be."""
    name = path.as_posix()
    if not hub.is_hub_id(name):
        return path
    try:
        return hub.snapshot_folder(name, ("*.json", "*.txt", "*.safetensors"))
    except HubError as error:
        command, folder = hub.download_command(name)
        raise SoundjudgeError(
            f"{name} is no folder here and is not to be had from the hub. Where the hub is in "
            f"reach: {command}; then name {folder} in its place in params.yaml."
        ) from error


def load_transformers(source: ClapSource, device: Device) -> SavableEncoder:
    """A transformers folder: a ClapModel, a PE-AV or a Whisper."""
    from soundjudge.clap.encoders import pe_audio, weight_files, whisper
    from soundjudge.clap.encoders.transformers_clap import TransformersClap

    folder = resolve_path(source.path)
    weight_files.check_sha256(folder / "model.safetensors", source.sha256)
    if pe_audio.is_pe_audio(folder):
        return pe_audio.PeAudioClap.load(folder, device)
    if whisper.is_whisper(folder):
        return whisper.WhisperMeans.load(folder, device)
    return TransformersClap.load(folder, device)


def load_tunable_transformers(source: ClapSource, device: Device) -> TransformersClap:
    """A ClapModel; SoundjudgeError for what else a transformers folder may hold."""
    from soundjudge.clap.encoders.transformers_clap import TransformersClap

    clap = load_transformers(source, device)
    if not isinstance(clap, TransformersClap):
        raise SoundjudgeError(
            f"{source.path}: what is no ClapModel, as PE-AV and Whisper, can't be tuned; regress "
            "can use it: name it in regress.extra_encoders, and a CLAP in encoders.clap."
        )
    return clap


def load_laion(source: ClapSource, device: Device) -> TransformersClap:
    """A .pt file of LAION's as a transformers CLAP."""
    from soundjudge.clap.encoders import laion

    return laion.load_laion(laion_file(source.path), device, source.sha256)


def load_frozen_laion(source: ClapSource, device: Device) -> ClapEncoder:
    """A .pt file of LAION's, run by what its source asks for."""
    if source.backend == "transformers":
        return load_laion(source, device)
    from soundjudge.clap.encoders.laion_backend import LaionClap

    return LaionClap.load(laion_file(source.path), device, source.sha256)


def laion_file(path: Path) -> Path:
    """The .pt file itself, or the one of its folder."""
    files = sorted(path.glob("*.pt")) if path.is_dir() else [path]
    if len(files) > 1:
        raise SoundjudgeError(f"{path} holds {len(files)} .pt files: name the one that you mean.")
    return files[0]


def load_m2d(source: ClapSource, device: Device) -> M2dClap:
    """The user's own M2D-CLAP."""
    from soundjudge.clap.encoders.m2d import M2dClap

    return M2dClap.load(source.path, device, source.sha256)


def load_tunable_m2d(source: ClapSource, device: Device) -> M2dClap:
    """The user's own M2D-CLAP, which runs part by part."""
    clap = load_m2d(source, device)
    clap.check_parts()
    return clap


def load_msclap(source: ClapSource, device: Device) -> MsClap:
    """Microsoft's CLAP of 2023."""
    from soundjudge.clap.encoders.msclap import MsClap

    return MsClap.load(source.path, device, source.sha256)


def load_mgaclap(source: ClapSource, device: Device) -> MgaClap:
    """MGA-CLAP."""
    from soundjudge.clap.encoders.mgaclap import MgaClap

    return MgaClap.load(source.path, device, source.sha256)


def refuse_mgaclap(source: ClapSource, _: Device) -> NoReturn:
    """Raises SoundjudgeError: it does not run as towers and projections, one after the other."""
    raise SoundjudgeError(
        f"{source.path}: MGA-CLAP can't be tuned; regress can use it: name it in "
        "regress.extra_encoders, and another CLAP in encoders.clap."
    )


def load_sentence(source: ClapSource, device: Device) -> SentenceTransformer:
    """A folder of sentence-transformers."""
    from soundjudge.clap.encoders import weight_files
    from soundjudge.clap.encoders.sentence_transformer import SentenceTransformer

    weight_files.check_sha256(source.path / "model.safetensors", source.sha256)
    return SentenceTransformer.load(source.path, device)


def refuse_sentence(source: ClapSource, _: Device) -> NoReturn:
    """Raises SoundjudgeError: text alone makes no CLAP."""
    raise SoundjudgeError(
        f"{source.path} reads texts alone: name it in regress.extra_encoders, and a CLAP here."
    )


def load_towers(source: ClapSource, device: Device) -> TowersClap:
    """Pretrained towers with projections."""
    from soundjudge.clap.encoders import towers, weight_files

    weight_files.check_sha256(source.path / towers.WEIGHTS, source.sha256)
    return towers.TowersClap.load(source.path, device)
