"""The published file of Microsoft's CLAP of 2023: names of weights and sizes."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from soundjudge.clap.encoders import htsat
from soundjudge.clap.encoders.name_tables import NameTable, htsat_dropped, htsat_rows, same
from soundjudge.clap.encoders.published_clap import PublishedFile

AUDIO, TEXT = "audio_encoder.base.htsat.", "caption_encoder.base."
MEL_FILTERS = f"{AUDIO}logmel_extractor.melW"
STFT = f"{AUDIO}spectrogram_extractor.stft"
TEXT_HEAD = 64  # width of an attention head of GPT-2; no tensor says so
PROJECTION = same("linear1", "linear2", "layer_norm")

TABLE = NameTable(
    rows=(
        *htsat_rows(AUDIO),
        ("", "", {MEL_FILTERS: "log_mel.mel_filters"}),
        ("audio_encoder.projection.", "audio_projection.", PROJECTION),
        (TEXT, "text_model.", same("wte", "wpe", "ln_f")),
        (
            f"{TEXT}h.N.",
            "text_model.h.N.",
            same("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"),
        ),
        ("caption_encoder.projection.", "text_projection.", PROJECTION),
    ),
    dropped={
        **htsat_dropped(AUDIO),
        f"{STFT}.conv_real": "front end, compared with ours",
        f"{STFT}.conv_imag": "front end, compared with ours",
        f"{TEXT}h.N.attn.bias": "the causal mask, which the model computes itself",
        f"{TEXT}h.N.attn.masked_bias": "older versions of GPT-2 kept it beside the mask",
        "logit_scale": "temperature of the training's loss; no part of an embedding",
    },
    contents="the weights of 2023 of Microsoft's CLAP, with an HTSAT and a GPT-2,",
)


def infer_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes of the model that these weights, under Microsoft's names, belong to."""
    words, hidden = state[f"{TEXT}wte.weight"].shape
    return {
        "dimensions": len(state["audio_encoder.projection.linear1.weight"]),
        "audio": htsat.infer_audio_config(state, AUDIO),
        "text": {
            "vocab_size": words,
            "n_positions": len(state[f"{TEXT}wpe.weight"]),
            "n_embd": hidden,
            "n_layer": htsat.count_layers(state, rf"{re.escape(TEXT)}h\.(\d+)\."),
            "n_head": hidden // TEXT_HEAD,
            "n_inner": state[f"{TEXT}h.0.mlp.c_fc.weight"].shape[1],
            "pad_token_id": 0,  # of "!"
            "bos_token_id": None,
            "eos_token_id": None,
        },
    }


MSCLAP = PublishedFile(
    kind="msclap",
    title="MS-CLAP of 2023",
    pattern="CLAP_weights_*.pth",
    tokenizer="openai-community/gpt2",
    table=TABLE,
    mel_filters=MEL_FILTERS,
    stft_kernel=f"{STFT}.conv_real.weight",
    infer_sizes=infer_sizes,
)
