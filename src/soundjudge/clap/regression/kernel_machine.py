"""Support vector regression with a radial kernel on the features of a pair.

scikit-learn fits it; what it learned is a few arrays, evaluated here, so that a judge needs no
pickle. The features of a pair depend on that pair and on the training split alone: the published
ones (EnsembleSVR of the XACLE challenge) divide by the maximum of the set that is scored.

N pairs, V support vectors, K CLAPs of E_k embedding dimensions, E their sum: the embeddings of all
CLAPs stand side by side. P = 4E + 4K features. Of an encoder of sound or of text alone its E_k are
the features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundjudge.clap.encoders.source import ClapSource, as_source
from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import LARGEST_BATCH, check_range

if TYPE_CHECKING:  # params.yaml is read without torch
    from soundjudge.clap.encoders.encoder import Dimensions

Floats = NDArray[np.float64]
Embeddings = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class RegressionConfig:
    """How the regressor is fitted; section `regress` of params.yaml."""

    extra_encoders: tuple[Path | ClapSource, ...] = ()
    """Encoders whose features stand beside those of encoders.clap: paths, or {path, backend,
    sha256}, of CLAPs, of Whispers (sound alone) and of sentence encoders (text alone).
    DVC tracks this list and not their files: predict refuses other weights under an old path."""
    c: float  # weight of the errors against smoothness
    epsilon: float  # error that costs nothing, on the scale -1..1
    gamma: float | Literal["scale"]  # of the kernel; "scale" = 1 / (P * variance)
    batch_size: int  # sounds or texts that are embedded at once
    target: Literal["mean", "spo", "latent"] = "mean"
    "mean rating, mean standardized rating (SPO), or the rating model's score; all in rating points"
    normalize: Literal["none", "rows"] = "none"
    """rows = each pair's features divided by their length before they are standardized, as in
    EnsembleSVR of the XACLE challenge"""

    def __post_init__(self) -> None:
        check_range(self, "batch_size", least=1, most=LARGEST_BATCH)
        check_range(self, "c", least=1e-6, most=1e6)  # beyond, all scores are one, or the ratings
        check_range(self, "epsilon", least=0, below=1)  # from 1 on no error on -1..1 costs anything
        if self.gamma != "scale" and not 1e-9 <= self.gamma <= 1e9:
            raise SoundjudgeError(f"gamma is {self.gamma}: it must be 1e-09 to 1e+09, or 'scale'.")

    def claps(self, first: ClapSource) -> list[ClapSource]:
        """All CLAPs, encoders.clap `first`; SoundjudgeError if one is named twice."""
        sources = [first, *map(as_source, self.extra_encoders)]
        paths = [source.path for source in sources]
        for path in paths[1:]:
            if paths.count(path) > 1:
                raise SoundjudgeError(
                    f"regress.extra_encoders names {path} again: name each CLAP once."
                )
        return sources


def embedding_widths(dimensions: Sequence["Dimensions"]) -> NDArray[np.int64]:
    """The E_k: (K,); or (K, 2), of sounds and of texts, if one encoder is of one side alone."""
    if any(isinstance(one, tuple) for one in dimensions):
        dimensions = [one if isinstance(one, tuple) else (one, one) for one in dimensions]
    return np.array(dimensions, dtype=np.int64)


def pair_features(sounds: Embeddings, texts: Embeddings, widths: ArrayLike) -> Floats:
    """The features of each encoder one after another: (N, E), (N, E) -> (N, P).

    `widths` are those of `embedding_widths`, in the order of the embeddings.
    """
    columns = np.asarray(widths).reshape(np.shape(widths)[0], -1)  # (K, 1) or (K, 2)
    of_sounds, of_texts = np.broadcast_to(columns, (len(columns), 2)).T
    total = of_sounds.sum(), of_texts.sum()
    assert total == (sounds.shape[1], texts.shape[1]), "embeddings of other CLAPs"
    parts = (
        np.split(embeddings, np.cumsum(own)[:-1], axis=1)
        for embeddings, own in ((sounds, of_sounds), (texts, of_texts))
    )
    return np.concatenate([_features_of_one(a, t) for a, t in zip(*parts, strict=True)], axis=1)


def _features_of_one(sounds: Embeddings, texts: Embeddings) -> Floats:
    if sounds.shape != texts.shape:  # the other side is the number 1 for all
        return max(sounds, texts, key=lambda side: side.shape[1]).astype(np.float64)
    return _features_of_one_clap(sounds, texts)


def _features_of_one_clap(sounds: Embeddings, texts: Embeddings) -> Floats:
    """[a, t, |a-t|, a*t, cosine, 1 - angle/pi, L1, L2] of unit vectors: (N, E_k) -> (N, 4E_k+4)."""
    a, t = sounds.astype(np.float64), texts.astype(np.float64)
    difference, product = np.abs(a - t), a * t
    cosine = product.sum(axis=1, keepdims=True).clip(-1, 1)  # (N, 1)
    angle = 1 - np.arccos(cosine) / np.pi
    l1 = difference.sum(axis=1, keepdims=True)
    l2 = np.sqrt((difference**2).sum(axis=1, keepdims=True))
    return np.concatenate([a, t, difference, product, cosine, angle, l1, l2], axis=1)


def unit_rows(features: Floats) -> Floats:
    """Features (N, P) of length 1 per pair; none is zero, since embeddings are unit vectors."""
    lengths: Floats = np.linalg.norm(features, axis=1, keepdims=True)
    return features / lengths


@dataclass(frozen=True, kw_only=True)
class KernelMachine:
    """All that the regression learned."""

    sounds: Embeddings  # (V, E) of the support vectors' pairs
    texts: Embeddings  # (V, E)
    dimensions: NDArray[np.int64]  # `embedding_widths`
    weights: Floats  # (V,)
    center: Floats  # (P,) of the features
    scale: Floats  # (P,)
    intercept: Floats  # (1,)
    gamma: Floats  # (1,)
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    "(1,) 1 = each pair's features have length 1 before they are standardized"

    def __call__(self, sounds: Embeddings, texts: Embeddings) -> Floats:
        """Scores of pairs, (N, E) each: (N,), 0 to 10 or a little outside."""
        return self.scores(self.kernel(sounds, texts))

    def kernel(self, sounds: Embeddings, texts: Embeddings) -> Floats:
        """How near pairs, (N, E) each, are to the support vectors: (N, V), 0 to 1."""
        x = self._standardize(sounds, texts)  # (N, P)
        kernel: Floats = np.exp(-self.gamma * squared_distances(x, self._support))
        return kernel

    def scores(self, kernel: Floats) -> Floats:
        """Scores by the nearness to the support vectors, (N, V): (N,)."""
        result: Floats = 5 * (kernel @ self.weights + self.intercept) + 5
        return result

    @cached_property
    def _support(self) -> Floats:
        return self._standardize(self.sounds, self.texts)

    def _standardize(self, sounds: Embeddings, texts: Embeddings) -> Floats:
        features = pair_features(sounds, texts, self.dimensions)
        if self.rows[0]:
            features = unit_rows(features)
        return (features - self.center) / self.scale


def squared_distances(x: Floats, s: Floats) -> Floats:
    """Between the rows of (N, P) and (V, P): (N, V)."""
    squares: Floats = (x**2).sum(1)[:, None] - 2 * x @ s.T + (s**2).sum(1)
    return squares


def fit_kernel_machine(
    sounds: Embeddings,
    texts: Embeddings,
    dimensions: Sequence["Dimensions"],
    scores: Floats,
    regression: RegressionConfig,
) -> KernelMachine:
    """Support vector regression of scores (N,) in 0..10 on pairs of embeddings (N, E).

    Each encoder's part of an embedding is a unit vector; `dimensions` are the encoders' own.
    """
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    scaler = StandardScaler()
    widths = embedding_widths(dimensions)
    features = pair_features(sounds, texts, widths)  # (N, P)
    if regression.normalize == "rows":
        features = unit_rows(features)
    standardized = scaler.fit_transform(features)
    svr = SVR(kernel="rbf", C=regression.c, epsilon=regression.epsilon, gamma=regression.gamma)
    svr.fit(standardized, (scores - 5) / 5)
    return KernelMachine(
        sounds=sounds[svr.support_],
        texts=texts[svr.support_],
        dimensions=widths,
        weights=svr.dual_coef_[0],
        center=scaler.mean_,
        scale=scaler.scale_,
        intercept=svr.intercept_,
        gamma=kernel_gamma(standardized, regression),
        rows=np.array([regression.normalize == "rows"], dtype=np.int64),
    )


def kernel_gamma(standardized: Floats, regression: RegressionConfig) -> Floats:
    """The kernel's gamma on features (N, P), as scikit-learn defines "scale": (1,)."""
    gamma = regression.gamma
    if gamma == "scale":
        gamma = 1 / (standardized.shape[1] * standardized.var())
    return np.array([gamma], dtype=np.float64)
