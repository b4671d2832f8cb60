"""A tuned M2D-CLAP on disk: what tuning changed, and which file of the user's own it changed.

No weight of NTT's is stored. Loading opens the user's copy, whose file must be the very same, and
adds the deltas: the weights are those that were tuned, to the last bit, or loading fails.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from soundjudge.clap.encoders import deltas
from soundjudge.clap.encoders.m2d import M2dClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

DELTAS = "deltas.safetensors"


def save_deltas(folder: Path, clap: M2dClap) -> dict[str, str]:
    """Writes the deltas; returns what member.json must say of the copy that they belong to."""
    sha256 = artifacts.sha256(clap.checkpoint)
    base = M2dClap.load(clap.folder, "cpu", sha256)
    artifacts.save_tensors(folder / DELTAS, deltas.compute_deltas(base.weights(), clap.weights()))
    return {
        "clap": clap.folder.as_posix(),
        "file": clap.checkpoint.relative_to(clap.folder).as_posix(),
        "sha256": sha256,
        "weights": deltas.weights_digest(clap.weights()),
    }


def load_deltas(
    folder: Path, member: Mapping[str, Any], copy: Path, device: str | torch.device
) -> M2dClap:
    """The tuned M2D-CLAP of a folder that `save` wrote, with the user's copy in `copy`."""
    clap = M2dClap.load(copy, "cpu", member["sha256"])
    live = clap.weights()
    try:
        tuned = deltas.apply_deltas(live, artifacts.load_tensors(folder / DELTAS))
    except SoundjudgeError as error:
        raise SoundjudgeError(
            f"{folder / DELTAS} does not fit {clap.checkpoint}: {error}"
        ) from error
    for name, weights in tuned.items():
        live[name].copy_(weights)
    if deltas.weights_digest(live) != member["weights"]:
        raise SoundjudgeError(
            f"{folder} was tuned on other weights than {clap.folder} gives: portable_m2d.py is "
            "another, or the text side, where it comes from the hub. Put the former back, or tune "
            "again."
        )
    return clap.to(device)
