"""A tuned M2D-CLAP on disk: what tuning changed, and which file of the user's own it changed.

No weight of NTT's is stored. Loading opens the user's copy, whose file must be the very same, and
adds the deltas: the weights are those that were tuned, to the last bit, or loading fails.
"""

from pathlib import Path

import torch

from soundjudge.clap.encoders import deltas
from soundjudge.clap.encoders.m2d import M2dClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import EncoderReference

DELTAS = "deltas.safetensors"


def save_deltas(folder: Path, clap: M2dClap) -> EncoderReference:
    """Writes the deltas; returns the reference to the copy that they belong to."""
    sha256 = artifacts.sha256(clap.checkpoint)
    base = M2dClap.load(clap.folder, "cpu", sha256)
    artifacts.save_tensors(folder / DELTAS, deltas.compute_deltas(base.weights(), clap.weights()))
    return EncoderReference(path=clap.folder.as_posix(), sha256=sha256)


def load_deltas(
    folder: Path, copy: Path, sha256: str | None, digest: str | None, device: str | torch.device
) -> M2dClap:
    """The tuned M2D-CLAP of a folder that `save_deltas` wrote.

    `copy` is the user's own, whose file must have the `sha256`; `digest` is that of the tuned
    weights.
    """
    clap = M2dClap.load(copy, "cpu", sha256)
    weights = clap.weights()
    try:
        tuned = deltas.apply_deltas(weights, artifacts.load_tensors(folder / DELTAS))
    except SoundjudgeError as error:
        raise SoundjudgeError(
            f"{folder / DELTAS} does not fit {clap.checkpoint}: {error}"
        ) from error
    for name, tensor in tuned.items():
        weights[name].copy_(tensor)
    if deltas.weights_digest(weights) != digest:
        raise SoundjudgeError(
            f"{folder} was tuned on other weights than {clap.folder} gives: portable_m2d.py is "
            "another, or the text side, where it comes from the hub. Put the former back, or tune "
            "again."
        )
    return clap.to(device)
