"""The user's own copy of M2D-CLAP, NTT's `portable_m2d.py` and its checkpoint, loaded in place.

NTT's license allows evaluation alone: no copy of the code or of the weights may leave the user's
folder, which holds `portable_m2d.py` and `m2d_clap_*/checkpoint-*.pth` as they were unpacked. The
code reads the architecture from the name of the checkpoint's folder, so symbolic links in a path
are not resolved.
"""

import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from soundjudge.clap.encoders import weight_files
from soundjudge.clap.encoders.encoder import PROBES
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import model_folder

CODE = "portable_m2d.py"
WEIGHTS = "m2d_clap_*/checkpoint-*.pth"


def find_checkpoint(folder: Path) -> Path:
    """The weights of a folder, by the path that leads to them."""
    files = sorted(folder.glob(WEIGHTS))
    if not (folder / CODE).is_file() or len(files) != 1:
        raise SoundjudgeError(
            f"{folder} must hold {CODE} and one {WEIGHTS}, under the names that they were unpacked "
            f"with; it holds {len(files)} of the latter."
        )
    return files[0]


def load_portable_m2d(folder: Path, sha256: str | None) -> Any:  # noqa: ANN401  a class of NTT's
    """`PortableM2D` with its text side, on the CPU.

    NTT's code opens its file as a pickle that may run anything, so the file is read first with
    nothing but tensors allowed, or must have the sha256.
    """
    path = find_checkpoint(folder)
    if sha256 is None:
        weight_files.read_weights(path, None)
    else:
        weight_files.check_sha256(path, sha256)
    with _contain_side_effects():
        code = _import_code(folder / CODE)
        with model_folder.reading(path):
            model = code.PortableM2D(weight_file=str(path), flat_features=True)
        _build_text_side(model, path)
    return model


def _build_text_side(model: Any, path: Path) -> None:  # noqa: ANN401
    """NTT's code puts it off until a text comes, and builds it on the CPU."""
    try:
        with torch.no_grad():
            model.encode_clap_text([PROBES[0]], truncate=True)
    except OSError as error:
        raise SoundjudgeError(
            f"{path}: the text side needs a model of the hub (bert-base-uncased for the checkpoint "
            "of 2025, thenlper/gte-base for older ones), which is not in the hub's cache: run once "
            f"with the hub in reach. {error}"
        ) from error


def _import_code(path: Path) -> ModuleType:
    """NTT's code as a module outside of sys.modules."""
    spec = importlib.util.spec_from_file_location("portable_m2d", path)
    assert spec is not None and spec.loader is not None, f"{path} has the suffix of Python code"
    module = importlib.util.module_from_spec(spec)
    with model_folder.reading(path):
        try:
            spec.loader.exec_module(module)
        except ImportError as error:
            raise SoundjudgeError(
                f"it needs more: pip install 'soundjudge[m2d]'. {error}"
            ) from error
    return module


@contextlib.contextmanager
def _contain_side_effects() -> Iterator[None]:
    """NTT's code prints, and older copies extend sys.path: both are undone."""
    search_path = list(sys.path)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.path[:] = search_path
