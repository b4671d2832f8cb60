"""What tuning changed, to the last bit, in weights that no file of ours may hold a copy of.

A delta is the difference of two bit patterns, read as whole numbers modulo 2^32. Where both weights
have one sign that is how many float32 values lie between them. Adding it gives the tuned weight
exactly, whatever the two are: a difference of the numbers themselves would be rounded.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.errors import SoundjudgeError

Weights = Mapping[str, Tensor]


def compute_deltas(base: Weights, tuned: Weights) -> dict[str, Tensor]:
    """Deltas, int32, of the weights that differ; both have the same names and shapes."""
    _check_alike(base, tuned)
    deltas = {name: _bits(weights) - _bits(base[name]) for name, weights in tuned.items()}
    return {
        name: torch.from_numpy(delta.view(np.int32))
        for name, delta in deltas.items()
        if delta.any()
    }


def apply_deltas(base: Weights, deltas: Weights) -> dict[str, Tensor]:
    """The tuned weights of the deltas' names: float32, on the CPU."""
    unknown = sorted(deltas.keys() - base.keys())
    if unknown:
        raise SoundjudgeError(f"the base has no weights {unknown[0]!r}, of which there is a delta.")
    _check_alike({name: base[name] for name in deltas}, deltas)
    sums = {
        name: _bits(base[name]) + delta.numpy().view(np.uint32) for name, delta in deltas.items()
    }
    return {name: torch.from_numpy(total.view(np.float32)) for name, total in sums.items()}


def weights_digest(weights: Weights) -> str:
    """The sha256 of names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _bits(weights: Tensor) -> NDArray[np.uint32]:
    if weights.dtype != torch.float32:
        raise SoundjudgeError(f"weights are {weights.dtype}: deltas are of float32 alone.")
    bits: NDArray[np.uint32] = weights.detach().cpu().contiguous().numpy().view(np.uint32)
    return bits


def _check_alike(one: Weights, other: Weights) -> None:
    names = one.keys() ^ other.keys()
    differing = sorted(names or (n for n in one if one[n].shape != other[n].shape))
    if differing:
        raise SoundjudgeError(f"{differing[0]!r} is not in both, or not of one shape.")
