"""Early fusion: CLAP's view of a pair and the captioner's likelihood in one regression.

What the likelihood member's score is made of stands beside the features of frozen CLAPs. An
ensemble weighs its members alike everywhere; here the ratings tell where which of them is right.
B pairs, T samples at 16 kHz, M audio tokens, D feature width, N rated pairs.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.clap.encoders.encoder import ClapEncoder, unit_vectors
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression.kernel_machine import Embeddings, Floats, KernelMachine
from soundjudge.clap.regression.regressor import check_claps, embed_pairs
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.fusion.fused_machine import FusedMachine, FusionConfig, fit_fused_machine
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.likelihood import Likelihood
from soundjudge.runtime import artifacts, model_folder
from soundjudge.runtime.member_record import MemberRecord, read_member, write_member

KIND, TENSORS = "fusion", "machine.safetensors"
CAPTIONER = "captioner"  # the folder of the likelihood member inside


class Fusion:
    """A fitted machine with the models whose features it reads."""

    def __init__(
        self, claps: Sequence[ClapEncoder], captioner: Likelihood, machine: FusedMachine
    ) -> None:
        self.claps, self.captioner, self.machine = claps, captioner, machine
        windows = [clap.window_seconds for clap in claps]
        self.window_seconds = min(*windows, captioner.frontend.window_seconds)

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Embeddings:
        """Sounds (T,) by all CLAPs, side by side: (B, E)."""
        with torch.no_grad():
            return _side_by_side([clap.embed_sounds(waves) for clap in self.claps])

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Texts by all CLAPs, side by side: (B, E)."""
        with torch.no_grad():
            return _side_by_side([clap.embed_texts(texts) for clap in self.claps])

    def scores(
        self,
        sounds: Embeddings,
        embedded_texts: Embeddings,
        features: Tensor,
        texts: Sequence[str],
        priors: Tensor | None = None,
    ) -> Floats:
        """Scores of pairs: (B,).

        `embed_sounds` and `embed_texts` of them, the captioner's features (B, M, D), the texts, and
        their `log_priors`, where these are known.
        """
        with torch.no_grad():
            statistics = self.captioner.evidence(features, texts, priors).double().cpu().numpy()
        return self.machine(sounds, embedded_texts, statistics)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether a model reads less than all of each text: (B,)."""
        cut = [clap.cut_texts(texts) for clap in self.claps] + [self.captioner.cut_texts(texts)]
        return [any(column) for column in zip(*cut, strict=True)]


def _side_by_side(embedded: Sequence[Tensor]) -> Embeddings:
    return np.concatenate([unit_vectors(vectors).cpu().numpy() for vectors in embedded], axis=1)


def fit_fusion(
    claps: Sequence[ClapEncoder],
    captioner: Likelihood,
    clips: ClipStore,
    features: ArrayStore,
    clip_ids: Sequence[str],
    texts: Sequence[str],
    scores: Floats,
    config: FusionConfig,
) -> FusedMachine:
    """The regression of rated pairs: clips, texts and scores in 0..10, (N,) each."""
    size, texts = config.batch_size, list(map(clean_text, texts))
    embeddings = embed_pairs(claps, clips, clip_ids, texts, size)
    statistics: list[Floats] = []
    with torch.no_grad():
        for start in range(0, len(texts), size):
            sounds = torch.from_numpy(features.gather(clip_ids[start : start + size])).float()
            evidence = captioner.evidence(sounds, texts[start : start + size])
            statistics.append(evidence.double().cpu().numpy())
    dimensions = [clap.dimensions for clap in claps]
    return fit_fused_machine(*embeddings, dimensions, np.concatenate(statistics), scores, config)


def save_fusion(
    folder: Path,
    machine: FusedMachine,
    captioner: Path,
    sources: Sequence[ClapSource],
    names: Sequence[str],
) -> None:
    """Writes machine and captioner, and into member.json the encoders, CLAPs with their names."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"clap.{name}": array for name, array in vars(machine.clap).items()}
    arrays |= {name: array for name, array in vars(machine).items() if name != "clap"}
    fields = _fields()
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if name in fields}
    artifacts.save_tensors(folder / TENSORS, tensors)
    (folder / CAPTIONER).mkdir()
    for path in sorted(captioner.iterdir()):
        artifacts.link_or_copy(path, folder / CAPTIONER / path.name)
    claps = tuple(source.reference(name) for source, name in zip(sources, names, strict=True))
    audio = read_member(captioner, likelihood.KIND).references("audio")
    write_member(folder, MemberRecord(kind=KIND, encoders={"clap": claps, "audio": audio}))


def load_fusion(folder: Path, claps: Sequence[ClapEncoder], device: torch.device) -> Fusion:
    """What `save_fusion` wrote, in evaluation mode, with the CLAPs of its member.json.

    Raises SoundjudgeError for a CLAP that is not the one it was fitted on.
    """
    record = read_member(folder, KIND)
    machine = _load_machine(folder)
    check_claps(folder, record, machine.clap.dimensions, claps)
    captioner = likelihood.load_likelihood(folder / CAPTIONER, device)
    return Fusion(claps, captioner, machine)


def _fields() -> set[str]:
    clap = {f"clap.{name}" for name in KernelMachine.__dataclass_fields__}
    return clap | (FusedMachine.__dataclass_fields__.keys() - {"clap"})


def _load_machine(folder: Path) -> FusedMachine:
    tensors = artifacts.load_tensors(folder / TENSORS)
    model_folder.check_tensors(folder / TENSORS, tensors)
    with model_folder.reading(folder / TENSORS):
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    if arrays.keys() != _fields():
        raise SoundjudgeError(
            f"{folder / TENSORS} does not hold {', '.join(sorted(_fields()))} and nothing else."
        )
    own = {name: arrays.pop(f"clap.{name}") for name in KernelMachine.__dataclass_fields__}
    machine = FusedMachine(clap=KernelMachine(**own), **arrays)
    with model_folder.reading(folder / TENSORS):
        sounds, texts = machine.clap.sounds[:1], machine.clap.texts[:1]
        assert machine(sounds, texts, machine.statistics[:1]).shape == (1,), "its parts do not fit"
    return machine
