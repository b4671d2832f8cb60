"""BEATs: log-mel spectrograms to a sequence of frames, and its files.

Chen et al. 2022, "BEATs: Audio Pre-Training with Acoustic Tokenizers", arXiv 2212.09058.
Letters: B = batch, F = log-mel frames of 10 ms, N = patches (time-major: the frequency bands of the
first 16 frames, then those of the next), E = patch width, D = encoder width, H = heads.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.fbank import log_mel_fbank
from soundjudge.model.audio.beats.layers import BeatsConfig, Layer, PositionConvolution
from soundjudge.runtime import artifacts, model_folder
from soundjudge.runtime.devices import copy_to

# Names of a normalized weight: torch's newer ones -> Microsoft's.
FOREIGN_NAMES = {
    "encoder.pos_conv.0.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
    "encoder.pos_conv.0.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
}


class TransformerEncoder(nn.Module):
    """Positions by convolution, then the layers, which share one relative position table."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        width = config.encoder_embed_dim
        self.pos_conv = nn.Sequential(
            PositionConvolution(width, config.conv_pos, config.conv_pos_groups), nn.GELU()
        )
        table = None
        if config.relative_position_embedding:
            table = nn.Embedding(config.num_buckets, config.encoder_attention_heads)
            nn.init.normal_(table.weight, std=0.02)
        self.layers = nn.ModuleList(Layer(config, table) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        x = x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        if not self.config.layer_norm_first:
            x = self.layer_norm(x)
        x = self.dropout(x)
        bias = self._bias(x.shape[1], x.device)
        for layer in self.layers:
            if self.training and torch.rand(()) < self.config.encoder_layerdrop:
                continue
            x = layer(x, bias)
        return x

    def _bias(self, length: int, device: torch.device) -> Tensor | None:
        """The relative position bias of attention before its gates: (H, N, N)."""
        layer = self.layers[0]
        assert isinstance(layer, Layer)
        table = layer.self_attn.relative_attention_bias
        if table is None:
            return None
        positions = torch.arange(length, device=device)
        distances = positions[None, :] - positions[:, None]  # (N, N)
        bias: Tensor = table(relative_position_buckets(distances, self.config))  # (N, N, H)
        return bias.permute(2, 0, 1)


class Beats(nn.Module):
    """The whole encoder; the tagger (`predictor`) of a fine-tuned file is kept and not used.

    What only Microsoft's training uses (gradient decay per layer, mask ratios) is left out.
    """

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        patch, width = config.input_patch_size, config.encoder_embed_dim
        self.patch_embedding = nn.Conv2d(
            1, config.embed_dim, kernel_size=patch, stride=patch, bias=config.conv_bias
        )
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        self.post_extract_proj = (
            nn.Linear(config.embed_dim, width) if config.embed_dim != width else None
        )
        self.dropout_input = nn.Dropout(config.dropout_input)
        self.encoder = TransformerEncoder(config)
        self.predictor = (
            nn.Linear(width, config.predictor_class) if config.finetuned_model else None
        )

    @property
    def width(self) -> int:
        """D."""
        return self.config.encoder_embed_dim

    def name(self) -> str:
        """Kind and size."""
        return f"beats-{self.config.encoder_layers}x{self.width}"

    def frames(self, waves: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Frames (B, N, D) of waves (B, T) at 16 kHz; `augment` changes their spectrograms."""
        device = self.patch_embedding.weight.device
        spectrogram = log_mel_fbank(copy_to(waves, device))  # (B, F, 128)
        encoded: Tensor = self(spectrogram if augment is None else augment(spectrogram))
        return encoded

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Log-mel spectrograms (B, F, 128), see `fbank.log_mel_fbank`, to (B, N, D)."""
        patch = self.config.input_patch_size
        if spectrogram.shape[1] < patch:
            raise SoundjudgeError(
                f"BEATs needs at least {patch} frames of 10 ms, this sound has "
                f"{spectrogram.shape[1]}: lengthen it with silence."
            )
        x = self.patch_embedding(spectrogram.unsqueeze(1))  # (B, E, F / 16, 8)
        x = self.layer_norm(x.flatten(2).transpose(1, 2))  # (B, N, E)
        if self.post_extract_proj is not None:
            x = self.post_extract_proj(x)  # (B, N, D)
        features: Tensor = self.encoder(self.dropout_input(x))
        return features


def relative_position_buckets(distance: Tensor, config: BeatsConfig) -> Tensor:
    """The relative position table's row for each distance: exact when near, log when far."""
    half = config.num_buckets // 2
    exact = half // 2
    near = distance.abs()
    logs = (near.clamp(min=exact).float() / exact).log() / math.log(config.max_distance / exact)
    far = (exact + (logs * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(near < exact, near, far) + (distance > 0).long() * half


def load_beats(path: Path) -> Beats:
    """A BEATs in evaluation mode from an official `.pt` or from a folder of `save_beats_folder`.

    Official files hold {'cfg', 'model'}, pre-trained or fine-tuned, with either spelling of the
    normalized convolution. Raises SoundjudgeError unless every name matches.
    """
    cfg, weights = _read_folder(path) if path.is_dir() else _read_official(path)
    model_folder.check_tensors(path, weights)
    keys = {field.name for field in fields(BeatsConfig)}
    with (
        model_folder.reading(path),
        torch.device("meta"),
    ):  # initializing weights that are replaced at once takes longest
        beats = Beats(BeatsConfig(**{key: value for key, value in cfg.items() if key in keys}))
    weights = {FOREIGN_NAMES.get(name, name): tensor for name, tensor in weights.items()}
    try:
        beats.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        reason = model_folder.one_line(error)
        raise SoundjudgeError(f"{path}: weights and configuration differ: {reason}") from error
    return beats.float().eval()


def load_frozen(path: Path, device: torch.device) -> Beats:
    """A BEATs for features: `load_beats` on a device, without gradients."""
    return load_beats(path).to(device).requires_grad_(False)


def copy_to_folder(source: Path, target: Path) -> None:
    """Writes any checkpoint that `load_beats` reads as a folder of safetensors."""
    save_beats_folder(load_beats(source), target)


def save_beats(beats: Beats, path: Path) -> None:
    """Microsoft's format: a `.pt` with {'cfg': dict, 'model': state_dict}."""
    weights = {name: tensor.detach().cpu() for name, tensor in beats.state_dict().items()}
    with artifacts.atomic_file(path) as temporary:
        torch.save({"cfg": asdict(beats.config), "model": weights}, temporary)


def save_beats_folder(beats: Beats, folder: Path) -> None:
    """The format of a judge: `config.json` and `model.safetensors`, nothing pickled."""
    # Every layer lists the shared table of relative positions: safetensors wants copies.
    weights = {name: tensor.detach().cpu().clone() for name, tensor in beats.state_dict().items()}
    with artifacts.atomic_folder(folder) as temporary:
        artifacts.write_json(temporary / "config.json", asdict(beats.config), digits=None)
        artifacts.save_tensors(temporary / "model.safetensors", weights)


def _read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise SoundjudgeError(f"{folder}: no {name} in this BEATs folder.")
    config = artifacts.read_json_object(folder / "config.json")
    return config, artifacts.load_tensors(folder / "model.safetensors")


def _read_official(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise SoundjudgeError(
            f"{path}: no such BEATs checkpoint: put an official BEATs .pt there, or name another "
            "(encoders.audio in params.yaml, or --beats)."
        )
    content = model_folder.read_checkpoint(path, weights_only=True)
    parts = content if isinstance(content, dict) else {}
    cfg, weights = parts.get("cfg"), parts.get("model")
    if not isinstance(cfg, dict) or not isinstance(weights, dict):
        raise SoundjudgeError(
            f"{path}: a BEATs checkpoint holds 'cfg' and 'model', this one does not."
        )
    return cfg, weights
