"""Microsoft's CLAP of 2023 (MS-CLAP): an HTSAT, a GPT-2 and two projections.

B. Elizalde et al., "Natural language supervision for general-purpose audio representations",
ICASSP 2024. The published file is `CLAP_weights_2023.pth`; GPT-2's tokenizer lies beside it. Its
mel filters are read from it: they are HTSAT's for 32 kHz, though sounds are at 44.1 kHz.

The published reader cuts 7 s at random out of a longer sound. Here a sound of up to 10 s is heard
whole: the mean of the embeddings of its first 7 s and of its last.

B batch, T samples at 16 kHz, C = 2 crops, S samples of a crop at 44.1 kHz, F frames, M mel bands,
H tower width, E embedding dimensions, L tokens.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import ClapAudioConfig, ClapAudioModel, GPT2Config, GPT2Model

from soundjudge.clap.encoders import htsat
from soundjudge.clap.encoders.encoder import Parts
from soundjudge.clap.encoders.name_tables import NameTable, htsat_dropped, htsat_rows, same
from soundjudge.clap.encoders.published_clap import PublishedClap, PublishedFile
from soundjudge.clap.encoders.spectrogram import resample_waves
from soundjudge.clap.encoders.tokenization import check_tokenizer
from soundjudge.errors import SoundjudgeError

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
SAMPLE_RATE, CROP_SECONDS, WINDOW_SECONDS = 44_100, 7, 10.0
MAX_TOKENS = 77
PADDING, END = "!", "<|endoftext|>"
DROPOUT = 0.5  # of the projections, in training
PARTS = ("audio_model", "audio_projection", "text_model", "text_projection")
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings


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


class Projection(nn.Module):
    """A tower's output, (..., H), in the space of both: (..., E)."""

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, dimensions, bias=False)
        self.linear2 = nn.Linear(dimensions, dimensions, bias=False)
        self.layer_norm = nn.LayerNorm(dimensions)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, pooled: Tensor) -> Tensor:
        """LayerNorm(a + W2 gelu(a)) with a = W1 x."""
        first = self.linear1(pooled)
        second = self.dropout(self.linear2(nn.functional.gelu(first)))
        projected: Tensor = self.layer_norm(first + second)
        return projected


class MsClap(PublishedClap):
    """Both towers and their projections behind the interface of `ClapEncoder`.

    Front end, tower and projection can be run one by one, as those of `TransformersClap`.
    """

    file = MSCLAP

    def __init__(self, sizes: Mapping[str, Any], tokenizer: Any) -> None:  # noqa: ANN401
        super().__init__(sizes, tokenizer)
        audio, text = (
            kind(**sizes[side], attn_implementation="eager")
            for side, kind in (("audio", ClapAudioConfig), ("text", GPT2Config))
        )
        self.log_mel = CroppedLogMel(sizes["fft_bins"], audio.num_mel_bins)
        self.audio_model = ClapAudioModel(audio)
        self.audio_projection = Projection(audio.hidden_size, self.dimensions)
        self.text_model = GPT2Model(text)
        self.text_projection = Projection(text.n_embd, self.dimensions)
        if tokenizer.convert_tokens_to_ids(PADDING) != 0 or END not in tokenizer.get_vocab():
            raise SoundjudgeError("the tokenizer beside it is not GPT-2's: put that of gpt2 there.")
        tokenizer.add_special_tokens({"pad_token": PADDING})  # so "!!" in a text is two tokens
        check_tokenizer(tokenizer, text)
        self.sample_rate, self.window_seconds = SAMPLE_RATE, WINDOW_SECONDS

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and settings."""
        protocol = f"{SAMPLE_RATE / 1000:g}k-{CROP_SECONDS}s-repeat-ends-of-{WINDOW_SECONDS:g}s"
        return f"{self.checkpoint_name()}/{protocol}/projection@{VERSION}"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.audio_projection.linear1.weight.device

    def parts(self) -> Parts:
        """The weights that can be trained."""
        return {name: list(getattr(self, name).parameters()) for name in PARTS}

    def pool_mels(self, mels: Tensor) -> Tensor:
        """The audio tower: (B, C, F, M) -> (B, C, H)."""
        pooled: Tensor = self.audio_model(mels.flatten(0, 1).unsqueeze(1)).pooler_output
        return pooled.reshape(*mels.shape[:2], -1)

    def project_sounds(self, pooled: Tensor) -> Tensor:
        """Audio tower outputs (B, C, H) as unit embeddings (B, E)."""
        crops = nn.functional.normalize(self.audio_projection(pooled), dim=-1)
        return nn.functional.normalize(crops.mean(dim=1), dim=-1)

    def pool_texts(self, texts: Sequence[str]) -> Tensor:
        """The text tower: (B, H). Of texts beyond `MAX_TOKENS` the end is cut."""
        rows = [
            torch.tensor(row if len(row) <= MAX_TOKENS else [*row[: MAX_TOKENS - 1], row[-1]])
            for row in self._tokens(texts)
        ]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self.device)  # (B, L)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        mask = torch.arange(ids.shape[1], device=self.device) < lengths[:, None]
        states = self.text_model(ids, attention_mask=mask.long(), use_cache=False)[0]  # (B, L, H)
        # As published: a "!" is the padding's token, too, and moves the position to the left.
        position = (ids != 0).sum(dim=1) - 1
        pooled: Tensor = states[torch.arange(len(ids), device=self.device), position]
        return pooled

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        ended = [f"{text} {END}" for text in texts]
        tokens: list[list[int]] = self.tokenizer(ended, verbose=False)["input_ids"]
        return tokens

    def project_texts(self, pooled: Tensor) -> Tensor:
        """Text tower outputs (B, H) as unit embeddings (B, E)."""
        return nn.functional.normalize(self.text_projection(pooled), dim=-1)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return [len(row) > MAX_TOKENS for row in self._tokens(texts)]

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        return self.project_sounds(self.pool_mels(self.log_mel(waves)))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E)."""
        return self.project_texts(self.pool_texts(texts))


class CroppedLogMel(htsat.StoredLogMel):
    """The first and the last crop of each sound as spectrograms: B x (T,) -> (B, C, F, M), dB."""

    def forward(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:  # type: ignore[override]
        """The spectrograms; both are of the same crop where a sound is not longer than it."""
        sounds = resample_waves(waves, WINDOW_SECONDS, SAMPLE_RATE, self.mel_filters.device)
        return super().forward(torch.stack([_crop(sound) for sound in sounds]))


def _crop(sound: Tensor) -> Tensor:
    """The first and the last `CROP_SECONDS`, of a short sound repeated: (<=T,) -> (C, S)."""
    size = CROP_SECONDS * SAMPLE_RATE
    sound = sound.repeat(math.ceil(size / len(sound)))[:size] if len(sound) < size else sound
    return torch.stack([sound[:size], sound[-size:]])
