"""M2D-CLAP, run by the user's own copy of NTT's code, whole or part by part.

B batch, T samples at 16 kHz, S samples of the window, F frames, M mel bands, N patches, H tower
width, E embedding dimensions.

No weight of NTT's is stored. Loading opens the user's copy, whose file must be the very same, and
adds the deltas: the weights are those that were tuned, to the last bit, or loading fails.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge.clap.encoders import deltas, m2d_copy, naming
from soundjudge.clap.encoders.encoder import PROBES, Parts
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import EncoderReference

M2D_SAMPLE_RATE = 16_000  # Hz
WINDOW_SECONDS = 10.0  # a shorter sound gets silence at its end, as in NTT's own example
PROJECTIONS = ("audio_proj.", "text_proj.")  # what the names of their weights begin with
VERSION = 1  # of the code around NTT's: raise it when equal weights give other embeddings
DELTAS = "deltas.safetensors"


class M2dClap(nn.Module):
    """`PortableM2D` as a `ClapEncoder`.

    Front end, tower and projection can be run one by one, as those of `TransformersClap`, once
    `check_parts` has compared this with NTT's own calls.
    """

    def __init__(self, model: Any, checkpoint: Path, fixed: frozenset[str]) -> None:  # noqa: ANN401
        super().__init__()
        self.model, self.checkpoint = model, checkpoint
        self.fixed = fixed  # names of weights that NTT's code itself never trains
        text = model.text_encoder
        # The text side of older copies is no module, but holds one.
        self.text_network = None if isinstance(text, nn.Module) else getattr(text, "model", None)
        self.sample_rate = M2D_SAMPLE_RATE
        self.window_seconds = WINDOW_SECONDS
        with torch.no_grad():
            texts = self.embed_texts(PROBES)
        if torch.allclose(texts[0], texts[1], atol=1e-4):
            raise SoundjudgeError(
                f"{checkpoint}: all texts have one embedding, so the files of the text side's "
                "tokenizer are not in the hub's cache: run once with the hub in reach."
            )
        self.dimensions: int = texts.shape[1]

    @classmethod
    def load(cls, folder: Path, device: str | torch.device, sha256: str | None) -> Self:
        """The one CLAP of a folder, frozen and in eval mode; see `load_portable_m2d`."""
        path = m2d_copy.find_checkpoint(folder)
        model = m2d_copy.load_portable_m2d(folder, sha256)
        rate = getattr(model.cfg, "sample_rate", M2D_SAMPLE_RATE)
        if rate != M2D_SAMPLE_RATE:
            raise SoundjudgeError(f"{path} is for {rate} Hz: only M2D-CLAPs at 16 kHz can be used.")
        fixed = {name for name, weights in model.named_parameters() if not weights.requires_grad}
        return cls(model, path, frozenset(fixed)).to(device).eval().requires_grad_(False)

    @property
    def folder(self) -> Path:
        """Where the user's copy lies."""
        return self.checkpoint.parents[1]

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and code."""
        code = (self.folder / m2d_copy.CODE).read_text("utf-8")  # its settings are in it
        weights = f"{self.checkpoint.parent.name}-{naming.short_digest(code, self.weights())}"
        return f"{weights}/16k-first{WINDOW_SECONDS:g}s-pad/projection@{VERSION}"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.parameters()).device

    def weights(self) -> dict[str, Tensor]:
        """All weights, live."""
        return {name: weights.data for name, weights in self.named_parameters()}

    def parts(self) -> Parts:
        """The weights that can be trained; a projection that this checkpoint lacks has none."""
        backbone = dict(self.model.backbone.named_parameters())
        tower = [
            weights
            for name, weights in backbone.items()
            if not name.startswith(PROJECTIONS) and f"backbone.{name}" not in self.fixed
        ]
        heads = [[w for name, w in backbone.items() if name.startswith(p)] for p in PROJECTIONS]
        text = self.text_network or self.model.text_encoder
        return {
            "audio_model": tower,
            "audio_projection": heads[0],
            "text_model": list(text.parameters()) if isinstance(text, nn.Module) else [],
            "text_projection": heads[1],
        }

    def log_mel(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """NTT's log-mel spectrograms: (B, 1, M, F)."""
        # In bf16 a spectrogram is wrong by a decibel here and there.
        with torch.autocast(self.device.type, enabled=False):
            mels: Tensor = self.model.to_normalized_feature(self._windows(waves))
        return mels

    def pool_mels(self, mels: Tensor) -> Tensor:
        """The audio tower: (B, 1, M, F) -> (B, H), or (B, N, H) where the projection pools."""
        pooled: Tensor = self.model.encode_lms(mels)  # (B, N, H)
        pools_itself = hasattr(self.model.backbone.audio_proj, "dont_average")
        return pooled if pools_itself else pooled.mean(dim=-2)

    def project_sounds(self, pooled: Tensor) -> Tensor:
        """Audio tower outputs as unit embeddings: (B, E)."""
        return nn.functional.normalize(self.model.backbone.audio_proj(pooled), dim=-1)

    def pool_texts(self, texts: Sequence[str]) -> Tensor:
        """The text tower; very long texts are cut: (B, H)."""
        pooled: Tensor = self.model.text_encoder(list(texts), truncate=True)
        return pooled.to(self.device)

    def project_texts(self, pooled: Tensor) -> Tensor:
        """Text tower outputs (B, H) as unit embeddings (B, E)."""
        project = getattr(self.model.backbone, "text_proj", nn.Identity())
        return nn.functional.normalize(project(pooled).float(), dim=-1)

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        embedded: Tensor = self.model.encode_clap_audio(self._windows(waves))  # (B, S) -> (B, E)
        return nn.functional.normalize(embedded, dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts, no gradients; very long ones are cut: (B, E)."""
        embedded: Tensor = self.model.encode_clap_text(list(texts), truncate=True)
        # NTT's code returns them on the CPU, wherever the model is.
        return nn.functional.normalize(embedded.to(self.device), dim=-1)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it, as far as NTT's code tells."""
        tokenizer = getattr(self.model.text_encoder, "tokenizer", None)
        if tokenizer is None:
            return [False] * len(texts)
        rows = tokenizer(list(texts), verbose=False)["input_ids"]
        return [len(row) > tokenizer.model_max_length for row in rows]

    def check_parts(self) -> None:
        """Raises SoundjudgeError unless the parts, one after the other, embed as NTT's calls do."""
        wave = np.sin(np.arange(M2D_SAMPLE_RATE, dtype=np.float32) ** 1.5 / 100)
        with torch.no_grad():
            try:
                sounds = self.project_sounds(self.pool_mels(self.log_mel([wave])))
                texts = self.project_texts(self.pool_texts(PROBES))
            except (AttributeError, TypeError) as error:
                raise self._untunable(str(error)) from error
            for parts, whole in (
                (sounds, self.embed_sounds([wave])),
                (texts, self.embed_texts(PROBES)),
            ):
                if parts.shape != whole.shape or not torch.allclose(parts, whole, atol=1e-5):
                    raise self._untunable("its parts do not make up the whole")

    def _untunable(self, reason: str) -> SoundjudgeError:
        return SoundjudgeError(
            f"{self.folder / m2d_copy.CODE} can't be tuned ({reason}): use NTT's copy of 2025 "
            "as it is, or name another CLAP for tune_clap."
        )

    def _windows(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        size = round(WINDOW_SECONDS * M2D_SAMPLE_RATE)
        rows = [torch.from_numpy(wave[:size]) for wave in waves]
        padded = [nn.functional.pad(row, (0, size - len(row))) for row in rows]
        return torch.stack(padded).to(self.device)  # (B, S)


def save_deltas(folder: Path, clap: M2dClap) -> EncoderReference:
    """Writes the deltas; returns the reference to the copy that they belong to."""
    sha256 = artifacts.sha256(clap.checkpoint)
    base = M2dClap.load(clap.folder, "cpu", sha256)
    artifacts.save_tensors(folder / DELTAS, deltas.compute_deltas(base.weights(), clap.weights()))
    return EncoderReference(path=clap.folder.as_posix(), sha256=sha256)


def load_deltas(
    folder: Path, copy: Path, sha256: str | None, digest: str | None, device: str | torch.device
) -> M2dClap:
    """The tuned M2D-CLAP of a folder that `save_deltas` wrote.

    `copy` is the user's own, whose file must have the `sha256`; `digest` is that of the tuned
    weights.
    """
    clap = M2dClap.load(copy, "cpu", sha256)
    weights = clap.weights()
    try:
        tuned = deltas.apply_deltas(weights, artifacts.load_tensors(folder / DELTAS))
    except SoundjudgeError as error:
        raise SoundjudgeError(
            f"{folder / DELTAS} does not fit {clap.checkpoint}: {error}"
        ) from error
    for name, tensor in tuned.items():
        weights[name].copy_(tensor)
    if deltas.weights_digest(weights) != digest:
        raise SoundjudgeError(
            f"{folder} was tuned on other weights than {clap.folder} gives: portable_m2d.py is "
            "another, or the text side, where it comes from the hub. Put the former back, or tune "
            "again."
        )
    return clap.to(device)
