"""The published file of MGA-CLAP: names of weights and sizes."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from soundjudge.clap.encoders import htsat
from soundjudge.clap.encoders.name_tables import (
    NameTable,
    bert_rows,
    htsat_dropped,
    htsat_rows,
    infer_bert_config,
)
from soundjudge.clap.encoders.published_clap import PublishedFile

AUDIO, TEXT = "audio_encoder.audio_enc.", "text_encoder.text_encoder."
FRONTEND = f"{AUDIO}audio_feats_extractor."
MEL_FILTERS, STFT = f"{FRONTEND}log_trans.melW", f"{FRONTEND}mel_trans.stft"

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
        *bert_rows(TEXT),
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
    return {
        "dimensions": state["codebook"].shape[1],
        "codes": len(state["codebook"]),
        "audio": htsat.infer_audio_config(state, AUDIO),
        "text": infer_bert_config(state, TEXT),
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
