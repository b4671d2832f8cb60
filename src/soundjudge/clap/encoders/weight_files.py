"""Foreign .pt and .pth files, read without running what a pickle may hold.

PyTorch's own reader for weights alone knows pickle protocol 2; LAION's files are of protocol 4. So
the standard unpickler reads them, and it may look up nothing but PLAIN_NAMES.
"""

import argparse
import codecs
import collections
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
import torch

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, model_folder

_SCALAR = np.float64(0).__reduce__()[0]
# All that a file may name, besides tensors' storages, which PyTorch makes itself.
PLAIN_NAMES: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
    ("argparse", "Namespace"): argparse.Namespace,
}


class ForeignObjectError(SoundjudgeError):
    """A file holds more than tensors and plain values; says what."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in PLAIN_NAMES:
            raise ForeignObjectError(f"{module}.{name}")
        return PLAIN_NAMES[module, name]


def _load(file: IO[bytes], **options: Any) -> object:  # noqa: ANN401  as pickle's
    return _PlainUnpickler(file, **options).load()


_PLAIN_PICKLE = ModuleType("plain_pickle")
_PLAIN_PICKLE.__dict__.update(Unpickler=_PlainUnpickler, load=_load)


def read_weights(path: Path, sha256: str | None) -> Any:  # noqa: ANN401  whatever was saved
    """What `torch.save` wrote into `path`, on the CPU.

    Raises SoundjudgeError for a file that holds more than tensors and plain values, unless
    `sha256` says that this very file is trusted; and for one that has not that sha256.
    """
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist: name a checkpoint that is there.")
    check_sha256(path, sha256)
    trusted = pickle if sha256 is not None else _PLAIN_PICKLE
    try:
        return model_folder.read_checkpoint(path, weights_only=False, pickle_module=trusted)
    except ForeignObjectError as error:
        raise SoundjudgeError(
            f"{path} holds {error}, which is neither a tensor nor a plain value: opening it could "
            "run foreign code. If you trust this very file, set the sha256 beside its path in "
            f"params.yaml to {artifacts.sha256(path)}."
        ) from error


def check_sha256(path: Path, sha256: str | None) -> None:
    """Raises SoundjudgeError unless the file is there and has that sha256, if one is asked for."""
    if sha256 is None:
        return
    if not path.is_file():
        raise SoundjudgeError(
            f"{path} does not exist: there is no file to have the sha256 {sha256}."
        )
    actual = artifacts.sha256(path)
    if actual != sha256.lower():
        raise SoundjudgeError(
            f"{path} has the sha256 {actual}, and {sha256} is asked for: put that file there, or, "
            "if params.yaml asks for it, correct it there."
        )


def check_finite(source: object, weights: Mapping[str, torch.Tensor]) -> None:
    """Raises SoundjudgeError, naming one, if a weight of `source` is infinite or no number."""
    for name, tensor in weights.items():
        if not torch.isfinite(tensor.float()).all():  # of 8 bits it can't be asked
            raise SoundjudgeError(f"{source}: {name} holds infinite numbers or none: load it again")
