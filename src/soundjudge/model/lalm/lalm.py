"""The audio language model: features of sounds and texts to scores or to captions.

The TMU system of the XACLE challenge: a projector maps the encoder's features to audio tokens, a
language model reads them together with the text, and a score head maps its hidden state at [SCORE]
to the score.
Letters: B = batch, M = audio tokens, D = encoder width, H = width of the language model,
L = longest sequence, G = sounds with C texts each, S = caption tokens of the whole batch,
V = vocabulary without the prompt's own tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from soundjudge.errors import SoundjudgeError
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import adaptation, prompt
from soundjudge.model.lalm.adaptation import LlmTraining
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.model.lalm.llm import CausalMask, beam_search, causal_mask, load_llm
from soundjudge.model.lalm.projector import GatedProjector
from soundjudge.model.lalm.prompt import PromptSequences, Sequences, SharedPrefixSequences
from soundjudge.model.lalm.score_head import ScoreHead, init_xavier
from soundjudge.runtime.devices import copy_to


class Lalm(nn.Module):
    """Language model, projector and score head; the audio encoder stays outside.

    A score depends on its own sound and text alone: sequences are padded on the right, and nothing
    attends to what follows it.
    """

    def __init__(
        self,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        config: LalmConfig,
        frontend: AudioFrontend,
        feature_dim: int,
    ) -> None:
        """`tokenizer` has the prompt's tokens already, and `llm` an embedding for each."""
        super().__init__()
        self.config, self.frontend, self.feature_dim = config, frontend, feature_dim
        self.tokenizer, self.tokens = tokenizer, prompt.token_ids(tokenizer)
        self.llm = llm
        # The folder's own sampling settings must not change a caption.
        self.llm.generation_config = GenerationConfig()
        self.llm_training: LlmTraining | None = None
        self.new_tokens: adaptation.NewTokenEmbeddings | None = None
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
        """The language model of `folder`, see `load_llm`, with new projector and score head."""
        llm, tokenizer = load_llm(folder, config.attention)
        return cls(llm, tokenizer, config, frontend, feature_dim)

    def prepare_for_training(self, training: LlmTraining) -> None:
        """Makes the language model trainable as `training` says; the other parts always are."""
        assert self.llm_training is None, "merge_and_unload() ends a training before the next"
        self.llm_training = training
        adaptation.prepare_for_training(self.llm, training)
        if training.training == "lora":
            table, tokens = self.llm.get_input_embeddings(), self.tokens
            ids = [tokens.audio_start, tokens.audio_end, tokens.score]
            self.new_tokens = adaptation.NewTokenEmbeddings(table, ids)
        self.train(self.training)

    def merge_and_unload(self) -> None:
        """Ends a training: merges LoRA and the new tokens' embeddings into the weights."""
        assert self.llm_training is not None, "merge_and_unload() without prepare_for_training()"
        adaptation.merge_and_unload(self.llm, self.llm_training)
        if self.new_tokens is not None:
            self.new_tokens.merge(self.llm.get_input_embeddings())
        self.llm_training, self.new_tokens = None, None

    def train(self, mode: bool = True) -> "Lalm":
        """Sets the mode; a frozen language model stays in evaluation mode."""
        super().train(mode)
        if self.llm_training is not None:
            adaptation.freeze(self.llm, self.llm_training, mode)
        return self

    def scores(self, features: Tensor, texts: Sequence[str]) -> Tensor:
        """How well sounds (B, M, D) match texts, about -1 to 1, not clipped: (B,)."""
        return self.sequence_scores(self.scoring_sequences(self.tokenize(texts)), features)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return [len(row) > self.config.max_text_tokens for row in self._token_ids(texts)]

    def shared_scores(self, features: Tensor, texts: Sequence[str]) -> Tensor:
        """The scores (G * C,) of sounds (G, M, D) with C consecutive texts each.

        Each sound passes through the language model once, followed by all its texts, which do not
        attend to each other; the order must be audio_first. The scores are those of `scores` with
        every sound repeated C times.
        """
        sequences = self.shared_sequences(self.tokenize(texts), len(features))
        return self.sequence_scores(sequences, features)

    def scoring_sequences(self, texts: Sequence[Sequence[int]]) -> PromptSequences:
        """What `sequence_scores` needs of texts, as token ids, beside a sound for each."""
        tokens, order = self.tokens, self.config.order
        return prompt.scoring_sequences(texts, tokens, self.frontend.audio_tokens, order)

    def shared_sequences(self, texts: Sequence[Sequence[int]], sounds: int) -> Sequences:
        """What `sequence_scores` needs of texts, as token ids, beside sounds that share them."""
        assert self.config.order == "audio_first", "texts before a sound cannot share it"
        count = self.frontend.audio_tokens
        return prompt.shared_prefix_sequences(texts, sounds, self.tokens, count)

    def sequence_scores(self, sequences: Sequences, features: Tensor) -> Tensor:
        """The scores at every [SCORE], sequence by sequence, with sounds (B or G, M, D)."""
        rows, positions = (copy_to(index, self.device) for index in sequences.score_positions)
        hidden = self.hidden_states(sequences, features)[rows, positions]  # (B or G * C, H)
        # bf16 knows 128 scores from 0.5 to 1, and equal scores have no rank.
        with torch.autocast(self.device.type, enabled=False):
            scores: Tensor = self.final_linear(self.score_head(hidden.float())).squeeze(1)
        return scores

    def caption_sequences(self, texts: Sequence[Sequence[int]]) -> PromptSequences:
        """What `sequence_caption_loss` needs of captions, as token ids, beside a sound for each."""
        return prompt.caption_sequences(texts, self.tokens, self.frontend.audio_tokens)

    def caption_logits(self, sequences: PromptSequences, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (S, V) of every token of every caption and its end, and these tokens: (S,).

        The prompt's own tokens have no logits: a caption cannot contain them.
        """
        rows, positions = sequences.text_positions  # (S,) both
        tokens = sequences.ids[rows, positions]
        rows, positions, tokens = (copy_to(t, self.device) for t in (rows, positions, tokens))
        hidden = self.hidden_states(sequences, features)[rows, positions - 1]  # (S, H)
        logits: Tensor = self.llm.get_output_embeddings()(hidden)[:, : self.vocabulary]
        return logits, tokens

    def caption_loss(self, features: Tensor, texts: Sequence[str]) -> Tensor:
        """Cross-entropy of the next token: the mean over captions of the mean over their tokens."""
        return self.sequence_caption_loss(self.caption_sequences(self.tokenize(texts)), features)

    def sequence_caption_loss(self, sequences: PromptSequences, features: Tensor) -> Tensor:
        """`caption_loss` of sounds (B, M, D) and the captions in `sequences`."""
        logits, tokens = self.caption_logits(sequences, features)
        losses = functional.cross_entropy(logits.float(), tokens, reduction="none")  # (S,)
        rows, _ = sequences.text_positions
        lengths = copy_to(sequences.text_mask.sum(dim=1)[rows], self.device)  # (S,)
        return (losses / lengths).sum() / len(sequences.ids)

    @torch.no_grad()
    def generate(self, features: Tensor, *, max_tokens: int, num_beams: int) -> list[str]:
        """Captions of sounds (B, M, D) by beam search with the mean log-probability per token.

        `num_beams` 1 is greedy search. A caption has up to `max_tokens` tokens and depends neither
        on the other sounds nor on random numbers.
        """
        sequences = prompt.generation_prefix(len(features), self.tokens, self.frontend.audio_tokens)
        ids = self.llm.generate(
            inputs_embeds=self._embed(sequences, features),
            attention_mask=copy_to(sequences.attention_mask, self.device),
            generation_config=beam_search(self.tokens, max_tokens, num_beams),
        )
        texts: list[str] = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts, cut at max_text_tokens."""
        return [row[: self.config.max_text_tokens] for row in self._token_ids(texts)]

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        # "[SCORE]" in a text is text.
        ids: list[list[int]] = self.tokenizer(
            list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False
        )["input_ids"]
        return ids

    def _embed(self, sequences: Sequences, features: Tensor) -> Tensor:
        self.check_features(features, len(sequences.ids))
        audio = self.projector(copy_to(features, self.device).float())  # (B, M, H)
        old, new = self.llm.get_input_embeddings(), self.new_tokens
        table = old if new is None else lambda ids: new(ids, old(ids))
        return prompt.embed_sequences(sequences, table, audio)

    def hidden_states(self, sequences: Sequences, features: Tensor) -> Tensor:
        """The last hidden states (B, L, H) after the final norm; those at padding mean nothing."""
        embeddings = self._embed(sequences, features)
        mask: Tensor | CausalMask
        if isinstance(sequences, SharedPrefixSequences):
            moved = prompt.to_device(sequences, self.device)
            mask, position_ids = moved.attention_mask, moved.position_ids
        else:
            # What attends to earlier positions alone never sees the padding behind it.
            mask, position_ids = causal_mask(self.llm, embeddings), None
        inputs = {"inputs_embeds": embeddings, "attention_mask": mask, "position_ids": position_ids}
        output: Any = self.llm.get_decoder()(**inputs, use_cache=False)
        hidden: Tensor = output.last_hidden_state
        return hidden

    def check_features(self, features: Tensor, sounds: int) -> None:
        """SoundjudgeError unless they are (sounds, M, D) as this model needs them."""
        expected = (sounds, self.frontend.audio_tokens, self.feature_dim)
        if tuple(features.shape) != expected:
            raise SoundjudgeError(
                f"features are {tuple(features.shape)}, this model expects {expected} (sounds, "
                "audio tokens, width): encode the sounds with its own encoder and frontend."
            )

    @property
    def vocabulary(self) -> int:
        """Tokens that a caption may have: those before the prompt's own."""
        return min(self.tokens.audio_start, self.tokens.audio_end, self.tokens.score)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.final_linear.weight.device
