"""The kinds of CLAP checkpoint, recognized by their path.

a folder with portable_m2d.py          M2D-CLAP by NTT's code
a .pt file, or a folder with one       LAION's own, RoBERTa's tokenizer beside it
CLAP_weights_2023.pth, or a folder     Microsoft's, GPT-2's tokenizer beside it
  with it or with msclap.json
mga*.pt, or a folder with it or with   MGA-CLAP, BERT's tokenizer beside it, for regress
  mgaclap.json
a folder with towers.json              pretrained towers with projections
a folder with modules.json             a sentence encoder of sentence-transformers, for regress
any other folder                       transformers' layout, of a ClapModel, or for regress of a
                                       PE-AV or a Whisper
owner/name, or owner/name@revision     a transformers folder on the hub
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundjudge.clap.encoders import loaders
from soundjudge.clap.encoders.loaders import resolve_path as resolve_path
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.errors import SoundjudgeError

if TYPE_CHECKING:
    from soundjudge.clap.encoders.loaders import ClapEncoder, Device, TunableClap


@dataclass(frozen=True, kw_only=True)
class ClapKind:
    """How checkpoints of one kind are recognized, loaded and copied."""

    marks: tuple[str, ...]  # patterns that the path's own name fits, or a name in that folder
    load: Callable[[ClapSource, Device], ClapEncoder]
    load_tunable: Callable[[ClapSource, Device], TunableClap]
    may_copy: bool = True  # into a judge; its license may forbid it


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
    kind = KINDS[clap_kind(source.path)]
    assert kind.may_copy, f"no judge may hold a copy of {source.path}"
    encoder: Any = kind.load(replace(source, backend="transformers"), "cpu")
    encoder.save(folder)


def check_one_m2d(paths: Sequence[Path]) -> None:
    """Raises SoundjudgeError for several CLAPs of which a judge must ask its user for a copy."""
    names = [path.as_posix() for path in paths if not KINDS[clap_kind(path)].may_copy]
    if len(names) > 1:
        raise SoundjudgeError(
            f"{' and '.join(names)} are M2D-CLAPs, and a judge can ask its user for one alone: "
            "take all others out of encoders.clap and regress.extra_encoders."
        )


# In the order in which they are tried.
KINDS = {
    "m2d": ClapKind(
        marks=("portable_m2d.py", "m2d_clap_*"),
        load=loaders.load_m2d,
        load_tunable=loaders.load_tunable_m2d,
        may_copy=False,
    ),
    "msclap": ClapKind(
        marks=("msclap.json", "CLAP_weights_*.pth"),
        load=loaders.load_msclap,
        load_tunable=loaders.load_msclap,
    ),
    "mgaclap": ClapKind(
        marks=("mgaclap.json", "mga*.pt"),
        load=loaders.load_mgaclap,
        load_tunable=loaders.refuse_mgaclap,
    ),
    "towers": ClapKind(
        marks=("towers.json",),
        load=loaders.load_towers,
        load_tunable=loaders.load_towers,
    ),
    "sentence": ClapKind(
        marks=("modules.json",),
        load=loaders.load_sentence,
        load_tunable=loaders.refuse_sentence,
    ),
    "transformers": ClapKind(
        marks=("preprocessor_config.json", "processor_config.json"),
        load=loaders.load_transformers,
        load_tunable=loaders.load_tunable_transformers,
    ),
    "laion": ClapKind(
        marks=("*.pt",),
        load=loaders.load_frozen_laion,
        load_tunable=loaders.load_laion,
    ),
}
