"""The audio language model: features of sounds and texts to scores or to captions.

The TMU system of the XACLE challenge: a projector turns the encoder's features into audio tokens,
a language model reads them together with the text, and a small network reads the score off its
hidden state at [SCORE].
Letters: B = batch, M = audio tokens, D = encoder width, H = width of the language model,
L = longest sequence, S = caption tokens of the whole batch, V = words of the tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from soundjudge.model import prompt
from soundjudge.model.features import AudioFront
from soundjudge.model.llm import load_llm
from soundjudge.model.projector import GatedProjector

LlmTraining = Literal["full", "frozen"]


@dataclass(frozen=True, kw_only=True)
class LalmConfig:
    """What stands around the language model."""

    projector_hidden: int  # values between the projector's two maps
    projector_dropout: float
    head: tuple[int, ...]  # widths of the score network behind the language model's
    head_dropout: float
    max_text_tokens: int  # a longer text is cut at its end
    order: prompt.Order
    attention: Literal["eager", "sdpa"]  # eager is the faster one for a small model on a CPU

    def __post_init__(self) -> None:
        """Refuses sizes that are none."""
        if not self.head or min(self.head) < 1:
            raise ValueError(f"head is {list(self.head)}, it must list widths of at least 1.")
        for name in ("projector_hidden", "max_text_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be at least 1.")
        for name in ("projector_dropout", "head_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be in [0, 1).")


class ScoreHead(nn.Module):
    """Linear maps with ReLU and dropout between them, none after the last."""

    def __init__(self, width: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for output in widths:
            if layers:
                layers += [nn.ReLU(), nn.Dropout(dropout)]
            layers.append(_xavier(nn.Linear(width, output)))
            width = output
        self.mlp = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H) to (B, last width)."""
        out: Tensor = self.mlp(x)
        return out


class Lalm(nn.Module):
    """Language model, projector and score network; the encoder stays outside.

    A score depends on its own sound and text alone: sequences are padded on the right, behind
    everything that attention may see, and positions are counted without padding.
    """

    def __init__(
        self,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        config: LalmConfig,
        front: AudioFront,
        feature_dim: int,
    ) -> None:
        """`tokenizer` has the prompt's tokens already, and `llm` a row for each."""
        super().__init__()
        self.config, self.front, self.feature_dim = config, front, feature_dim
        self.tokenizer, self.tokens = tokenizer, prompt.token_ids(tokenizer)
        self.llm = llm
        # A model's own habits of sampling have no place in a greedy caption.
        self.llm.generation_config = GenerationConfig()
        self.llm_training: LlmTraining = "full"
        width: int = llm.get_input_embeddings().embedding_dim
        self.projector = GatedProjector(
            feature_dim, config.projector_hidden, width, config.projector_dropout
        )
        self.score_head = ScoreHead(width, config.head, config.head_dropout)
        self.final_linear = _xavier(nn.Linear(config.head[-1], 1))

    @classmethod
    def from_llm(
        cls, folder: Path, config: LalmConfig, front: AudioFront, feature_dim: int
    ) -> "Lalm":
        """A language model's folder, see `llm.load_llm`, with a new projector and score head."""
        llm, tokenizer = load_llm(folder, config.attention)
        return cls(llm, tokenizer, config, front, feature_dim)

    def freeze(self, training: LlmTraining) -> None:
        """Which part of the language model learns; the projector and the score head always do."""
        self.llm_training = training
        self.llm.requires_grad_(training == "full")
        self.train(self.training)

    def train(self, mode: bool = True) -> "Lalm":
        """Training mode, in which a frozen language model stays as it is when it is used."""
        super().train(mode)
        if self.llm_training == "frozen":
            self.llm.eval()
        return self

    def scores(self, features: Tensor, texts: Sequence[str]) -> Tensor:
        """How well sounds (B, M, D) match texts, about -1 to 1, not clipped: (B,)."""
        self._check(features, texts)
        ids = self._ids(texts)
        sequences = prompt.scoring(ids, self.tokens, self.front.audio_tokens, self.config.order)
        sequences = sequences.to(self._device)
        hidden = self._hidden(sequences, features)  # (B, L, H)
        read = hidden[torch.arange(len(ids), device=self._device), sequences.score_index]  # (B, H)
        out: Tensor = self.final_linear(self.score_head(read)).squeeze(1)
        return out.float()

    def caption_logits(
        self, features: Tensor, texts: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For every token of every caption and its end: logits (S, V), token (S,), caption (S,).

        The prompt's own tokens are no words: they cannot be said, and the softmax leaves them out.
        """
        self._check(features, texts)
        sequences = prompt.captioning(self._ids(texts), self.tokens, self.front.audio_tokens)
        sequences = sequences.to(self._device)
        said = sequences.text[:, 1:]
        before = self._hidden(sequences, features)[:, :-1][said]  # (S, H): what stands before
        logits: Tensor = self.llm.get_output_embeddings()(before)[:, : self._words]
        return logits, sequences.ids[:, 1:][said], said.nonzero()[:, 0]

    def caption_loss(self, features: Tensor, texts: Sequence[str]) -> Tensor:
        """Cross-entropy of the next token: the mean over captions of the mean over their tokens."""
        logits, tokens, captions = self.caption_logits(features, texts)
        losses = functional.cross_entropy(logits.float(), tokens, reduction="none")  # (S,)
        lengths = torch.bincount(captions, minlength=len(texts))
        return (losses / lengths[captions]).sum() / len(texts)

    @torch.no_grad()
    def generate(self, features: Tensor, max_tokens: int) -> list[str]:
        """Captions of sounds (B, M, D), the likeliest next token each time, up to `max_tokens`."""
        sequences = prompt.opening(len(features), self.tokens, self.front.audio_tokens)
        sequences = sequences.to(self._device)
        said = self.llm.generate(
            inputs_embeds=self._embed(sequences, features),
            attention_mask=sequences.mask.long(),
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=max_tokens,
                eos_token_id=self.tokens.eos,
                pad_token_id=self.tokens.eos,
                suppress_tokens=[self.tokens.audio_start, self.tokens.audio_end, self.tokens.score],
            ),
        )
        texts: list[str] = self.tokenizer.batch_decode(said, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        ids = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [row[: self.config.max_text_tokens] for row in ids]

    def _embed(self, sequences: prompt.Sequences, features: Tensor) -> Tensor:
        audio = self.projector(features.to(self._device))  # (B, M, H)
        return prompt.embed(sequences, self.llm.get_input_embeddings(), audio)

    def _hidden(self, sequences: prompt.Sequences, features: Tensor) -> Tensor:
        """The last hidden states (B, L, H), after the final norm, without logits."""
        out: Any = self.llm.get_decoder()(
            inputs_embeds=self._embed(sequences, features),
            attention_mask=sequences.mask.long(),
            position_ids=sequences.positions,
            use_cache=False,
        )
        hidden: Tensor = out.last_hidden_state
        return hidden

    def _check(self, features: Tensor, texts: Sequence[str]) -> None:
        expected = (len(texts), self.front.audio_tokens, self.feature_dim)
        if tuple(features.shape) != expected:
            raise ValueError(
                f"features are {tuple(features.shape)}, this model expects {expected}: texts, "
                "audio tokens, width; encode the sounds with its own settings."
            )

    @property
    def _device(self) -> torch.device:
        return self.final_linear.weight.device

    @property
    def _words(self) -> int:
        return min(self.tokens.audio_start, self.tokens.audio_end, self.tokens.score)


def _xavier(linear: nn.Linear) -> nn.Linear:
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
