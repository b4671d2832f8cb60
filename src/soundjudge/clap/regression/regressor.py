"""A kernel regressor on the embeddings of frozen CLAPs: a strong member in minutes.

After the EnsembleSVR entry of the XACLE challenge. N pairs, K CLAPs of E_k embedding dimensions.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from soundjudge.clap.encoders.encoder import ClapEncoder, clip_embedder, encode_distinct
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression.kernel_machine import (
    Embeddings,
    Floats,
    KernelMachine,
    RegressionConfig,
    embedding_widths,
    fit_kernel_machine,
)
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, model_folder
from soundjudge.runtime.member_record import MemberRecord, read_member, write_member

KIND = "regress"
TENSORS = "model.safetensors"
ROWS = "rows"  # field of the machine


def fit_regressor(
    claps: Sequence[ClapEncoder],
    clips: ClipStore,
    clip_ids: Sequence[str],
    texts: Sequence[str],
    scores: Floats,
    regression: RegressionConfig,
) -> KernelMachine:
    """The regression of rated pairs: clips, texts and scores in 0..10, (N,) each."""
    dimensions = [clap.dimensions for clap in claps]
    if not isinstance(dimensions[0], int):
        raise SoundjudgeError(
            f"encoders.clap is {claps[0].name()}, of sound or of text alone: name a CLAP there, "
            "and this one in regress.extra_encoders."
        )
    embeddings = embed_pairs(claps, clips, clip_ids, texts, regression.batch_size)
    return fit_kernel_machine(*embeddings, dimensions, scores, regression)


def target_scores(targets: pd.DataFrame, target: str, mean: float, std: float) -> Floats:
    """The scores of a TARGETS table in rating points: (N,).

    `mean` and `std` are those of the training listeners, by which SPO's z-scores are put back.
    """
    scores = targets[f"{target}_score"].to_numpy(dtype=np.float64)
    return scores * std + mean if target == "spo" else scores


def embed_pairs(
    claps: Sequence[ClapEncoder],
    clips: ClipStore,
    clip_ids: Sequence[str],
    texts: Sequence[str],
    batch_size: int,
) -> tuple[Embeddings, Embeddings]:
    """The embeddings of clips and of texts, all CLAPs side by side: (N, E) each."""
    texts = list(map(clean_text, texts))
    # K x (N, E_k) each
    audio = [encode_distinct(clip_embedder(clap, clips), clip_ids, batch_size) for clap in claps]
    text = [encode_distinct(clap.embed_texts, texts, batch_size) for clap in claps]
    return np.concatenate(audio, axis=1), np.concatenate(text, axis=1)


class Regressor:
    """A machine with the CLAPs that it was fitted on, in their order."""

    def __init__(self, claps: Sequence[ClapEncoder], machine: KernelMachine) -> None:
        self.claps, self.machine = claps, machine
        self.window_seconds = min(clap.window_seconds for clap in claps)

    def scores(self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]) -> Floats:
        """Scores of pairs, 0 to 10 or a little outside: (N,)."""
        with torch.no_grad():
            audio = [clap.embed_sounds(waves).float().cpu().numpy() for clap in self.claps]
            text = [clap.embed_texts(texts).float().cpu().numpy() for clap in self.claps]
        return self.machine(np.concatenate(audio, axis=1), np.concatenate(text, axis=1))

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether a CLAP reads less than all of each text: (N,)."""
        cut = [clap.cut_texts(texts) for clap in self.claps]  # K x (N,)
        return [any(column) for column in zip(*cut, strict=True)]


def save_regressor(
    folder: Path, machine: KernelMachine, sources: Sequence[ClapSource], names: Sequence[str]
) -> None:
    """Writes what was learned, and into member.json the CLAPs with their names."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = KernelMachine.__dataclass_fields__
    # Without row normalization the file is that of older versions.
    kept = [field for field in fields if field != ROWS or machine.rows[0]]
    tensors = {field: torch.from_numpy(getattr(machine, field)) for field in kept}
    artifacts.save_tensors(folder / TENSORS, tensors)
    references = [source.reference(name) for source, name in zip(sources, names, strict=True)]
    write_member(folder, MemberRecord(kind=KIND, encoders={"clap": tuple(references)}))


def load_machine(folder: Path) -> KernelMachine:
    """The machine of a folder that `save_regressor` wrote."""
    tensors = artifacts.load_tensors(folder / TENSORS)
    fields = KernelMachine.__dataclass_fields__
    if tensors.keys() | {ROWS} != fields.keys():
        raise SoundjudgeError(
            f"{folder / TENSORS} does not hold {', '.join(fields)} and nothing else."
        )
    model_folder.check_tensors(folder / TENSORS, tensors)
    with model_folder.reading(folder / TENSORS):
        machine = KernelMachine(**{name: tensor.numpy() for name, tensor in tensors.items()})
        scores = machine(machine.sounds[:1], machine.texts[:1])
        assert scores.shape == (1,), "its parts do not fit each other"
    return machine


def load_regressor(folder: Path, claps: Sequence[ClapEncoder]) -> Regressor:
    """The regressor of a folder that `save_regressor` wrote, with the CLAPs of its member.json.

    Raises SoundjudgeError for a CLAP that is not the one it was fitted on.
    """
    record = read_member(folder, KIND)
    machine = load_machine(folder)
    check_claps(folder, record, machine.dimensions, claps)
    return Regressor(claps, machine)


def check_claps(
    folder: Path, record: MemberRecord, widths: NDArray[np.int64], claps: Sequence[ClapEncoder]
) -> None:
    """Raises SoundjudgeError for CLAPs that are not those a machine in `folder` was fitted on."""
    actual = embedding_widths([clap.dimensions for clap in claps]).tolist()
    if (fitted := widths.tolist()) != actual:
        raise SoundjudgeError(f"{folder} was fitted on CLAPs of {fitted} dimensions, not {actual}.")
    for reference, clap in zip(record.references("clap"), claps, strict=True):
        if reference.name is not None and clap.name() != reference.name:
            raise SoundjudgeError(
                f"{folder} was fitted on {reference.name}, but {reference.path} now holds "
                f"{clap.name()}: put the former back, or, after an update of soundjudge too, fit "
                f"again with 'dvc repro --force --single-item {record.kind}'."
            )
