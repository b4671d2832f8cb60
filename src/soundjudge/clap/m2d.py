"""M2D-CLAP, run by the user's own copy of NTT's `portable_m2d.py`.

NTT's licence allows evaluation alone: no copy of the code or of the weights may leave the user's
folder, which holds `portable_m2d.py` and `m2d_clap_*/checkpoint-*.pth` as they were unpacked. The
code reads the architecture from the name of the checkpoint's folder, so a path is taken as it is
given, symbolic links and all.

B batch, T samples at 16 kHz, S samples of the window, E embedding dimensions.
"""

import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge import artifacts
from soundjudge.clap import weight_files
from soundjudge.clap.encoder import ClapError

CODE = "portable_m2d.py"
WEIGHTS = "m2d_clap_*/checkpoint-*.pth"
SAMPLE_RATE = 16_000  # Hz
WINDOW_SECONDS = 10.0  # a shorter sound gets silence at its end, as in NTT's own example
VERSION = 1  # of the code around NTT's: raise it when equal weights give other embeddings
PROBES = ("a dog barks", "rain falls on a roof")  # two texts that no CLAP reads alike


class M2dClap:
    """`PortableM2D` behind the interface of `ClapEncoder`; frozen, it can't be tuned."""

    def __init__(self, model: Any, checkpoint: Path, device: torch.device) -> None:  # noqa: ANN401
        self.model, self.checkpoint, self.device = model, checkpoint, device
        self.sample_rate = SAMPLE_RATE
        self.window_seconds = WINDOW_SECONDS
        with torch.no_grad():
            read = self.embed_texts(PROBES)
        if torch.allclose(read[0], read[1], atol=1e-4):
            raise ClapError(
                f"{checkpoint}: all texts are read alike, so the files of the text side's "
                "tokenizer are not in the hub's cache: run once with the hub in reach."
            )
        self.dimensions: int = read.shape[1]

    @classmethod
    def load(cls, folder: Path, device: str | torch.device, sha256: str | None) -> Self:
        """The one CLAP of a folder, in eval mode.

        NTT's code opens its file as a pickle that may run anything, so the file is read first with
        nothing but tensors allowed, or must have the sha256.
        """
        path = checkpoint(folder)
        if sha256 is None:
            weight_files.read(path, None)
        else:
            weight_files.check_sha256(path, sha256)
        place = torch.device(device)
        with _quiet():
            code = _module(folder / CODE)
            model = code.PortableM2D(weight_file=str(path), flat_features=True).eval()
            _build_text_side(model, path)
            _move(model, place)
        rate = getattr(model.cfg, "sample_rate", SAMPLE_RATE)
        if rate != SAMPLE_RATE:
            raise ClapError(f"{path} hears {rate} Hz: only M2D-CLAPs at 16 kHz can be used.")
        return cls(model, path, place)

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are those of the file."""
        weights = f"{self.checkpoint.parent.name}-{artifacts.sha256(self.checkpoint)[:8]}"
        return f"{weights}/16k-first{WINDOW_SECONDS:g}s-pad/projection@{VERSION}"

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        size = round(WINDOW_SECONDS * SAMPLE_RATE)
        rows = [torch.from_numpy(wave[:size]) for wave in waves]
        windows = torch.stack([nn.functional.pad(row, (0, size - len(row))) for row in rows])
        embedded: Tensor = self.model.encode_clap_audio(windows.to(self.device))  # (B, S) -> (B, E)
        return nn.functional.normalize(embedded, dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts, no gradients; very long ones are cut: (B, E)."""
        embedded: Tensor = self.model.encode_clap_text(list(texts), truncate=True)
        # NTT's code hands them over on the CPU, wherever the model is.
        return nn.functional.normalize(embedded.to(self.device), dim=-1)


def _build_text_side(model: Any, path: Path) -> None:  # noqa: ANN401
    """NTT's code puts it off until a text comes, and builds it on the CPU."""
    try:
        with torch.no_grad():
            model.encode_clap_text([PROBES[0]], truncate=True)
    except OSError as error:
        raise ClapError(
            f"{path}: the text side needs a model of the hub (bert-base-uncased for the checkpoint "
            "of 2025, thenlper/gte-base for older ones), which is not in the hub's cache: run once "
            f"with the hub in reach. {error}"
        ) from error


def _move(model: Any, device: torch.device) -> None:  # noqa: ANN401
    model.to(device).eval().requires_grad_(False)
    # The text side of older copies is no module, but holds one.
    network = getattr(getattr(model, "text_encoder", None), "model", None)
    if isinstance(network, nn.Module):
        network.to(device).eval().requires_grad_(False)


def checkpoint(folder: Path) -> Path:
    """The weights of a folder, by the path that leads to them."""
    found = sorted(folder.glob(WEIGHTS))
    if not (folder / CODE).is_file() or len(found) != 1:
        raise ClapError(
            f"{folder} must hold {CODE} and one {WEIGHTS}, under the names that they were unpacked "
            f"with; it holds {len(found)} of the latter."
        )
    return found[0]


def _module(path: Path) -> ModuleType:
    """NTT's code as a module of its own, known to nobody else."""
    spec = importlib.util.spec_from_file_location("portable_m2d", path)
    assert spec is not None and spec.loader is not None, f"{path} has the suffix of Python code"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise ClapError(f"{path} needs more: pip install 'soundjudge[m2d]'. {error}") from error
    return module


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """NTT's code prints, and older copies extend sys.path; neither shows outside."""
    before = list(sys.path)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.path[:] = before
