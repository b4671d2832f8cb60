"""A random CLAP small enough to build in every test."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import ClapConfig, ClapModel, PreTrainedTokenizerFast

from soundjudge.clap.encoders.spectrogram import FeatureExtractor
from soundjudge.clap.encoders.transformers_clap import TransformersClap

WORDS = ["a", "dog", "cat", "barks", "rain", "falls", "bell", "rings", "then", "while", "engine"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]

NUMBERS = {
    "feature_size": 16,
    "sampling_rate": 16_000,
    "hop_length": 160,
    "max_length_s": 0.6,
    "fft_window_size": 400,
    "frequency_min": 50.0,
    "frequency_max": 8_000.0,
    "truncation": "rand_trunc",
    "padding": "repeatpad",
}


def tokenizer(words: int = 120, ids: dict[str, int] | None = None) -> PreTrainedTokenizerFast:
    vocabulary = SPECIAL + WORDS + [f"word{number}" for number in range(words - len(WORDS))]
    ids = ids or {word: number for number, word in enumerate(vocabulary)}
    core = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(token, ids[token]) for token in ("<s>", "</s>")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=30,
    )


def model(
    seed: int = 0, fused: bool = False, audio: dict | None = None, text: dict | None = None
) -> ClapModel:
    config = ClapConfig(
        projection_dim=8,
        text_config={
            "vocab_size": 124,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 32,
            **(text or {}),
        },
        audio_config={
            "num_mel_bins": 16,
            "spec_size": 32,
            "window_size": 4,
            "patch_embeds_hidden_size": 8,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "hidden_size": 16,
            "enable_fusion": fused,
            "num_hidden_layers": 2,
            **(audio or {}),
        },
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = ClapModel(config)
        for name, weights in built.named_parameters():
            if "norm" not in name and "logit" not in name:
                torch.nn.init.normal_(weights, std=0.3)  # so that sounds and texts differ
    built.audio_model.audio_encoder.batch_norm.running_mean.fill_(-40.0)  # dB, as after training
    built.audio_model.audio_encoder.batch_norm.running_var.fill_(400.0)
    return built


def clap(seed: int = 0, **numbers: object) -> TransformersClap:
    extractor = FeatureExtractor(**(NUMBERS | numbers))
    return TransformersClap(model(seed), tokenizer(), extractor).eval()
