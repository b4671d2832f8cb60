"""The published file of Microsoft's CLAP of 2023: names of weights, sizes and contents."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from soundjudge.clap.encoders import htsat, weight_files
from soundjudge.clap.encoders.name_tables import NameTable, htsat_dropped, htsat_rows, same
from soundjudge.errors import SoundjudgeError

AUDIO, TEXT = "audio_encoder.base.htsat.", "caption_encoder.base."
MEL_FILTERS = f"{AUDIO}logmel_extractor.melW"
STFT_KERNEL = f"{AUDIO}spectrogram_extractor.stft.conv_real.weight"
KIND = "msclap"
TEXT_HEAD = 64  # width of an attention head of GPT-2; no tensor says so
PROJECTION = same("linear1", "linear2", "layer_norm")

MSCLAP = NameTable(
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
        f"{AUDIO}spectrogram_extractor.stft.conv_real": "front end, compared with ours",
        f"{AUDIO}spectrogram_extractor.stft.conv_imag": "front end, compared with ours",
        f"{TEXT}h.N.attn.bias": "the causal mask, which the model computes itself",
        f"{TEXT}h.N.attn.masked_bias": "older versions of GPT-2 kept it beside the mask",
        "logit_scale": "temperature of the training's loss; no part of an embedding",
    },
    contents="the weights of 2023 of Microsoft's CLAP, with an HTSAT and a GPT-2,",
)


def read_published(file: Path, sha256: str | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Sizes and weights of the published file."""
    saved = weight_files.read_weights(file, sha256)
    state = saved.get("model") if isinstance(saved, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise SoundjudgeError(f"{file} holds no weights: it is no CLAP of Microsoft's.")
    try:
        htsat.check_window(state[STFT_KERNEL], state[MEL_FILTERS])
        return infer_sizes(state), MSCLAP.rename(state)
    except KeyError as error:
        raise SoundjudgeError(f"{file} has no {error}: it is no MS-CLAP of 2023.") from error
    except SoundjudgeError as error:
        raise SoundjudgeError(f"{file}: {error}") from error


def infer_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes of the model that these weights, under Microsoft's names, belong to."""
    text = TEXT
    (words, hidden), positions = state[f"{text}wte.weight"].shape, state[f"{text}wpe.weight"]
    return {
        "kind": KIND,
        "dimensions": len(state["audio_encoder.projection.linear1.weight"]),
        "fft_bins": len(state[MEL_FILTERS]),
        "audio": htsat.infer_audio_config(state, AUDIO),
        "text": {
            "vocab_size": words,
            "n_positions": len(positions),
            "n_embd": hidden,
            "n_layer": htsat.count_layers(state, rf"{re.escape(text)}h\.(\d+)\."),
            "n_head": hidden // TEXT_HEAD,
            "n_inner": state[f"{text}h.0.mlp.c_fc.weight"].shape[1],
            "pad_token_id": 0,  # of "!"
            "bos_token_id": None,
            "eos_token_id": None,
        },
    }
