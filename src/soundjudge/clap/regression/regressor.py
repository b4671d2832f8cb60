"""A kernel regressor on the embeddings of frozen CLAPs: a strong member in minutes.

After the EnsembleSVR entry of the XACLE challenge. N pairs, K CLAPs of E_k embedding dimensions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.clap.encoders.encoder import ClapEncoder, encode_distinct
from soundjudge.clap.encoders.source import Opening
from soundjudge.clap.regression.kernel_machine import (
    Floats,
    KernelMachine,
    RegressionConfig,
    fit_kernel_machine,
)
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

MEMBER = "member.json"
TENSORS = "model.safetensors"


def fit_regressor(
    claps: Sequence[ClapEncoder],
    clips: ClipStore,
    clip_ids: Sequence[str],
    texts: Sequence[str],
    scores: Floats,
    regression: RegressionConfig,
) -> KernelMachine:
    """The regression of rated pairs: clips, texts and scores in 0..10, (N,) each."""

    def hear(clap: ClapEncoder) -> Callable[[Sequence[str]], Tensor]:
        return lambda ids: clap.embed_sounds([clips.wave(clip_id) for clip_id in ids])

    size = regression.batch_size
    heard = [encode_distinct(hear(clap), clip_ids, size) for clap in claps]  # K x (N, E_k)
    said = [encode_distinct(clap.embed_texts, texts, size) for clap in claps]
    dimensions = [clap.dimensions for clap in claps]
    sides = np.concatenate(heard, axis=1), np.concatenate(said, axis=1)
    return fit_kernel_machine(*sides, dimensions, scores, regression)


class Regressor:
    """A machine with the CLAPs that it was fitted on, in their order."""

    def __init__(self, claps: Sequence[ClapEncoder], machine: KernelMachine) -> None:
        self.claps, self.machine = claps, machine
        self.window_seconds = min(clap.window_seconds for clap in claps)

    def scores(self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]) -> Floats:
        """Scores of pairs, 0 to 10 or a little outside: (N,)."""
        with torch.no_grad():
            heard = [clap.embed_sounds(waves).cpu().numpy() for clap in self.claps]
            said = [clap.embed_texts(texts).cpu().numpy() for clap in self.claps]
        return self.machine(np.concatenate(heard, axis=1), np.concatenate(said, axis=1))


def save_regressor(
    folder: Path,
    machine: KernelMachine,
    claps: Sequence[tuple[Path, Opening]],
    names: Sequence[str],
) -> None:
    """Writes what was learned; into member.json each CLAP's path from the root, and its name.

    Also the sha256 that each file but the first must have, or null; of the first, params.yaml says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields = KernelMachine.__dataclass_fields__
    tensors = {field: torch.from_numpy(getattr(machine, field)) for field in fields}
    artifacts.save_tensors(folder / TENSORS, tensors)
    member = {
        "kind": "regress",
        "clap": [path.as_posix() for path, _ in claps],
        "clap_name": list(names),
        "more_sha256": [opening.sha256 for _, opening in claps[1:]],
    }
    artifacts.write_json(folder / MEMBER, member)


def load_machine(folder: Path) -> KernelMachine:
    """The machine of a folder that `save` wrote."""
    tensors = artifacts.load_tensors(folder / TENSORS)
    wanted = KernelMachine.__dataclass_fields__
    if tensors.keys() != wanted.keys():
        raise SoundjudgeError(
            f"{folder / TENSORS} does not hold {', '.join(wanted)} and nothing else."
        )
    return KernelMachine(**{name: tensor.numpy() for name, tensor in tensors.items()})


def load_regressor(folder: Path, claps: Sequence[ClapEncoder], by_name: bool = True) -> Regressor:
    """The regressor of a folder that `save` wrote, with the CLAPs that its member.json names.

    Raises ClapError for a CLAP that is not the one it was fitted on. `by_name=False` compares
    dimensions alone: a judge opens its copy of a CLAP by another backend, under another name, and
    holds it to its file's sha256.
    """
    member = artifacts.read_json(folder / MEMBER)
    if member.get("kind") != "regress":
        raise SoundjudgeError(f"{folder / MEMBER}: kind is {member.get('kind')!r}, not 'regress'.")
    machine = load_machine(folder)
    dimensions = machine.dimensions.tolist()
    if [clap.dimensions for clap in claps] != dimensions:
        found = [clap.dimensions for clap in claps]
        raise SoundjudgeError(
            f"{folder} was fitted on CLAPs of {dimensions} dimensions, not {found}."
        )
    if by_name:
        for path, name, clap in zip(member["clap"], member["clap_name"], claps, strict=True):
            if clap.name() != name:
                raise SoundjudgeError(
                    f"{folder} was fitted on {name}, but {path} now holds {clap.name()}: put the "
                    "former back, or fit again with 'dvc repro --force --single-item regress'."
                )
    return Regressor(claps, machine)
