"""The kinds of CLAP checkpoint, recognized by their path.

a folder with portable_m2d.py          M2D-CLAP by NTT's code
a .pt file, or a folder with one       LAION's own, RoBERTa's tokenizer beside it
CLAP_weights_2023.pth, or a folder     Microsoft's, GPT-2's tokenizer beside it
  with it or with msclap.json
a folder with towers.json              two pretrained towers with projections
a folder with modules.json             a sentence encoder of sentence-transformers, for regress
any other folder                       transformers' layout, of a ClapModel, or for regress of a
                                       PE-AV or a Whisper
owner/name, or owner/name@revision     a transformers folder on the hub
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from soundjudge.clap.encoders.source import ClapSource
from soundjudge.data.hub import hub
from soundjudge.errors import HubError, SoundjudgeError

if TYPE_CHECKING:
    import torch

    from soundjudge.clap.encoders.encoder import ClapEncoder
    from soundjudge.clap.encoders.m2d import M2dClap
    from soundjudge.clap.encoders.msclap import MsClap
    from soundjudge.clap.encoders.pe_audio import PeAudioClap
    from soundjudge.clap.encoders.sentence_transformer import SentenceTransformer
    from soundjudge.clap.encoders.towers import TowersClap
    from soundjudge.clap.encoders.transformers_clap import TransformersClap
    from soundjudge.clap.encoders.whisper import WhisperMeans

    Device = str | torch.device
    SavableEncoder = TransformersClap | PeAudioClap | WhisperMeans
    TunableClap = TransformersClap | M2dClap | MsClap | TowersClap


@dataclass(frozen=True, kw_only=True)
class ClapKind:
    """How checkpoints of one kind are recognized, loaded and copied."""

    marks: tuple[str, ...]  # patterns that the path's own name fits, or a name in that folder
    load: Callable[[ClapSource, Device], ClapEncoder]
    load_tunable: Callable[[ClapSource, Device], TunableClap]
    copy: Callable[[ClapSource, Path], None] | None  # into a judge; None: its license forbids it


def clap_kind(path: Path) -> str:
    """The kind of the checkpoint at `path`, a key of KINDS, by its names alone."""
    for name, kind in KINDS.items():
        if any(path.match(mark) or any(path.glob(mark)) for mark in kind.marks):
            return name
    return "transformers"


def load_encoder(source: ClapSource, device: Device) -> ClapEncoder:
    """The CLAP of `source`, in eval mode."""
    kind = clap_kind(source.path)
    if source.backend == "laion-clap" and kind != "laion":
        raise SoundjudgeError(f"{source.path} is no .pt file: its backend must be transformers.")
    return KINDS[kind].load(source, device)


def load_tunable(source: ClapSource, device: Device) -> TunableClap:
    """The CLAP of `source`, with towers whose weights can be trained."""
    if source.backend == "laion-clap":
        raise SoundjudgeError(
            f"{source.path}: what the package laion-clap runs can't be tuned; regress can use it. "
            "For tune_clap, set encoders.clap.backend to transformers."
        )
    return KINDS[clap_kind(source.path)].load_tunable(source, device)


def copy_encoder(source: ClapSource, folder: Path) -> None:
    """Writes the CLAP as a transformers folder of safetensors, which needs no other package."""
    copy = KINDS[clap_kind(source.path)].copy
    assert copy is not None, f"no judge may hold a copy of {source.path}"
    copy(source, folder)


def check_one_m2d(paths: Sequence[Path]) -> None:
    """Raises SoundjudgeError for several CLAPs of which a judge must ask its user for a copy."""
    names = [path.as_posix() for path in paths if KINDS[clap_kind(path)].copy is None]
    if len(names) > 1:
        raise SoundjudgeError(
            f"{' and '.join(names)} are M2D-CLAPs, and a judge can ask its user for one alone: "
            "take all others out of encoders.clap and regress.extra_claps."
        )


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


# The loaders import what they need: recognizing a kind takes no torch.


def _load_transformers(source: ClapSource, device: Device) -> SavableEncoder:
    from soundjudge.clap.encoders import pe_audio, weight_files, whisper
    from soundjudge.clap.encoders.transformers_clap import TransformersClap

    folder = resolve_path(source.path)
    if source.sha256 is not None:
        weight_files.check_sha256(folder / "model.safetensors", source.sha256)
    if pe_audio.is_pe_audio(folder):
        return pe_audio.PeAudioClap.load(folder, device)
    if whisper.is_whisper(folder):
        return whisper.WhisperMeans.load(folder, device)
    return TransformersClap.load(folder, device)


def _load_tunable_transformers(source: ClapSource, device: Device) -> TransformersClap:
    from soundjudge.clap.encoders.transformers_clap import TransformersClap

    clap = _load_transformers(source, device)
    if not isinstance(clap, TransformersClap):
        raise SoundjudgeError(
            f"{source.path}: what is no ClapModel, as PE-AV and Whisper, can't be tuned; regress "
            "can use it: name it in regress.extra_claps, and a CLAP in encoders.clap."
        )
    return clap


def _load_laion(source: ClapSource, device: Device) -> TransformersClap:
    from soundjudge.clap.encoders import laion

    return laion.load_laion(_laion_file(source.path), device, source.sha256)


def _load_frozen_laion(source: ClapSource, device: Device) -> ClapEncoder:
    if source.backend == "transformers":
        return _load_laion(source, device)
    from soundjudge.clap.encoders.laion_backend import LaionClap

    return LaionClap.load(_laion_file(source.path), device, source.sha256)


def _laion_file(path: Path) -> Path:
    files = sorted(path.glob("*.pt")) if path.is_dir() else [path]
    if len(files) > 1:
        raise SoundjudgeError(f"{path} holds {len(files)} .pt files: name the one that you mean.")
    return files[0]


def _load_m2d(source: ClapSource, device: Device) -> M2dClap:
    from soundjudge.clap.encoders.m2d import M2dClap

    return M2dClap.load(source.path, device, source.sha256)


def _load_tunable_m2d(source: ClapSource, device: Device) -> M2dClap:
    clap = _load_m2d(source, device)
    clap.check_parts()
    return clap


def _load_msclap(source: ClapSource, device: Device) -> MsClap:
    from soundjudge.clap.encoders.msclap import MsClap

    return MsClap.load(source.path, device, source.sha256)


def _load_sentence(source: ClapSource, device: Device) -> SentenceTransformer:
    from soundjudge.clap.encoders import weight_files
    from soundjudge.clap.encoders.sentence_transformer import SentenceTransformer

    if source.sha256 is not None:
        weight_files.check_sha256(source.path / "model.safetensors", source.sha256)
    return SentenceTransformer.load(source.path, device)


def _refuse_sentence(source: ClapSource, _: Device) -> NoReturn:
    raise SoundjudgeError(
        f"{source.path} reads texts alone: name it in regress.extra_claps, and a CLAP here."
    )


def _load_towers(source: ClapSource, device: Device) -> TowersClap:
    from soundjudge.clap.encoders import towers, weight_files

    if source.sha256 is not None:
        weight_files.check_sha256(source.path / towers.WEIGHTS, source.sha256)
    return towers.TowersClap.load(source.path, device)


# In the order in which they are tried.
KINDS = {
    "m2d": ClapKind(
        marks=("portable_m2d.py", "m2d_clap_*"),
        load=_load_m2d,
        load_tunable=_load_tunable_m2d,
        copy=None,
    ),
    "msclap": ClapKind(
        marks=("msclap.json", "CLAP_weights_*.pth"),
        load=_load_msclap,
        load_tunable=_load_msclap,
        copy=lambda source, folder: _load_msclap(source, "cpu").save(folder),
    ),
    "towers": ClapKind(
        marks=("towers.json",),
        load=_load_towers,
        load_tunable=_load_towers,
        copy=lambda source, folder: _load_towers(source, "cpu").save(folder),
    ),
    "sentence": ClapKind(
        marks=("modules.json",),
        load=_load_sentence,
        load_tunable=_refuse_sentence,
        copy=lambda source, folder: _load_sentence(source, "cpu").save(folder),
    ),
    "transformers": ClapKind(
        marks=("preprocessor_config.json", "processor_config.json"),
        load=_load_transformers,
        load_tunable=_load_tunable_transformers,
        copy=lambda source, folder: _load_transformers(source, "cpu").save(folder),
    ),
    "laion": ClapKind(
        marks=("*.pt",),
        load=_load_frozen_laion,
        load_tunable=_load_laion,
        copy=lambda source, folder: _load_laion(source, "cpu").save(folder),
    ),
}
