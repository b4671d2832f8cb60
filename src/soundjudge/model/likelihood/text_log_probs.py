"""Log-probabilities of texts given sounds, by a captioning language model.

Letters: G = sounds with C texts each, M = audio tokens, D = encoder width, S = tokens of all texts,
H = width of the language model.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.prompt import SharedPrefixSequences
from soundjudge.runtime.devices import copy_to

LOGIT_ROWS = 256  # tokens whose logits are in memory at once: 155 MB with 151,936 words


def text_log_probs(lalm: Lalm, features: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Log-probability of every text and its end given its sound, and its tokens: (G * C,) both.

    Sounds (G, M, D) with C consecutive texts each, none of which attends to another; tokens as in
    `Lalm.caption_logits`. In float32.
    """
    # A caption ends with the end-of-sequence where a scored text ends with [SCORE].
    tokens = replace(lalm.tokens, score=lalm.tokens.eos)
    sequences = prompt.shared_prefix_sequences(
        lalm.tokenize(texts), len(features), tokens, lalm.frontend.audio_tokens
    )
    # On the CPU, so that nothing waits for the device.
    rows, positions, previous = _text_positions(sequences)
    targets = sequences.ids[rows, positions]  # (S,)
    index = rows * (len(texts) // len(features)) + sequences.text_index[rows, positions] - 1
    lengths = torch.bincount(index, minlength=len(texts))  # (G * C,)
    rows, previous, targets, index, lengths = (
        copy_to(tensor, lalm.device) for tensor in (rows, previous, targets, index, lengths)
    )
    hidden = lalm.hidden_states(sequences, features)[rows, previous]  # (S, H)
    head = lalm.llm.get_output_embeddings()
    log_probs = _token_log_probs(head, hidden, targets, lalm.vocabulary)  # (S,)
    return torch.zeros(len(texts), device=lalm.device).index_add(0, index, log_probs), lengths


def _text_positions(sequences: SharedPrefixSequences) -> tuple[Tensor, Tensor, Tensor]:
    """Row and position of every token of every text, and the position before it: (S,) each."""
    index = sequences.text_index
    rows, positions = (index > 0).nonzero(as_tuple=True)
    first = index[rows, positions] != index[rows, positions - 1]
    end_of_sound = (index == 0).sum(dim=1)[rows] - 1
    return rows, positions, torch.where(first, end_of_sound, positions - 1)


def _token_log_probs(head: nn.Module, hidden: Tensor, targets: Tensor, vocabulary: int) -> Tensor:
    """Log-probability of the tokens `targets` after the states `hidden` (S, H), in float32: (S,).

    Over the first `vocabulary` tokens of `head`, for LOGIT_ROWS tokens at once.
    """
    parts = zip(torch.split(hidden, LOGIT_ROWS), torch.split(targets, LOGIT_ROWS), strict=True)
    losses = [
        functional.cross_entropy(head(states)[:, :vocabulary].float(), tokens, reduction="none")
        for states, tokens in parts
    ]
    return -torch.cat(losses)
