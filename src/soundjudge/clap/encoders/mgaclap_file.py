"""The published file of MGA-CLAP: names of weights and sizes."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from soundjudge.clap.encoders import htsat
from soundjudge.clap.encoders.name_tables import NameTable, htsat_dropped, htsat_rows, same
from soundjudge.clap.encoders.published_clap import PublishedFile

AUDIO, TEXT = "audio_encoder.audio_enc.", "text_encoder.text_encoder."
FRONTEND = f"{AUDIO}audio_feats_extractor."
MEL_FILTERS, STFT = f"{FRONTEND}log_trans.melW", f"{FRONTEND}mel_trans.stft"
TEXT_HEAD = 64  # width of an attention head of BERT; no tensor says so

TABLE = NameTable(
    rows=(
        *htsat_rows(AUDIO),
        (
            "",
            "",
            {
                MEL_FILTERS: "log_mel.mel_filters",
                "frame_proj.N": "frame_projection.N",
                "word_proj.N": "word_projection.N",
                "codebook": "codebook",
            },
        ),
        (
            f"{TEXT}embeddings.",
            "text_model.embeddings.",
            same("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm"),
        ),
        (
            f"{TEXT}encoder.layer.N.",
            "text_model.encoder.layer.N.",
            {
                **same("attention.self.query", "attention.self.key", "attention.self.value"),
                **same("attention.output.dense", "attention.output.LayerNorm"),
                **same("intermediate.dense", "output.dense", "output.LayerNorm"),
            },
        ),
    ),
    dropped={
        **htsat_dropped(AUDIO),
        f"{STFT}.conv_real": "front end, compared with ours",
        f"{STFT}.conv_imag": "front end, compared with ours",
        f"{TEXT}embeddings.position_ids": "the model computes it itself",
        "temp": "temperature of the training's loss; no part of an embedding",
    },
    contents="MGA-CLAP's files with an HTSAT and a BERT",
)


def infer_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes of the model that these weights, under their authors' names, belong to."""
    words, hidden = state[f"{TEXT}embeddings.word_embeddings.weight"].shape
    return {
        "dimensions": state["codebook"].shape[1],
        "codes": len(state["codebook"]),
        "audio": htsat.infer_audio_config(state, AUDIO),
        "text": {
            "vocab_size": words,
            "hidden_size": hidden,
            "num_hidden_layers": htsat.count_layers(
                state, rf"{re.escape(TEXT)}encoder\.layer\.(\d+)\."
            ),
            "num_attention_heads": hidden // TEXT_HEAD,
            "intermediate_size": len(state[f"{TEXT}encoder.layer.0.intermediate.dense.weight"]),
            "max_position_embeddings": len(state[f"{TEXT}embeddings.position_embeddings.weight"]),
            "type_vocab_size": len(state[f"{TEXT}embeddings.token_type_embeddings.weight"]),
        },
    }


MGACLAP = PublishedFile(
    kind="mgaclap",
    title="MGA-CLAP",
    pattern="mga*.pt",
    tokenizer="google-bert/bert-base-uncased",
    table=TABLE,
    mel_filters=MEL_FILTERS,
    stft_kernel=f"{STFT}.conv_real.weight",
    infer_sizes=infer_sizes,
    more_sizes=("codes",),
)
