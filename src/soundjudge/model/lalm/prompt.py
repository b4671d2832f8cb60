"""Texts and audio tokens to token sequences for the language model.

    text first:     [TEXT] [AUDIO_START] AUDIO x M [AUDIO_END] [SCORE] [EOS]     (the TMU system)
    audio first:    [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [SCORE] [EOS]
    shared prefix:  [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [SCORE] [TEXT] [SCORE] ...
    caption:        [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [EOS]

Sequences are padded on the right, so that no row depends on the lengths of the others.
Letters: B = batch, L = longest sequence, G = sounds with C texts each, M = audio tokens,
H = width of the language model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from soundjudge.runtime.devices import copy_to

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
class PromptSequences:
    """A batch of sequences before they are embedded."""

    ids: Tensor  # (B, L) int64; any valid id at audio tokens and padding
    audio_mask: Tensor  # (B, L) true at audio tokens
    text_mask: Tensor  # (B, L) true at text tokens
    mask: Tensor  # (B, L) false at padding
    lengths: Tensor  # (B,)

    @property
    def position_ids(self) -> Tensor:
        """(B, L): 0, 1, 2, ... up to the padding."""
        return (self.mask.long().cumsum(1) - 1).clamp(min=0)

    @property
    def attention_mask(self) -> Tensor:
        """(B, L): 0 at padding; the model itself adds the causal mask."""
        return self.mask.long()

    @property
    def text_positions(self) -> tuple[Tensor, Tensor]:
        """Row and position of every text token: (S,) and (S,); asked on the CPU, as it counts."""
        rows, positions = self.text_mask.nonzero(as_tuple=True)
        return rows, positions

    @property
    def score_positions(self) -> tuple[Tensor, Tensor]:
        """Row and position of every [SCORE] in `scoring_sequences`, before [EOS]: (B,) and (B,)."""
        return torch.arange(len(self.lengths), device=self.lengths.device), self.lengths - 2


@dataclass(frozen=True, kw_only=True)
class SharedPrefixSequences:
    """Sequences in which the texts of a sound follow it and do not attend to each other.

    Every text attends to the sound and to itself, and its position ids go on from the end of the
    sound: so each is read as if it stood there alone. No [EOS] is needed behind a [SCORE].
    """

    ids: Tensor  # (G, L) int64; any valid id at audio tokens and padding
    audio_mask: Tensor  # (G, L) true at audio tokens
    text_index: Tensor  # (G, L) 0 at the sound, 1.. in its first, second, ... text, -1 at padding
    position_ids: Tensor  # (G, L)

    @property
    def attention_mask(self) -> Tensor:
        """(G, 1, L, L): 0 where a row's position attends to a column's, else the lowest float."""
        rows, columns = self.text_index.unsqueeze(2), self.text_index.unsqueeze(1)
        length = self.text_index.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=rows.device).tril()
        visible = causal & ((columns == 0) | (columns == rows))  # (G, L, L)
        lowest = torch.finfo(torch.float32).min
        mask = torch.zeros(visible.shape, device=rows.device).masked_fill(~visible, lowest)
        return mask.unsqueeze(1)

    @property
    def score_positions(self) -> tuple[Tensor, Tensor]:
        """Row and position of every [SCORE], the last token of each text: (G * C,) and (G * C,).

        Asked on the CPU, as it counts.
        """
        index = self.text_index
        following = torch.cat([index[:, 1:], torch.full_like(index[:, :1], -1)], dim=1)
        rows, positions = ((index > 0) & (following != index)).nonzero(as_tuple=True)
        return rows, positions


Sequences = PromptSequences | SharedPrefixSequences


def add_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """Adds the three tokens of the prompt behind the tokenizer's last."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(NEW_TOKENS)})


def token_ids(tokenizer: PreTrainedTokenizerBase) -> TokenIds:
    """The ids of the prompt's tokens in a tokenizer that has them."""
    assert tokenizer.eos_token_id is not None, "the tokenizer names no eos_token"
    start, end, score = tokenizer.convert_tokens_to_ids(list(NEW_TOKENS))
    return TokenIds(audio_start=start, audio_end=end, score=score, eos=tokenizer.eos_token_id)


def scoring_sequences(
    texts: Sequence[Sequence[int]], tokens: TokenIds, audio_tokens: int, order: Order
) -> PromptSequences:
    """Sequences for a score at [SCORE]; `texts` are lists of token ids."""
    before = [] if order == "audio_first" else texts
    after = texts if order == "audio_first" else []
    return _build_sequences(before, tokens, audio_tokens, after, [tokens.score, tokens.eos])


def shared_prefix_sequences(
    texts: Sequence[Sequence[int]], sounds: int, tokens: TokenIds, audio_tokens: int
) -> SharedPrefixSequences:
    """Sequences for the scores of each sound with its C texts, which are consecutive in `texts`."""
    assert len(texts) % sounds == 0, f"{len(texts)} texts do not go evenly with {sounds} sounds"
    prefix = [tokens.audio_start] * (audio_tokens + 1) + [tokens.audio_end]
    count = len(texts) // sounds
    ids, text_index, position_ids = [], [], []
    for first in range(0, len(texts), count):
        queries = [[*text, tokens.score] for text in texts[first : first + count]]
        ids.append([*prefix, *(id for query in queries for id in query)])
        text_index.append(
            [0] * len(prefix) + [c + 1 for c, query in enumerate(queries) for _ in query]
        )
        positions = (range(len(prefix), len(prefix) + len(query)) for query in queries)
        position_ids.append([*range(len(prefix)), *(p for part in positions for p in part)])
    longest = max(map(len, ids))
    audio_mask = torch.zeros(sounds, longest, dtype=torch.bool)
    audio_mask[:, 1 : audio_tokens + 1] = True
    return SharedPrefixSequences(
        ids=_pad_rows(ids, longest, tokens.eos),
        audio_mask=audio_mask,
        text_index=_pad_rows(text_index, longest, -1),
        position_ids=_pad_rows(position_ids, longest, 0),
    )


def caption_sequences(
    texts: Sequence[Sequence[int]], tokens: TokenIds, audio_tokens: int
) -> PromptSequences:
    """Sequences of a sound and its caption; the caption's mask includes its end-of-sequence."""
    captions = [[*text, tokens.eos] for text in texts]
    return _build_sequences([], tokens, audio_tokens, captions, [])


def generation_prefix(batch: int, tokens: TokenIds, audio_tokens: int) -> PromptSequences:
    """The beginning of `caption_sequences`, which generation continues with a caption."""
    return _build_sequences([], tokens, audio_tokens, [[]] * batch, [])


def _build_sequences(
    before: Sequence[Sequence[int]],
    tokens: TokenIds,
    audio_tokens: int,
    after: Sequence[Sequence[int]],
    end: list[int],
) -> PromptSequences:
    sound = [tokens.audio_start] * (audio_tokens + 1) + [tokens.audio_end]
    ids, text_mask, audio_mask = [], [], []
    for row in range(max(len(before), len(after))):
        head = list(before[row]) if before else []
        tail = list(after[row]) if after else []
        ids.append(head + sound + tail + end)
        text_mask.append([1] * len(head) + [0] * len(sound) + [1] * len(tail) + [0] * len(end))
        audio_mask.append([0] * (len(head) + 1) + [1] * audio_tokens)
    lengths = [len(row) for row in ids]
    longest = max(lengths)
    return PromptSequences(
        ids=_pad_rows(ids, longest, tokens.eos),
        audio_mask=_pad_rows(audio_mask, longest, 0).bool(),
        text_mask=_pad_rows(text_mask, longest, 0).bool(),
        mask=torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None],
        lengths=torch.tensor(lengths),
    )


def _pad_rows(rows: list[list[int]], longest: int, value: int) -> Tensor:
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def to_device(sequences: SharedPrefixSequences, device: torch.device) -> SharedPrefixSequences:
    """The same sequences on another device."""
    return replace(sequences, **{k: copy_to(t, device) for k, t in vars(sequences).items()})


def embed_sequences(
    sequences: Sequences, table: Callable[[Tensor], Tensor], audio: Tensor
) -> Tensor:
    """Embeddings (B, L, H): of the ids by `table`, and the audio tokens (B, M, H) in order."""
    device = audio.device
    embeddings = table(copy_to(sequences.ids, device))
    rows = torch.arange(len(audio), device=device).unsqueeze(1)  # (B, 1)
    start = copy_to(sequences.audio_mask.int().argmax(dim=1, keepdim=True), device)  # (B, 1)
    positions = start + torch.arange(audio.shape[1], device=device)  # (B, M)
    # By position: the gradient through a mask waits for the device to count it.
    return embeddings.index_put((rows, positions), audio.to(embeddings.dtype))
