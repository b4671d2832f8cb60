"""LAION's own CLAP files (.pt) as a transformers CLAP; the package laion-clap is not needed.

`630k-audioset-best.pt` and its like hold an HTSAT and a RoBERTa, whose sizes are read from the
tensors. The front end is the same for all of them. RoBERTa's tokenizer is not in them: its files
lie in the same folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, ClapConfig, ClapFeatureExtractor, ClapModel

from soundjudge.clap.encoders import weight_files
from soundjudge.clap.encoders.htsat import infer_audio_config
from soundjudge.clap.encoders.name_tables import (
    NameTable,
    Row,
    bert_rows,
    htsat_dropped,
    htsat_rows,
    infer_bert_config,
    same,
)
from soundjudge.clap.encoders.spectrogram import FeatureExtractor
from soundjudge.clap.encoders.transformers_clap import COMPUTED, TransformersClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import model_folder

AUDIO, TEXT = "audio_branch.", "text_branch."

TABLE: tuple[Row, ...] = (
    (
        "",
        "",
        {
            **same("logit_scale_a", "logit_scale_t"),
            "audio_projection.0": "audio_projection.linear1",
            "audio_projection.2": "audio_projection.linear2",
            "text_projection.0": "text_projection.linear1",
            "text_projection.2": "text_projection.linear2",
        },
    ),
    *htsat_rows(AUDIO),
    (
        AUDIO,
        "audio_model.audio_encoder.",
        {  # of fused models alone
            **same("patch_embed.mel_conv2d"),
            **same("patch_embed.fusion_model.local_att.N", "patch_embed.fusion_model.global_att.N"),
        },
    ),
    *bert_rows(TEXT),
)
DROPPED = {
    **htsat_dropped(AUDIO),
    "text_branch.embeddings.position_ids": "the model computes it itself",
    "audio_branch.spectrogram_extractor.stft.conv_real": "front end, compared with ours",
    "audio_branch.spectrogram_extractor.stft.conv_imag": "front end, compared with ours",
    "audio_branch.logmel_extractor.melW": "front end, compared with ours",
    "audio_transform.sequential.N": "a branch of the training's loss; no part of an embedding",
    "text_transform.sequential.N": "a branch of the training's loss; no part of an embedding",
}
LAION = NameTable(TABLE, DROPPED, "LAION's files with an HTSAT and a RoBERTa")
rename_weights = LAION.rename
FRONTEND: dict[str, Any] = {
    "feature_size": 64,
    "sampling_rate": 48_000,
    "hop_length": 480,
    "max_length_s": 10,
    "fft_window_size": 1024,
    "frequency_min": 50,
    "frequency_max": 14_000,
    "padding": "repeatpad",
}
MAX_TOKENS = 77  # of a text; longer ones were cut in training


def load_laion(path: Path, device: str | torch.device, sha256: str | None) -> TransformersClap:
    """The CLAP of a .pt file, with the tokenizer beside it, strictly, in eval mode."""
    state = read_laion_weights(path, sha256)
    with model_folder.reading(path):
        try:
            weights = rename_weights(state)
            check_frontend(state)
            model = ClapModel(infer_config(state))
        except KeyError as error:
            raise SoundjudgeError(
                f"it has no {error}: it is no CLAP of HTSAT and RoBERTa."
            ) from error
    model_folder.load_weights(model, weights, path, COMPUTED)
    fused = model.config.audio_config.enable_fusion
    extractor = FeatureExtractor(**FRONTEND, truncation="fusion" if fused else "rand_trunc")
    return TransformersClap(model, load_tokenizer(path.parent), extractor).to(device).eval()


def read_laion_weights(path: Path, sha256: str | None) -> dict[str, Tensor]:
    """The weights of a .pt file under LAION's names; what else the training left is dropped."""
    saved = weight_files.read_weights(path, sha256)
    state = saved.get("state_dict", saved) if isinstance(saved, Mapping) else None
    if not isinstance(state, Mapping):
        raise SoundjudgeError(f"{path} holds no weights: it is no CLAP of LAION's.")
    model_folder.check_tensors(path, state)
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def infer_config(state: Mapping[str, Tensor]) -> ClapConfig:
    """The sizes of the CLAP that these weights, under LAION's names, belong to."""
    return ClapConfig(
        projection_dim=len(state["text_projection.2.weight"]),
        text_config=infer_text_config(state),
        audio_config=infer_audio_config(state, AUDIO),
    )


def infer_text_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes of the RoBERTa, under the names of its config."""
    return infer_bert_config(state, TEXT) | {"layer_norm_eps": 1e-5}  # RoBERTa's


def check_frontend(state: Mapping[str, Tensor]) -> None:
    """Raises SoundjudgeError for weights whose stored spectrogram filters are not FRONTEND's."""
    extractor = ClapFeatureExtractor(**FRONTEND)
    filters = torch.tensor(extractor.mel_filters_slaney, dtype=torch.float32)
    wave = torch.hann_window(FRONTEND["fft_window_size"])
    branch = "audio_branch"
    for name, ours, theirs in (
        ("mel filters", filters, state[f"{branch}.logmel_extractor.melW"]),
        ("window", wave, state[f"{branch}.spectrogram_extractor.stft.conv_real.weight"][0, 0]),
    ):
        if ours.shape != theirs.shape or not torch.allclose(ours, theirs.float(), atol=1e-5):
            raise SoundjudgeError(
                f"the {name} of this CLAP are not those of LAION's published ones."
            )


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401  transformers types none
    """RoBERTa's tokenizer from its files in `folder`, cutting texts as LAION's training did."""
    try:
        tokenizer = model_folder.read_tokenizer(AutoTokenizer, folder)
    except SoundjudgeError as error:
        raise SoundjudgeError(
            f"{folder} holds no tokenizer: put roberta-base's config.json, tokenizer.json, "
            "tokenizer_config.json, vocab.json and merges.txt beside the .pt file."
        ) from error
    tokenizer.model_max_length = MAX_TOKENS
    return tokenizer
