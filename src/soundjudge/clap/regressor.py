"""A kernel regressor on the embeddings of a frozen CLAP: a strong member in minutes.

After the EnsembleSVR entry of the XACLE challenge: support vector regression with a radial kernel
on the standardized features of a pair. scikit-learn fits it; what it learned is stored as tensors
and evaluated here, so that a judge needs no pickle.

N pairs, V support vectors, E embedding dimensions, P = 4E + 4 features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge import artifacts
from soundjudge.clap.encoder import ClapEncoder, ClapError, of_each
from soundjudge.data.shards import Clips

MEMBER = "member.json"
TENSORS = "model.safetensors"

Floats = NDArray[np.float64]
Embeddings = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Regression:
    """How the regressor is fitted; section `regress` of params.yaml."""

    c: float  # weight of the errors against smoothness
    epsilon: float  # error that costs nothing, on the scale -1..1
    gamma: float | Literal["scale"]  # of the kernel; "scale" = 1 / (P * variance)
    batch_size: int  # sounds or texts that are embedded at once

    def __post_init__(self) -> None:
        for name in ("c", "batch_size"):
            if getattr(self, name) <= 0:
                raise ClapError(f"{name} is {getattr(self, name)}: it must be above 0.")
        if self.epsilon < 0:
            raise ClapError(f"epsilon is {self.epsilon}: it must not be negative.")
        if self.gamma != "scale" and self.gamma <= 0:
            raise ClapError(f"gamma is {self.gamma}: it must be above 0, or 'scale'.")


def features(sounds: Embeddings, texts: Embeddings) -> Floats:
    """[a, t, |a-t|, a*t, cosine, 1 - angle/pi, L1, L2] of unit vectors a, t: (N, E) -> (N, P)."""
    a, t = sounds.astype(np.float64), texts.astype(np.float64)
    gap, product = np.abs(a - t), a * t
    cosine = product.sum(axis=1, keepdims=True).clip(-1, 1)  # (N, 1)
    angle = 1 - np.arccos(cosine) / np.pi
    far = [gap.sum(axis=1, keepdims=True), np.sqrt((gap**2).sum(axis=1, keepdims=True))]
    return np.concatenate([a, t, gap, product, cosine, angle, *far], axis=1)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """All that the regression learned."""

    sounds: Embeddings  # (V, E) of the support vectors' pairs
    texts: Embeddings  # (V, E)
    weights: Floats  # (V,)
    center: Floats  # (P,) of the features
    scale: Floats  # (P,)
    intercept: Floats  # (1,)
    gamma: Floats  # (1,)

    def __call__(self, sounds: Embeddings, texts: Embeddings) -> Floats:
        """Scores of pairs, (N, E) each: (N,), 0 to 10 or a little outside."""
        x = (features(sounds, texts) - self.center) / self.scale  # (N, P)
        s = self._support  # (V, P)
        squares = (x**2).sum(1)[:, None] - 2 * x @ s.T + (s**2).sum(1)  # (N, V)
        kernel = np.exp(-self.gamma * squares)
        result: Floats = 5 * (kernel @ self.weights + self.intercept) + 5
        return result

    @cached_property
    def _support(self) -> Floats:
        return (features(self.sounds, self.texts) - self.center) / self.scale


def fit(sounds: Embeddings, texts: Embeddings, scores: Floats, regression: Regression) -> Machine:
    """Support vector regression of scores (N,) in 0..10 on pairs of unit embeddings (N, E)."""
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    scaler = StandardScaler()
    standardized = scaler.fit_transform(features(sounds, texts))  # (N, P)
    svr = SVR(kernel="rbf", C=regression.c, epsilon=regression.epsilon, gamma=regression.gamma)
    svr.fit(standardized, (scores - 5) / 5)
    # "scale" as scikit-learn defines it; its own number is private.
    gamma = regression.gamma
    if gamma == "scale":
        gamma = 1 / (standardized.shape[1] * standardized.var())
    return Machine(
        sounds=sounds[svr.support_],
        texts=texts[svr.support_],
        weights=svr.dual_coef_[0],
        center=scaler.mean_,
        scale=scaler.scale_,
        intercept=svr.intercept_,
        gamma=np.array([gamma], dtype=np.float64),
    )


def fit_rated(
    clap: ClapEncoder,
    clips: Clips,
    clip_ids: Sequence[str],
    texts: Sequence[str],
    scores: Floats,
    regression: Regression,
) -> Machine:
    """The regression of rated pairs: clips, texts and scores in 0..10, (N,) each."""

    def hear(ids: Sequence[str]) -> Tensor:
        return clap.embed_sounds([clips.wave(clip_id) for clip_id in ids])

    sounds = of_each(hear, clip_ids, regression.batch_size)  # (N, E)
    return fit(sounds, of_each(clap.embed_texts, texts, regression.batch_size), scores, regression)


class Regressor:
    """A machine with the CLAP that it was fitted on."""

    def __init__(self, clap: ClapEncoder, machine: Machine) -> None:
        self.clap, self.machine = clap, machine

    def scores(self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]) -> Floats:
        """Scores of pairs, 0 to 10 or a little outside: (N,)."""
        with torch.no_grad():
            sounds = self.clap.embed_sounds(waves).cpu().numpy()
            spoken = self.clap.embed_texts(texts).cpu().numpy()
        return self.machine(sounds, spoken)


def save(folder: Path, machine: Machine, clap: Path, name: str) -> None:
    """Writes what was learned; into member.json the CLAP's path from the root, and its name."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = Machine.__dataclass_fields__
    tensors = {field: torch.from_numpy(getattr(machine, field)) for field in fields}
    artifacts.save_tensors(folder / TENSORS, tensors)
    member = {"kind": "regress", "clap": clap.as_posix(), "clap_name": name}
    artifacts.write_json(folder / MEMBER, member)


def load_machine(folder: Path) -> Machine:
    """The machine of a folder that `save` wrote."""
    tensors = artifacts.load_tensors(folder / TENSORS)
    wanted = Machine.__dataclass_fields__
    if tensors.keys() != wanted.keys():
        raise ClapError(f"{folder / TENSORS} does not hold {', '.join(wanted)} and nothing else.")
    return Machine(**{name: tensor.numpy() for name, tensor in tensors.items()})


def load(folder: Path, clap: ClapEncoder) -> Regressor:
    """The regressor of a folder that `save` wrote, with the CLAP that its member.json names."""
    member = artifacts.read_json(folder / MEMBER)
    if member.get("kind") != "regress":
        raise ClapError(f"{folder / MEMBER}: kind is {member.get('kind')!r}, not 'regress'.")
    return Regressor(clap, load_machine(folder))
