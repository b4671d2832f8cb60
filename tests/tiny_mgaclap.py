"""A file like MGA-CLAP's, of a random CLAP."""

from pathlib import Path

import tiny_clap
import tiny_msclap
import tiny_names
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from soundjudge.clap.encoders.mgaclap import AUDIO, FRONTEND, TABLE, TEXT, MgaClap

PUBLISHED = "mga-clap.pt"
SIZES = {
    "kind": "mgaclap",
    "dimensions": 8,
    "codes": 12,
    "fft_bins": 513,
    "audio": tiny_msclap.SIZES["audio"],
    "text": {
        "vocab_size": 124,
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 40,
        "type_vocab_size": 2,
    },
}


def tokenizer() -> PreTrainedTokenizerFast:
    """That of the other tests with the padding first, as BERT's: token 0."""
    words = tiny_clap.tokenizer()
    vocabulary = words.get_vocab()
    swap = {"<s>": vocabulary["<pad>"], "<pad>": vocabulary["<s>"]}
    return tiny_clap.tokenizer(ids=vocabulary | swap)


def clap(seed: int = 0) -> MgaClap:
    built = MgaClap(SIZES, tokenizer())
    generator = torch.Generator().manual_seed(seed)
    for name, weights in built.named_parameters():
        # So that sounds and texts differ, and no part is an identity.
        mean = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        nn.init.normal_(weights, mean=mean, std=0.3, generator=generator)
    with torch.no_grad():
        # Likeness to codes is divided by a thousand: trained ones are far from 0.
        built.codebook.mul_(300)
    built.log_mel.mel_filters.copy_(tiny_msclap.mel_filters())
    built.audio_model.audio_encoder.batch_norm.running_mean.fill_(-40.0)  # dB, as after training
    built.audio_model.audio_encoder.batch_norm.running_var.fill_(400.0)
    return built.eval()


def state(model: MgaClap) -> dict[str, torch.Tensor]:
    """The model's weights as their authors published them."""
    kernel = torch.zeros(513, 1, 1024)
    kernel[0, 0] = torch.hann_window(1024)
    return tiny_names.published_state(TABLE, model.state_dict()) | {
        f"{FRONTEND}mel_trans.stft.conv_real.weight": kernel,
        f"{FRONTEND}mel_trans.stft.conv_imag.weight": kernel,
        f"{AUDIO}layers.0.blocks.1.attn_mask": torch.zeros(64, 64, 64),
        f"{AUDIO}tscam_conv.weight": torch.zeros(1),
        f"{AUDIO}tscam_conv.bias": torch.zeros(1),
        f"{AUDIO}head.weight": torch.zeros(1),
        f"{AUDIO}head.bias": torch.zeros(1),
        f"{TEXT}embeddings.position_ids": torch.arange(40)[None],
        "temp": torch.tensor(0.07),
    }


def write(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """The published file, BERT's tokenizer beside it."""
    torch.save({"model": state, "optimizer": {"state": {}}, "epoch": 9}, folder / PUBLISHED)
    tokenizer().save_pretrained(folder)
    return folder / PUBLISHED
