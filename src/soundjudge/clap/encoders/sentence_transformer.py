"""A folder of sentence-transformers as an encoder of text alone.

N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019. Its modules.json says what it is made of: a
transformer, whose tokens' mean or first token is the sentence, and perhaps that the sentence is
brought to length 1, as it always is here.

B batch, T samples at 16 kHz, L tokens, H width of the encoder.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig

from soundjudge.clap.encoders import naming, saving, weight_files
from soundjudge.clap.encoders.tokenization import are_cut, check_tokenizer, save_tokenizer, tokenize
from soundjudge.clap.encoders.transformers_clap import COMPUTED
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, model_folder

MAX_TOKENS = 256  # max_seq_length of all-MiniLM-L6-v2: longer texts are cut
Pooling = Literal["mean", "first"]  # of the tokens' outputs: their mean, or that of the first
MODULES, SETTINGS = "modules.json", "sentence_bert_config.json"
PROMPTS = "config_sentence_transformers.json"
POOLING_FOLDER = "1_Pooling"
POOLING_MODE = "pooling_mode"
# What the pooling's config.json says, under older keys or as the value of one, and what we call it.
POOLINGS: dict[str, Pooling] = {
    "mean_tokens": "mean",
    "cls_token": "first",
    "mean": "mean",
    "cls": "first",
}
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings


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
        config = artifacts.read_json_object(folder / "config.json")
        model = model_folder.build_model(AutoModel, BertConfig, config, "sdpa", folder)
        model_folder.load_weights(model, weights, folder, COMPUTED)
        return cls(model, model_folder.read_tokenizer(AutoTokenizer, folder)).eval()

    def save(self, folder: Path) -> None:
        """Writes a transformers folder; the same weights give the same bytes."""
        saving.save_model(self.model, folder)
        save_tokenizer(self.tokenizer, folder)

    def settings(self) -> list[Any]:
        """What a vector depends on beside the weights."""
        own = [naming.model_settings(self.model.config), self.max_tokens, self.pooling]
        return own + naming.tokenizer_settings(self.tokenizer)

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


class SentenceTransformer:
    """A sentence encoder as a `ClapEncoder` that tells no sound from another."""

    sample_rate = SAMPLE_RATE
    window_seconds = math.inf

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder = encoder
        self.dimensions = (1, encoder.width)

    @classmethod
    def load(cls, folder: Path, device: str | torch.device) -> Self:
        """The encoder of a folder, strictly, in float32 and eval mode."""
        pooling = _read_pooling(folder)
        values = artifacts.read_json_object(folder / "config.json")
        weights = model_folder.read_weights(folder)
        weight_files.check_finite(folder, weights)
        with model_folder.reading(folder / "config.json"):
            make_config = type(AutoConfig.for_model(values["model_type"]))
        model = model_folder.build_model(AutoModel, make_config, values, "sdpa", folder)
        model_folder.load_weights(model, weights, folder, COMPUTED)
        tokenizer = model_folder.read_tokenizer(AutoTokenizer, folder)
        with model_folder.reading(folder):
            encoder = SentenceEncoder(model, tokenizer, _read_max_tokens(folder), pooling)
        return cls(encoder.to(device).eval())

    def save(self, folder: Path) -> None:
        """Writes such a folder; the same weights give the same bytes."""
        self.encoder.save(folder)
        kinds = {"Transformer": "", "Pooling": POOLING_FOLDER}
        modules = [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for n, (kind, path) in enumerate(kinds.items())
        ]
        theirs = next(key for key, ours in POOLINGS.items() if ours == self.encoder.pooling)
        pooling = {f"{POOLING_MODE}_{theirs}": True}
        (folder / POOLING_FOLDER).mkdir()
        artifacts.write_json(folder / MODULES, modules)
        artifacts.write_json(folder / POOLING_FOLDER / "config.json", pooling)
        artifacts.write_json(folder / SETTINGS, {"max_seq_length": self.encoder.max_tokens})

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and settings."""
        digits = naming.short_digest(self.encoder.settings(), self.encoder.state_dict())
        protocol = f"{self.encoder.max_tokens}-tokens/{self.encoder.pooling}"
        return f"sentence-{digits}/{protocol}@{VERSION}"

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """The number 1 for each sound: (B, 1)."""
        return torch.ones(len(waves), 1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, H)."""
        embeddings: Tensor = self.encoder(texts)
        return embeddings

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.encoder.cut_texts(texts)


def _read_pooling(folder: Path) -> Pooling:
    """How the folder's modules make a sentence of its tokens; SoundjudgeError for other ways."""
    modules = artifacts.read_json(folder / MODULES)
    with model_folder.reading(folder / MODULES):
        paths = {module["type"].rpartition(".")[2]: Path(module["path"]) for module in modules}
    kinds = [*paths]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise SoundjudgeError(
            f"{folder / MODULES} names {', '.join(kinds)}: only a Transformer, a Pooling and a "
            "Normalize, one after another, can be read."
        )
    if paths["Transformer"] != Path() or paths["Pooling"] != Path(POOLING_FOLDER):
        raise SoundjudgeError(
            f"{folder / MODULES}: the transformer must lie in the folder itself, its pooling in "
            f"{POOLING_FOLDER}."
        )
    config = artifacts.read_json_object(folder / POOLING_FOLDER / "config.json")
    modes = {
        key.removeprefix(f"{POOLING_MODE}_"): value
        for key, value in config.items()
        if key.startswith(f"{POOLING_MODE}_")
    }
    chosen = (
        [config[POOLING_MODE]] if POOLING_MODE in config else [k for k, v in modes.items() if v]
    )
    if len(chosen) != 1 or chosen[0] not in POOLINGS:
        raise SoundjudgeError(
            f"{folder / POOLING_FOLDER} asks for {', '.join(map(str, chosen)) or 'nothing'}: only "
            f"{' or '.join(POOLINGS)} can be read."
        )
    prompts = artifacts.read_json_object(folder / PROMPTS) if (folder / PROMPTS).exists() else {}
    if prompts.get("default_prompt_name"):
        raise SoundjudgeError(
            f"{folder / PROMPTS} puts a prompt before each text, which can't be done here."
        )
    return POOLINGS[chosen[0]]


def _read_max_tokens(folder: Path) -> int | None:
    """Tokens of a text that are read, if the folder says how many."""
    path = folder / SETTINGS
    settings = artifacts.read_json_object(path) if path.exists() else {}
    if settings.get("do_lower_case"):
        raise SoundjudgeError(f"{path} asks for lower case, which can't be done here.")
    tokens = settings.get("max_seq_length")
    if tokens is not None and not (type(tokens) is int and tokens > 0):
        raise SoundjudgeError(f"{path}: max_seq_length is {tokens!r}: it counts tokens.")
    return tokens
