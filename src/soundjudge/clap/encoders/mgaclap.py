"""MGA-CLAP: an HTSAT and a BERT whose frames and words share a codebook.

Y. Li et al., "Advancing multi-grained alignment for contrastive language-audio pre-training", ACM
Multimedia 2024. What a sound or a text is, is a mixture of codes: those that its frames or words
are most like (equations 2 and 3). As published, a sound that is shorter than 10 s ends in silence.

B batch, T samples at 16 kHz, S samples at 32 kHz, F frames, M mel bands, N frames or words, H tower
width, E embedding dimensions, K codes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ClapAudioConfig, ClapAudioModel

from soundjudge.clap.encoders import htsat
from soundjudge.clap.encoders.name_tables import (
    NameTable,
    bert_rows,
    htsat_dropped,
    htsat_rows,
    infer_bert_config,
)
from soundjudge.clap.encoders.published_clap import PublishedClap, PublishedFile
from soundjudge.clap.encoders.spectrogram import resample_waves
from soundjudge.clap.encoders.tokenization import are_cut, check_tokenizer, tokenize

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
SAMPLE_RATE, WINDOW_SECONDS = 32_000, 10.0
MAX_TOKENS = 30  # of a text, its first and last among them; longer ones were cut in training
TEMPERATURE = 1000.0  # of the likeness of codes
# What the training took out of captions.
PUNCTUATION = str.maketrans(dict.fromkeys('(,.!?;:|*")', " "))
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings


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


def projection(width: int, dimensions: int) -> nn.Sequential:
    """Frames or words, (..., H), in the space of the codes: (..., E)."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, dimensions),
        nn.GELU(),
        nn.LayerNorm(dimensions),
        nn.Linear(dimensions, dimensions),
    )


class MgaClap(PublishedClap):
    """Both towers, their projections and the codebook as a `ClapEncoder`."""

    file = MGACLAP

    def __init__(self, sizes: Mapping[str, Any], tokenizer: Any) -> None:  # noqa: ANN401
        super().__init__(sizes, tokenizer)
        audio, text = (
            kind(**sizes[side], attn_implementation="eager")
            for side, kind in (("audio", ClapAudioConfig), ("text", BertConfig))
        )
        check_tokenizer(tokenizer, text)
        self.log_mel = htsat.StoredLogMel(sizes["fft_bins"], audio.num_mel_bins)
        self.audio_model = ClapAudioModel(audio)
        self.frame_projection = projection(audio.hidden_size, self.dimensions)
        self.text_model = BertModel(text, add_pooling_layer=False)
        self.word_projection = projection(text.hidden_size, self.dimensions)
        self.codebook = nn.Parameter(torch.zeros(sizes["codes"], self.dimensions))  # (K, E)
        self.sample_rate, self.window_seconds = SAMPLE_RATE, WINDOW_SECONDS

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and settings."""
        protocol = f"{SAMPLE_RATE / 1000:g}k-first{WINDOW_SECONDS:g}s-zeros"
        return f"{self.checkpoint_name()}/{protocol}/codebook@{VERSION}"

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        size = round(WINDOW_SECONDS * SAMPLE_RATE)
        sounds = resample_waves(waves, WINDOW_SECONDS, SAMPLE_RATE, self.codebook.device)
        padded = [nn.functional.pad(sound, (0, size - len(sound))) for sound in sounds]
        mels = self.log_mel(torch.stack(padded)).unsqueeze(1)  # (B, 1, F, M)
        frames = htsat.frame_values(self.audio_model.audio_encoder, mels)  # (B, N, H)
        return self._mix_codes(self.frame_projection(frames), torch.ones(frames.shape[:2]))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E). Texts beyond `MAX_TOKENS` are cut."""
        tokens = tokenize(self.tokenizer, _plain(texts), MAX_TOKENS).to(self.codebook.device)
        states = self.text_model(
            tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state
        # The last token and padding are no words, and the first is left out.
        lengths = tokens["attention_mask"].sum(dim=1, keepdim=True)  # (B, 1)
        positions = torch.arange(1, states.shape[1], device=states.device)
        return self._mix_codes(self.word_projection(states[:, 1:]), positions < lengths - 1)

    def _mix_codes(self, features: Tensor, kept: Tensor) -> Tensor:
        """Codes by the likeness of the nearest frame or word: (B, N, E), (B, N) -> (B, E)."""
        likeness = features @ self.codebook.T / math.sqrt(self.dimensions)  # (B, N, K)
        # As published: what is no word is unlike all codes, 0, and takes part in the maximum.
        likeness = likeness * kept.to(likeness).unsqueeze(-1) / TEMPERATURE
        return nn.functional.normalize(sparsemax(likeness.amax(dim=1)) @ self.codebook, dim=-1)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return are_cut(self.tokenizer, _plain(texts), MAX_TOKENS)


def sparsemax(logits: Tensor) -> Tensor:
    """The nearest point of the simplex to each row: (B, K), each row of sum 1.

    A. Martins and R. Astudillo, "From softmax to sparsemax", ICML 2016, algorithm 1.
    """
    ordered = logits.sort(dim=-1, descending=True).values
    total = ordered.cumsum(dim=-1)
    counts = torch.arange(1, logits.shape[-1] + 1, device=logits.device)
    support = (1 + counts * ordered > total).sum(dim=-1, keepdim=True)
    threshold = (total.gather(-1, support - 1) - 1) / support
    return (logits - threshold).clamp(min=0)


def _plain(texts: Sequence[str]) -> list[str]:
    return [text.translate(PUNCTUATION) for text in texts]
