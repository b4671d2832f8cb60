"""BEATs: log-mel pictures to a sequence of frames, and its files.

Chen et al. 2022, "BEATs: Audio Pre-Training with Acoustic Tokenizers", arXiv 2212.09058.
Letters: B = batch, F = log-mel frames of 10 ms, N = patches (time-major: the frequency bands of the
first 16 frames, then those of the next), E = patch width, D = encoder width, H = heads.
"""

import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.fbank import log_mel_fbank
from soundjudge.model.audio.beats.layers import MEL_BINS, BeatsConfig, Layer, PositionConvolution
from soundjudge.runtime import artifacts

__all__ = [
    "Beats",
    "BeatsConfig",
    "SoundjudgeError",
    "load_beats",
    "save_beats",
    "save_beats_folder",
]

# torch's newer spelling of a normed weight, as files saved with it have it -> Microsoft's.
FOREIGN_NAMES = {
    "encoder.pos_conv.0.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
    "encoder.pos_conv.0.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
}


class TransformerEncoder(nn.Module):
    """Positions by convolution, then the layers; all share the table of relative positions."""

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

    def forward(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        """(B, N, D), `padding_mask` (B, N) true at padding: (B, N, D)."""
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(2), 0.0)
        x = x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        if not self.config.layer_norm_first:
            x = self.layer_norm(x)
        x = self.dropout(x)
        bias = self._bias(x.shape[1], x.device)
        padding_mask = None if padding_mask is None else padding_mask[:, None, None, :]
        for layer in self.layers:
            if self.training and torch.rand(()) < self.config.encoder_layerdrop:
                continue
            x = layer(x, bias, padding_mask)
        return x

    def _bias(self, length: int, device: torch.device) -> Tensor | None:
        """What attention adds for the distance of key and query, before the gates: (H, N, N)."""
        layer = self.layers[0]
        assert isinstance(layer, Layer)
        table = layer.self_attn.relative_attention_bias
        if table is None:
            return None
        place = torch.arange(length, device=device)
        bucket = relative_position_buckets(place[None, :] - place[:, None], self.config)  # (N, N)
        bias: Tensor = table(bucket)  # (N, N, H)
        return bias.permute(2, 0, 1)


class Beats(nn.Module):
    """The whole encoder; of a fine-tuned file it keeps the tagger (`predictor`) without using it.

    What only steers Microsoft's training (gradient decay by layer, mask shares) is not part of it.
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
        """Frames (B, N, D) of waves (B, T) at 16 kHz; `augment` changes the spectrogram before."""
        device = self.patch_embedding.weight.device
        spectrogram = log_mel_fbank(waves.to(device))  # (B, F, 128)
        encoded: Tensor = self(spectrogram if augment is None else augment(spectrogram))
        return encoded

    def forward(self, fbank: Tensor, frames: Tensor | None = None) -> Tensor:
        """(B, F, 128) as `fbank.fbank` makes it: (B, N, D).

        With `frames` (B,), the number of valid frames of each row, no patch attends to patches that
        begin beyond them; their own outputs mean nothing.
        """
        patch = self.config.input_patch_size
        if fbank.shape[1] < patch:
            raise ValueError(
                f"BEATs needs at least {patch} frames of 10 ms, this sound has {fbank.shape[1]}: "
                "lengthen it with silence."
            )
        x = self.patch_embedding(fbank.unsqueeze(1))  # (B, E, F / 16, 8)
        x = self.layer_norm(x.flatten(2).transpose(1, 2))  # (B, N, E)
        padding_mask = None
        if frames is not None:
            # Microsoft's rule: the patches of 16 frames count as if they came one after the other.
            start = torch.arange(x.shape[1], device=x.device) * patch // (MEL_BINS // patch)
            padding_mask = start[None, :] >= frames.to(x.device)[:, None]  # (B, N)
        if self.post_extract_proj is not None:
            x = self.post_extract_proj(x)  # (B, N, D)
        features: Tensor = self.encoder(self.dropout_input(x), padding_mask)
        return features


def relative_position_buckets(distance: Tensor, config: BeatsConfig) -> Tensor:
    """The row of the relative position table for each distance: exact when near, log when far."""
    half = config.num_buckets // 2
    exact = half // 2
    near = distance.abs()
    logs = (near.clamp(min=exact).float() / exact).log() / math.log(config.max_distance / exact)
    far = (exact + (logs * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(near < exact, near, far) + (distance > 0).long() * half


def load_beats(path: Path) -> Beats:
    """A BEATs in evaluation mode from an official `.pt` or from a folder of `save_beats_folder`.

    Official files hold {'cfg', 'model'}; pre-trained and fine-tuned ones are read, and both
    spellings of the normed convolution. Every name must match, or it is a BeatsFileError.
    """
    cfg, weights = _read_folder(path) if path.is_dir() else _read_official(path)
    known = {field.name for field in fields(BeatsConfig)}
    with torch.device("meta"):  # to draw weights that are replaced at once would take longest
        beats = Beats(BeatsConfig(**{key: value for key, value in cfg.items() if key in known}))
    weights = {FOREIGN_NAMES.get(name, name): tensor for name, tensor in weights.items()}
    try:
        beats.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise SoundjudgeError(f"{path}: weights and configuration differ: {reason}") from error
    return beats.float().eval()


def load_frozen(path: Path, device: torch.device) -> Beats:
    """The same on a device, without gradients."""
    return load_beats(path).to(device).requires_grad_(False)


def copy_to_folder(source: Path, target: Path) -> None:
    """An official `.pt`, or a folder of ours, as a folder of ours: loaded strictly, and saved."""
    save_beats_folder(load_beats(source), target)


def save_beats(beats: Beats, path: Path) -> None:
    """Microsoft's format: a `.pt` with {'cfg': dict, 'model': state_dict}."""
    weights = {name: tensor.detach().cpu() for name, tensor in beats.state_dict().items()}
    with artifacts.atomic_file(path) as temporary:
        torch.save({"cfg": asdict(beats.config), "model": weights}, temporary)


def save_beats_folder(beats: Beats, folder: Path) -> None:
    """The format of a judge: `config.json` and `model.safetensors`, nothing pickled."""
    # The table of relative positions is listed once a layer: safetensors wants copies.
    weights = {name: tensor.detach().cpu().clone() for name, tensor in beats.state_dict().items()}
    with artifacts.atomic_folder(folder) as temporary:
        artifacts.write_json(temporary / "config.json", asdict(beats.config))
        artifacts.save_tensors(temporary / "model.safetensors", weights)


def _read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise SoundjudgeError(f"{folder}: no {name} in this BEATs folder.")
    config = artifacts.read_json(folder / "config.json")
    return config, artifacts.load_tensors(folder / "model.safetensors")


def _read_official(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise SoundjudgeError(
            f"{path}: no such BEATs checkpoint: put an official BEATs .pt there, or name another "
            "(encoders.audio in params.yaml, or --beats)."
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, OSError) as error:
        raise SoundjudgeError(f"{path}: not a readable PyTorch checkpoint.") from error
    if not isinstance(content, dict) or not {"cfg", "model"} <= content.keys():
        raise SoundjudgeError(
            f"{path}: a BEATs checkpoint holds 'cfg' and 'model', this one does not."
        )
    return content["cfg"], content["model"]
