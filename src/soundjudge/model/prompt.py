"""Texts and audio tokens to sequences for the language model.

    text first:   [TEXT] [AUDIO_START] AUDIO x M [AUDIO_END] [SCORE] [EOS]     (the TMU system)
    audio first:  [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [SCORE] [EOS]
    a caption:    [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [EOS]

Padding stands on the right, after everything, so that no row depends on how long the others are.
Letters: B = batch, L = longest sequence, M = audio tokens, H = width of the language model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

AUDIO_START, AUDIO_END, SCORE = "[AUDIO_START]", "[AUDIO_END]", "[SCORE]"
NEW_TOKENS = (AUDIO_START, AUDIO_END, SCORE)
Order = Literal["text_first", "audio_first"]


@dataclass(frozen=True, kw_only=True)
class TokenIds:
    """The ids of the tokens that are not text."""

    audio_start: int
    audio_end: int
    score: int
    eos: int


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """A batch of sequences before they are embedded."""

    ids: Tensor  # (B, L) int64; at audio tokens and padding any valid id
    audio: Tensor  # (B, L) true at audio tokens
    mask: Tensor  # (B, L) true up to the end of each row, false at its padding
    text: Tensor  # (B, L) true at text tokens
    lengths: Tensor  # (B,)

    @property
    def positions(self) -> Tensor:
        """(B, L): 0, 1, 2, ... over what is no padding."""
        return (self.mask.long().cumsum(1) - 1).clamp(min=0)

    @property
    def score_index(self) -> Tensor:
        """(B,): where [SCORE] stands in the sequences of `scoring`, the next-to-last place."""
        return self.lengths - 2

    def to(self, device: torch.device) -> "Sequences":
        """The same on another device."""
        return Sequences(**{name: tensor.to(device) for name, tensor in vars(self).items()})


def add_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """Gives the tokenizer the three tokens of the prompt, behind its last one."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(NEW_TOKENS)})


def token_ids(tokenizer: PreTrainedTokenizerBase) -> TokenIds:
    """The ids of the tokens of the prompt; ValueError if the tokenizer has no end-of-sequence."""
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer of the language model names no eos_token.")
    start, end, score = tokenizer.convert_tokens_to_ids(list(NEW_TOKENS))
    return TokenIds(audio_start=start, audio_end=end, score=score, eos=tokenizer.eos_token_id)


def scoring(
    texts: Sequence[Sequence[int]], tokens: TokenIds, audio_tokens: int, order: Order
) -> Sequences:
    """Sequences at whose [SCORE] the score is read; `texts` are lists of token ids."""
    before = [] if order == "audio_first" else texts
    after = texts if order == "audio_first" else []
    return _sequences(before, tokens, audio_tokens, after, [tokens.score, tokens.eos])


def captioning(texts: Sequence[Sequence[int]], tokens: TokenIds, audio_tokens: int) -> Sequences:
    """Sequences that say a caption and end; its text includes the end-of-sequence."""
    return _sequences([], tokens, audio_tokens, [[*text, tokens.eos] for text in texts], [])


def opening(batch: int, tokens: TokenIds, audio_tokens: int) -> Sequences:
    """The beginning of `captioning`, after which a caption is to be said."""
    return _sequences([], tokens, audio_tokens, [[]] * batch, [])


def _sequences(
    before: Sequence[Sequence[int]],
    tokens: TokenIds,
    audio_tokens: int,
    after: Sequence[Sequence[int]],
    end: list[int],
) -> Sequences:
    batch = max(len(before), len(after))
    lengths = []
    ids, text, audio = [], [], []
    for row in range(batch):
        head = list(before[row]) if before else []
        tail = list(after[row]) if after else []
        sound = [tokens.audio_start] * (audio_tokens + 1) + [tokens.audio_end]
        ids.append(head + sound + tail + end)
        text.append([1] * len(head) + [0] * len(sound) + [1] * len(tail) + [0] * len(end))
        audio.append([0] * (len(head) + 1) + [1] * audio_tokens)
        lengths.append(len(ids[-1]))
    longest = max(lengths)
    places = torch.arange(longest)
    return Sequences(
        ids=_padded(ids, longest, tokens.eos),
        audio=_padded(audio, longest, 0).bool(),
        mask=places[None, :] < torch.tensor(lengths)[:, None],
        text=_padded(text, longest, 0).bool(),
        lengths=torch.tensor(lengths),
    )


def _padded(rows: list[list[int]], longest: int, value: int) -> Tensor:
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def embed(sequences: Sequences, table: nn.Embedding, audio: Tensor) -> Tensor:
    """The rows of `table` at ids, and the audio tokens (B, M, H) at their places: (B, L, H)."""
    embeddings: Tensor = table(sequences.ids)
    places = sequences.audio.unsqueeze(2)  # (B, L, 1)
    return embeddings.masked_scatter(places, audio.to(embeddings.dtype))
