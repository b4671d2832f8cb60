"""A Whisper and a folder of sentence-transformers, small enough to build in every test."""

import json
from pathlib import Path

import tiny_clap
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

SECONDS = 2  # that a tiny Whisper hears
FRONTEND = {"feature_size": 8, "hop_length": 160, "chunk_length": SECONDS, "n_fft": 400}


def enlarge(model: nn.Module) -> nn.Module:
    for name, weights in model.named_parameters():
        if "norm" not in name.lower() and "positions" not in name:
            nn.init.normal_(weights, std=0.3)  # so that sounds and texts differ
    return model.eval()


def write_whisper(folder: Path) -> WhisperForConditionalGeneration:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = WhisperConfig(
            vocab_size=60,
            num_mel_bins=8,
            d_model=16,
            encoder_layers=2,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            max_source_positions=50 * SECONDS,
            max_target_positions=10,
            **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 1),
            decoder_start_token_id=2,
        )
        model = enlarge(WhisperForConditionalGeneration(config))
    model.save_pretrained(folder)
    WhisperFeatureExtractor(**FRONTEND).save_pretrained(folder)
    return model


def write_sentence(folder: Path, pooling: str = "mean_tokens", tokens: int = 9) -> BertModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"vocab_size": 124, "hidden_size": 16, "intermediate_size": 16, "pad_token_id": 1}
        layers = {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32}
        model = enlarge(BertModel(BertConfig(**sizes, **layers)))
    model.save_pretrained(folder)
    tiny_clap.tokenizer().save_pretrained(folder)
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": path}
        for kind, path in (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_N"))
    ]
    (folder / "1_Pooling").mkdir()
    for name, values in (
        ("modules.json", modules),
        ("1_Pooling/config.json", {"word_embedding_dimension": 16, f"pooling_mode_{pooling}": True,
                                   "pooling_mode_max_tokens": False}),
        ("sentence_bert_config.json", {"max_seq_length": tokens, "do_lower_case": False}),
    ):  # fmt: skip
        (folder / name).write_text(json.dumps(values))
    return model
