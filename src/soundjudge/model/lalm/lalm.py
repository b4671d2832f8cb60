"""The audio language model: features of sounds and texts to scores or to captions.

The TMU system of the XACLE challenge: a projector turns the encoder's features into audio tokens,
a language model reads them together with the text, and a small network reads the score off its
hidden state at [SCORE].
Letters: B = batch, M = audio tokens, D = encoder width, H = width of the language model,
L = longest sequence, G = sounds with C texts each, S = caption tokens of the whole batch,
V = words of the tokenizer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import adaptation, prompt
from soundjudge.model.lalm.adaptation import LlmTraining as LlmTraining
from soundjudge.model.lalm.lalm_config import LalmConfig as LalmConfig
from soundjudge.model.lalm.llm import load_llm
from soundjudge.model.lalm.projector import GatedProjector
from soundjudge.model.lalm.score_head import ScoreHead, init_xavier


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
        frontend: AudioFrontend,
        feature_dim: int,
    ) -> None:
        """`tokenizer` has the prompt's tokens already, and `llm` a row for each."""
        super().__init__()
        self.config, self.frontend, self.feature_dim = config, frontend, feature_dim
        self.tokenizer, self.tokens = tokenizer, prompt.token_ids(tokenizer)
        self.llm = llm
        # A model's own habits of sampling have no place in a greedy caption.
        self.llm.generation_config = GenerationConfig()
        self.llm_training: LlmTraining | None = None
        self.new_tokens: adaptation.NewTokens | None = None
        width: int = llm.get_input_embeddings().embedding_dim
        self.projector = GatedProjector(
            feature_dim, config.projector_hidden, width, config.projector_dropout
        )
        self.score_head = ScoreHead(width, config.head, config.head_dropout)
        self.final_linear = init_xavier(nn.Linear(config.head[-1], 1))

    @classmethod
    def from_llm(
        cls, folder: Path, config: LalmConfig, frontend: AudioFrontend, feature_dim: int
    ) -> "Lalm":
        """A language model's folder, see `llm.load_llm`, with a new projector and score head."""
        llm, tokenizer = load_llm(folder, config.attention)
        return cls(llm, tokenizer, config, frontend, feature_dim)

    def prepare_for_training(self, training: LlmTraining) -> None:
        """Makes the language model learn as `training` says; the other parts always learn."""
        assert self.llm_training is None, "a training ends with settle() before the next begins"
        self.llm_training = training
        adaptation.prepare_for_training(self.llm, training)
        if training.training == "lora":
            table, tokens = self.llm.get_input_embeddings(), self.tokens
            ids = [tokens.audio_start, tokens.audio_end, tokens.score]
            self.new_tokens = adaptation.NewTokens(table, ids)
        self.train(self.training)

    def merge_and_unload(self) -> None:
        """Ends what `adapt` began: what was learned beside the weights becomes part of them."""
        assert self.llm_training is not None, "settle() ends what adapt() began"
        adaptation.merge_and_unload(self.llm, self.llm_training)
        if self.new_tokens is not None:
            self.new_tokens.merge(self.llm.get_input_embeddings())
        self.llm_training, self.new_tokens = None, None

    def train(self, mode: bool = True) -> "Lalm":
        """Training mode, in which a frozen language model stays as it is when it is used."""
        super().train(mode)
        if self.llm_training is not None:
            adaptation.freeze(self.llm, self.llm_training, mode)
        return self

    def scores(self, features: Tensor, texts: Sequence[str]) -> Tensor:
        """How well sounds (B, M, D) match texts, about -1 to 1, not clipped: (B,)."""
        self._check(features, texts)
        ids = self._ids(texts)
        sequences = prompt.scoring_sequences(
            ids, self.tokens, self.frontend.audio_tokens, self.config.order
        )
        return self._read(sequences.to(self._device), features)

    def shared_scores(self, features: Tensor, texts: Sequence[str]) -> Tensor:
        """The scores of sounds (G, M, D) with C texts each, texts of one sound in a row: (G * C,).

        Each sound passes through the language model once, with all its texts behind it, none of
        which sees another; so its order must be audio_first. The scores are those of `scores` with
        every sound repeated C times.
        """
        assert self.config.order == "audio_first", "texts before a sound cannot share it"
        self._check(features, texts[: len(features)])
        ids = self._ids(texts)
        sequences = prompt.shared_prefix_sequences(
            ids, len(features), self.tokens, self.frontend.audio_tokens
        )
        return self._read(sequences.to(self._device), features)

    def caption_logits(
        self, features: Tensor, texts: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For every token of every caption and its end: logits (S, V), token (S,), caption (S,).

        The prompt's own tokens are no words: they cannot be said, and the softmax leaves them out.
        """
        self._check(features, texts)
        sequences = prompt.caption_sequences(
            self._ids(texts), self.tokens, self.frontend.audio_tokens
        )
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
    def generate(self, features: Tensor, *, max_tokens: int, num_beams: int) -> list[str]:
        """Captions of sounds (B, M, D): the likeliest a token of those that a beam search meets.

        `num_beams` beginnings are followed at once (1: the likeliest next token each time), up to
        `max_tokens`. A caption does not depend on the other sounds, nor on chance.
        """
        sequences = prompt.generation_prefix(len(features), self.tokens, self.frontend.audio_tokens)
        sequences = sequences.to(self._device)
        said = self.llm.generate(
            inputs_embeds=self._embed(sequences, features),
            attention_mask=sequences.mask.long(),
            generation_config=GenerationConfig(
                do_sample=False,
                num_beams=num_beams,
                max_new_tokens=max_tokens,
                eos_token_id=self.tokens.eos,
                pad_token_id=self.tokens.eos,
                suppress_tokens=[self.tokens.audio_start, self.tokens.audio_end, self.tokens.score],
                # Over the words alone, as in `caption_logits`.
                renormalize_logits=True,
            ),
        )
        texts: list[str] = self.tokenizer.batch_decode(said, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        ids = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [row[: self.config.max_text_tokens] for row in ids]

    def _embed(
        self, sequences: prompt.PromptSequences | prompt.SharedPrefixSequences, features: Tensor
    ) -> Tensor:
        audio = self.projector(features.to(self._device))  # (B, M, H)
        words, new = self.llm.get_input_embeddings(), self.new_tokens
        table = words if new is None else lambda ids: new(ids, words(ids))
        return prompt.embed_sequences(sequences, table, audio)

    def _read(
        self, sequences: prompt.PromptSequences | prompt.SharedPrefixSequences, features: Tensor
    ) -> Tensor:
        """The scores at every [SCORE], sequence by sequence."""
        hidden = self._hidden(sequences, features)  # (B, L, H)
        rows, places = sequences.score_places
        out: Tensor = self.final_linear(self.score_head(hidden[rows, places])).squeeze(1)
        return out.float()

    def _hidden(
        self, sequences: prompt.PromptSequences | prompt.SharedPrefixSequences, features: Tensor
    ) -> Tensor:
        """The last hidden states (B, L, H), after the final norm, without logits."""
        out: Any = self.llm.get_decoder()(
            inputs_embeds=self._embed(sequences, features),
            attention_mask=sequences.attention,
            position_ids=sequences.positions,
            use_cache=False,
        )
        hidden: Tensor = out.last_hidden_state
        return hidden

    def _check(self, features: Tensor, texts: Sequence[str]) -> None:
        expected = (len(texts), self.frontend.audio_tokens, self.feature_dim)
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
