"""Sentence encoders, all-MiniLM-L6-v2 above all: a BERT whose mean token output is a sentence.

N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019. What the package sentence-transformers
does with the folder's modules.json is done here: mean over the tokens, then unit length.

B batch, L tokens, H features.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, BertConfig

from soundjudge.clap.encoders.tokenization import (
    are_cut,
    check_tokenizer,
    save_tokenizer,
    tokenize,
)
from soundjudge.clap.encoders.transformers_clap import COMPUTED
from soundjudge.runtime import artifacts, model_folder

MAX_TOKENS = 256  # max_seq_length of all-MiniLM-L6-v2: longer texts are cut
Pooling = Literal["mean", "first"]  # of the tokens' outputs: their mean, or that of the first


class SentenceEncoder(nn.Module):
    """A transformer with its tokenizer: texts -> unit vectors (B, H)."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        tokenizer: Any,  # noqa: ANN401
        max_tokens: int | None = MAX_TOKENS,  # None: as many as model and tokenizer allow
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__()
        check_tokenizer(tokenizer, model.config)
        self.model, self.tokenizer, self.pooling = model, tokenizer, pooling
        limits = [model.config.max_position_embeddings, max_tokens or tokenizer.model_max_length]
        self.max_tokens = int(min(limits))  # that are read of a text, its first and last among them
        self.width: int = model.config.hidden_size  # H

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The encoder of a transformers folder, strictly, in float32 and eval mode."""
        weights = model_folder.read_weights(folder)
        config = artifacts.read_json(folder / "config.json")
        model = model_folder.build_model(AutoModel, BertConfig, config, "sdpa", folder)
        model_folder.load_weights(model, weights, folder, COMPUTED)
        return cls(model, model_folder.read_tokenizer(AutoTokenizer, folder)).eval()

    def save(self, folder: Path) -> None:
        """Writes a transformers folder; the same weights give the same bytes."""
        self.model.save_pretrained(folder)
        save_tokenizer(self.tokenizer, folder)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return are_cut(self.tokenizer, texts, self.max_tokens)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts: (B, H)."""
        tokens = tokenize(self.tokenizer, texts, self.max_tokens).to(self.model.device)  # (B, L)
        outputs: Tensor = self.model(
            tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state  # (B, L, H)
        if self.pooling == "first":
            return nn.functional.normalize(outputs[:, 0], dim=-1)
        weights = tokens["attention_mask"].unsqueeze(-1).to(outputs.dtype)  # (B, L, 1)
        mean = (outputs * weights).sum(dim=1) / weights.sum(dim=1)  # (B, H)
        return nn.functional.normalize(mean, dim=-1)
