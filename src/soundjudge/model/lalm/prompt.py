"""Texts and audio tokens to sequences for the language model.

    text first:   [TEXT] [AUDIO_START] AUDIO x M [AUDIO_END] [SCORE] [EOS]     (the TMU system)
    audio first:  [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [SCORE] [EOS]
    shared:       [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [SCORE] [TEXT] [SCORE] ...
    a caption:    [AUDIO_START] AUDIO x M [AUDIO_END] [TEXT] [EOS]

Padding stands on the right, after everything, so that no row depends on how long the others are.
Letters: B = batch, L = longest sequence, G = sounds with C texts each, M = audio tokens,
H = width of the language model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
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
class PromptSequences:
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
    def attention(self) -> Tensor:
        """(B, L): 1 at what may be seen; that nothing sees what follows, the model knows."""
        return self.mask.long()

    @property
    def score_index(self) -> Tensor:
        """(B,): where [SCORE] stands in the sequences of `scoring`, the next-to-last place."""
        return self.lengths - 2

    @property
    def score_places(self) -> tuple[Tensor, Tensor]:
        """Row and place of every [SCORE] in the sequences of `scoring`: (B,) and (B,)."""
        return torch.arange(len(self.lengths), device=self.lengths.device), self.score_index

    def to(self, device: torch.device) -> "PromptSequences":
        """The same on another device."""
        return PromptSequences(**{name: tensor.to(device) for name, tensor in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class SharedPrefixSequences:
    """Sequences in which the texts of a sound follow it one after another and do not meet.

    Every text sees the sound and itself, and counts its positions from the end of the sound: so
    each reads as if it stood there alone. Behind a [SCORE] nothing is left to say.
    """

    ids: Tensor  # (G, L) int64; at audio tokens and padding any valid id
    audio: Tensor  # (G, L) true at audio tokens
    text: Tensor  # (G, L) 0 at the sound, 1.. in its first, second, ... text, -1 at padding
    positions: Tensor  # (G, L)

    @property
    def attention(self) -> Tensor:
        """(G, 1, L, L): 0 where the place of a row may see that of a column, else next to -inf."""
        rows, columns = self.text.unsqueeze(2), self.text.unsqueeze(1)
        length = self.text.shape[1]
        before = torch.ones(length, length, dtype=torch.bool, device=rows.device).tril()
        seen = before & ((columns == 0) | (columns == rows))  # (G, L, L)
        hidden = torch.finfo(torch.float32).min
        return torch.zeros(seen.shape, device=rows.device).masked_fill(~seen, hidden).unsqueeze(1)

    @property
    def score_places(self) -> tuple[Tensor, Tensor]:
        """Row and place of every [SCORE], the last of each text: (G * C,) and (G * C,)."""
        after = torch.cat([self.text[:, 1:], torch.full_like(self.text[:, :1], -1)], dim=1)
        rows, places = ((self.text > 0) & (after != self.text)).nonzero(as_tuple=True)
        return rows, places

    def to(self, device: torch.device) -> "SharedPrefixSequences":
        """The same on another device."""
        return SharedPrefixSequences(
            **{name: tensor.to(device) for name, tensor in vars(self).items()}
        )


def add_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """Gives the tokenizer the three tokens of the prompt, behind its last one."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(NEW_TOKENS)})


def token_ids(tokenizer: PreTrainedTokenizerBase) -> TokenIds:
    """The ids of the tokens of the prompt; ValueError if the tokenizer has no end-of-sequence."""
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer of the language model names no eos_token.")
    start, end, score = tokenizer.convert_tokens_to_ids(list(NEW_TOKENS))
    return TokenIds(audio_start=start, audio_end=end, score=score, eos=tokenizer.eos_token_id)


def scoring_sequences(
    texts: Sequence[Sequence[int]], tokens: TokenIds, audio_tokens: int, order: Order
) -> PromptSequences:
    """Sequences at whose [SCORE] the score is read; `texts` are lists of token ids."""
    before = [] if order == "audio_first" else texts
    after = texts if order == "audio_first" else []
    return _sequences(before, tokens, audio_tokens, after, [tokens.score, tokens.eos])


def shared_prefix_sequences(
    texts: Sequence[Sequence[int]], sounds: int, tokens: TokenIds, audio_tokens: int
) -> SharedPrefixSequences:
    """Sequences that ask for the scores of each sound with C texts, those of a sound in a row."""
    if len(texts) % sounds:
        raise ValueError(f"{len(texts)} texts do not go evenly with {sounds} sounds.")
    sound = [tokens.audio_start] * (audio_tokens + 1) + [tokens.audio_end]
    each = len(texts) // sounds
    ids, text, positions = [], [], []
    for first in range(0, len(texts), each):
        asked = [[*words, tokens.score] for words in texts[first : first + each]]
        places = [range(len(sound)), *(range(len(sound), len(sound) + len(a)) for a in asked)]
        ids.append([*sound, *(id for a in asked for id in a)])
        text.append([0] * len(sound) + [c + 1 for c, a in enumerate(asked) for _ in a])
        positions.append([place for part in places for place in part])
    longest = max(map(len, ids))
    audio = torch.zeros(sounds, longest, dtype=torch.bool)
    audio[:, 1 : audio_tokens + 1] = True
    return SharedPrefixSequences(
        ids=_padded(ids, longest, tokens.eos),
        audio=audio,
        text=_padded(text, longest, -1),
        positions=_padded(positions, longest, 0),
    )


def caption_sequences(
    texts: Sequence[Sequence[int]], tokens: TokenIds, audio_tokens: int
) -> PromptSequences:
    """Sequences that say a caption and end; its text includes the end-of-sequence."""
    return _sequences([], tokens, audio_tokens, [[*text, tokens.eos] for text in texts], [])


def generation_prefix(batch: int, tokens: TokenIds, audio_tokens: int) -> PromptSequences:
    """The beginning of `captioning`, after which a caption is to be said."""
    return _sequences([], tokens, audio_tokens, [[]] * batch, [])


def _sequences(
    before: Sequence[Sequence[int]],
    tokens: TokenIds,
    audio_tokens: int,
    after: Sequence[Sequence[int]],
    end: list[int],
) -> PromptSequences:
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
    return PromptSequences(
        ids=_padded(ids, longest, tokens.eos),
        audio=_padded(audio, longest, 0).bool(),
        mask=places[None, :] < torch.tensor(lengths)[:, None],
        text=_padded(text, longest, 0).bool(),
        lengths=torch.tensor(lengths),
    )


def _padded(rows: list[list[int]], longest: int, value: int) -> Tensor:
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def embed_sequences(
    sequences: PromptSequences | SharedPrefixSequences,
    table: Callable[[Tensor], Tensor],
    audio: Tensor,
) -> Tensor:
    """What `table` gives for ids, and the audio tokens (B, M, H) at their places: (B, L, H)."""
    embeddings = table(sequences.ids)
    places = sequences.audio.unsqueeze(2)  # (B, L, 1)
    return embeddings.masked_scatter(places, audio.to(embeddings.dtype))
