"""A file like Microsoft's of 2023, of a random CLAP."""

from pathlib import Path

import tiny_gpt2
import tiny_names
import torch
from torch import nn
from transformers import ClapFeatureExtractor

from soundjudge.clap.encoders.msclap import AUDIO, TABLE, TEXT, MsClap

PUBLISHED = "CLAP_weights_2023.pth"

SIZES = {
    "kind": "msclap",
    "dimensions": 8,
    "fft_bins": 513,
    "audio": {
        "window_size": 8,
        "spec_size": 256,
        "num_mel_bins": 64,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [2, 2],
        "num_hidden_layers": 2,
        "num_attention_heads": [2, 2],
        "mlp_ratio": 4.0,
        "enable_fusion": False,
        "fusion_type": None,
    },
    "text": {
        "vocab_size": 301,
        "n_positions": 80,
        "n_embd": 128,
        "n_layer": 2,
        "n_head": 2,
        "n_inner": 64,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": None,
    },
}


def mel_filters() -> torch.Tensor:
    """Those of HTSAT for 32 kHz: (513, 64)."""
    numbers = {"sampling_rate": 32_000, "frequency_min": 50, "frequency_max": 14_000}
    filters = ClapFeatureExtractor(**numbers, fft_window_size=1024).mel_filters_slaney
    return torch.tensor(filters, dtype=torch.float32)


def clap(seed: int = 0) -> MsClap:
    built = MsClap(SIZES, tiny_gpt2.tokenizer())
    generator = torch.Generator().manual_seed(seed)
    for name, weights in built.named_parameters():
        # So that sounds and texts differ, and no part is an identity.
        is_scale = ("norm" in name or "ln_" in name) and name.endswith("weight")
        nn.init.normal_(weights, mean=float(is_scale), std=0.3, generator=generator)
    built.log_mel.mel_filters.copy_(mel_filters())
    built.audio_model.audio_encoder.batch_norm.running_mean.fill_(-40.0)  # dB, as after training
    built.audio_model.audio_encoder.batch_norm.running_var.fill_(400.0)
    return built.eval()


def state(model: MsClap) -> dict[str, torch.Tensor]:
    """The model's weights as Microsoft published them."""
    kernel = torch.zeros(513, 1, 1024)
    kernel[0, 0] = torch.hann_window(1024)
    return tiny_names.published_state(TABLE, model.state_dict()) | {
        f"{AUDIO}spectrogram_extractor.stft.conv_real.weight": kernel,
        f"{AUDIO}spectrogram_extractor.stft.conv_imag.weight": kernel,
        f"{AUDIO}layers.0.blocks.1.attn_mask": torch.zeros(64, 64, 64),
        f"{AUDIO}tscam_conv.weight": torch.zeros(1),
        f"{AUDIO}tscam_conv.bias": torch.zeros(1),
        f"{AUDIO}head.weight": torch.zeros(1),
        f"{AUDIO}head.bias": torch.zeros(1),
        f"{TEXT}h.0.attn.bias": torch.ones(1, 1, 80, 80, dtype=torch.bool),
        f"{TEXT}h.0.attn.masked_bias": torch.tensor(-10_000.0),
        "logit_scale": torch.tensor(2.6),
    }


def write(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """The published file, GPT-2's tokenizer beside it."""
    torch.save({"model": state, "epoch": 3}, folder / PUBLISHED)
    tiny_gpt2.write(folder)
    return folder / PUBLISHED
