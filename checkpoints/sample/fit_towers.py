"""Fits the two projections of a `TowersClap` by least squares, in closed form.

The text side is centered on the mean caption and reduced to the captions' principal directions; the
audio side is the ridge regression that predicts a sound's text there. The centering matters most:
embeddings of captions have a large common part, which says nothing about the sound. See
benchmarks/towers_study.md for that and for what did not help.

N sounds, H width of the audio tower, K width of the text tower, E shared dimensions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TowersFit:
    """How the projections are fitted."""

    penalty: float  # of the ridge regression, on standardized audio features
    dimensions: int  # E, at most K

    def __post_init__(self) -> None:
        if self.penalty <= 0:
            raise ValueError(f"penalty is {self.penalty}: it must be above 0.")
        if self.dimensions < 1:
            raise ValueError(f"dimensions is {self.dimensions}: it must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class CaptionedSounds:
    """Tower outputs of sounds and of their captions."""

    sounds: Floats  # (N, H)
    captions: Floats  # (N, K)
    targets: Floats  # (N, K) what a sound should become: its caption, or nearer to its label
    weights: Floats  # (N,) of the squared errors


def fit_projections(data: CaptionedSounds, fit: TowersFit) -> tuple[nn.Linear, nn.Linear]:
    """The audio projection H -> E and the text projection K -> E.

    Equal up to rounding for equal data in any order.
    """
    weights = data.weights / data.weights.sum()
    center = weights @ data.captions  # (K,)
    directions = _principal_directions(data.captions - center, weights, fit.dimensions)  # (K, E)
    mean = weights @ data.sounds  # (H,)
    scale = np.sqrt(weights @ (data.sounds - mean) ** 2) + 1e-6  # (H,)
    x = (data.sounds - mean) / scale
    y = (data.targets - weights @ data.targets) @ directions  # (N, E)
    weighted = x.T * data.weights  # (H, N)
    ridge = np.linalg.solve(weighted @ x + fit.penalty * np.eye(x.shape[1]), weighted @ y)
    slopes = ridge / scale[:, None]  # (H, E)
    return _linear(slopes, -mean @ slopes), _linear(directions, -center @ directions)


def caption_weights(captions: list[str]) -> Floats:
    """A sound's weight falls with the root of how many share its caption; their mean is 1."""
    _, inverse, counts = np.unique(captions, return_inverse=True, return_counts=True)
    weights = counts[inverse] ** -0.5
    normalized: Floats = weights / weights.mean()
    return normalized


def _principal_directions(rows: Floats, weights: Floats, dimensions: int) -> Floats:
    _, vectors = np.linalg.eigh((rows.T * weights) @ rows)
    directions: Floats = vectors[:, ::-1][:, :dimensions]
    return directions


def _linear(matrix: Floats, bias: Floats) -> nn.Linear:
    """x @ matrix + bias as a module."""
    linear = nn.Linear(*matrix.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(matrix.T.copy()))
        linear.bias.copy_(torch.from_numpy(bias))
    return linear.requires_grad_(False)
