"""A .pt file like LAION's, of a random CLAP."""

from pathlib import Path

import numpy as np
import tiny_clap
import tiny_names
import torch
import transformers

from soundjudge.clap.encoders import laion

AUDIO = {
    "num_mel_bins": 64,
    "spec_size": 256,
    "window_size": 8,
    "depths": [2, 2],
    "patch_embeds_hidden_size": 8,
}
TEXT = {
    "hidden_size": 64,
    "num_attention_heads": 1,
    "max_position_embeddings": 80,
    "layer_norm_eps": 1e-5,
}


def model(fused: bool = False) -> transformers.ClapModel:
    fusion = {"fusion_type": "aff_2d"} if fused else {}  # as the published one
    return tiny_clap.model(fused=fused, audio=AUDIO | fusion, text=TEXT)


def state(model: transformers.ClapModel) -> dict[str, torch.Tensor]:
    """The model's weights as LAION's package would save them."""
    weights = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if not key.endswith(("position_ids", "token_type_ids"))
    }
    state = tiny_names.published_state(laion.LAION, weights)
    kernel = torch.zeros(513, 1, 1024)
    kernel[0, 0] = torch.hann_window(1024)
    extractor = transformers.ClapFeatureExtractor(**laion.FRONTEND)
    state |= {
        "audio_branch.spectrogram_extractor.stft.conv_real.weight": kernel,
        "audio_branch.spectrogram_extractor.stft.conv_imag.weight": kernel,
        "audio_branch.logmel_extractor.melW": torch.tensor(
            extractor.mel_filters_slaney, dtype=torch.float32
        ),
        "audio_branch.layers.0.blocks.1.attn_mask": torch.zeros(64, 64, 64),
        "audio_branch.layers.1.blocks.1.attn_mask": torch.zeros(16, 64, 64),
        "text_branch.embeddings.position_ids": torch.arange(80)[None],
    }
    for name in ("tscam_conv", "head"):
        state |= {f"audio_branch.{name}.{leaf}": torch.zeros(1) for leaf in ("weight", "bias")}
    for side in ("audio", "text"):
        for layer in (0, 3):
            for leaf in ("weight", "bias"):
                state[f"{side}_transform.sequential.{layer}.{leaf}"] = torch.zeros(1)
    return state


def write(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """A file as LAION's training wrote it, RoBERTa's tokenizer beside it."""
    saved = {"epoch": 7, "loss": np.float64(0.5)}
    saved["state_dict"] = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save(saved, path, pickle_protocol=4)
    tiny_clap.tokenizer().save_pretrained(path.parent)
    return path
