"""HTSAT, the audio transformer of most CLAPs: sizes and front end under the names of its authors.

K. Chen et al., "HTS-AT: a hierarchical token-semantic audio transformer for sound classification
and detection", ICASSP 2022. transformers has it as `ClapAudioModel`.

W window size of the attention in patches, H heads, S samples, F frames, M mel bands.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from soundjudge.clap.encoders.spectrogram import log_mels
from soundjudge.errors import SoundjudgeError

STRIDE = 4  # of the patches, in frames and in mel bands; no tensor says so
COMPUTED = ("relative_position_index",)  # a constant that the model computes itself
HOP = 320  # samples between frames; no tensor says so


def infer_audio_config(state: Mapping[str, Tensor], branch: str) -> dict[str, Any]:
    """The sizes of the HTSAT whose names begin with `branch`, under the names of its config."""
    depths = _depths(state, branch)
    biases = [
        state[f"{branch}layers.{layer}.blocks.0.attn.relative_position_bias_table"]
        for layer in range(len(depths))
    ]  # ((2W-1)^2, H) each
    window = (math.isqrt(len(biases[0])) + 1) // 2
    # A shifted block masks each of its windows: they tile a square of patches.
    windows = len(state[f"{branch}layers.0.blocks.1.attn_mask"])
    width, _, patch, _ = state[f"{branch}patch_embed.proj.weight"].shape
    fused = f"{branch}patch_embed.mel_conv2d.weight" in state
    hidden = len(state[f"{branch}norm.weight"])
    return {
        "window_size": window,
        "spec_size": math.isqrt(windows) * window * STRIDE,
        "num_mel_bins": len(state[f"{branch}bn0.weight"]),
        "patch_size": patch,
        "patch_stride": [STRIDE, STRIDE],
        "patch_embeds_hidden_size": width,
        "hidden_size": hidden,
        "depths": depths,
        "num_hidden_layers": len(depths),
        "num_attention_heads": [bias.shape[1] for bias in biases],
        "mlp_ratio": len(state[f"{branch}layers.0.blocks.0.mlp.fc1.weight"]) / width,
        "enable_fusion": fused,
        "fusion_type": "aff_2d" if fused else None,
    }


def _depths(state: Mapping[str, Tensor], branch: str) -> list[int]:
    start = re.escape(branch)
    layers = count_layers(state, rf"{start}layers\.(\d+)\.")
    return [
        count_layers(state, rf"{start}layers\.{layer}\.blocks\.(\d+)\.") for layer in range(layers)
    ]


def count_layers(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbers the names have where the pattern's group is."""
    return len({match[1] for key in state if (match := re.match(pattern, key))})


class StoredLogMel(nn.Module):
    """The front end of a checkpoint that holds its own mel filters: (..., S) -> (..., F, M), dB."""

    mel_filters: Tensor  # (bins of the FFT, M)

    def __init__(self, bins: int, mels: int) -> None:
        super().__init__()
        self.register_buffer("mel_filters", torch.zeros(bins, mels))

    def forward(self, sounds: Tensor) -> Tensor:
        """The spectrograms of sounds at the model's rate, float32."""
        size = 2 * (len(self.mel_filters) - 1)
        mels = log_mels(sounds.flatten(end_dim=-2), self.mel_filters, size, HOP)
        return mels.reshape(*sounds.shape[:-1], *mels.shape[1:])


def check_window(kernel: Tensor, mel_filters: Tensor) -> None:
    """Raises SoundjudgeError unless the front end's Fourier transform has a Hann window.

    `kernel` (bins, 1, size) is its real part; bin 0 of it is the window.
    """
    size = 2 * (len(mel_filters) - 1)
    window = torch.hann_window(size)
    if kernel.shape != (len(mel_filters), 1, size) or not torch.allclose(
        kernel[0, 0].float(), window, atol=1e-5
    ):
        raise SoundjudgeError("the window of this CLAP's front end is not that of HTSAT.")


def frame_values(encoder: Any, mels: Tensor) -> Tensor:  # noqa: ANN401  transformers types none
    """Frames by their own values in the last block, not mixed with others': MGA-CLAP's.

    Y. Li et al., ACM Multimedia 2024, locality-aware block. `encoder` is that of a
    `ClapAudioModel`: (B, 1, F, M) -> (B, N, H).
    """
    normalized = encoder.batch_norm(mels.transpose(1, 3)).transpose(1, 3)
    states = encoder.patch_embed(encoder.reshape_mel2img(normalized))  # (B, patches, width)
    *resolutions, last_resolution = encoder.input_resolutions
    for stage, resolution in zip(encoder.layers[:-1], resolutions, strict=True):
        states = stage(states, resolution)[0]
    *blocks, last = encoder.layers[-1].blocks
    for block in blocks:
        states = block(states, last_resolution)[0]
    values = last.attention.self.value(last.layernorm_before(states))
    values = states + last.attention.output.dense(values)
    values = encoder.norm(values + last.layernorm_after(values))  # (B, patches, H)
    side = math.isqrt(values.shape[1])
    # Of the square of patches each band of rows is a stretch of time; a row in it is of mel bands.
    square: Tensor = values.reshape(len(values), encoder.freq_ratio, -1, side, values.shape[-1])
    return square.mean(dim=2).flatten(1, 2)
