"""Tables of what a published checkpoint calls each weight, and what the model here calls it.

N in a name is a number, the same on both sides. A name is that of a tensor or of a module, whose
tensors keep their own last word (weight, bias, running_mean...).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from soundjudge.clap.encoders.htsat import count_layers
from soundjudge.errors import SoundjudgeError

BERT_HEAD = 64  # width of an attention head; no tensor says so
Names = dict[str, str | tuple[str, ...]]
# What their names begin with, what ours begin with, and how both go on. Where one tensor became
# several, its rows are theirs one after another.
Row = tuple[str, str, Names]


@dataclass(frozen=True)
class NameTable:
    """All names of one kind of checkpoint."""

    rows: tuple[Row, ...]
    dropped: Mapping[str, str]  # what the model here has no place for, and why none of it is missed
    contents: str  # of such a file, for errors

    @cached_property
    def _names(self) -> list[tuple[re.Pattern[str], list[str]]]:
        return [
            (_pattern(before + old), [after + n for n in ((new,) if isinstance(new, str) else new)])
            for before, after, names in self.rows
            for old, new in names.items()
        ]

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights by our names; SoundjudgeError for a name that the table lacks."""
        renamed: dict[str, Tensor] = {}
        unknown: list[str] = []
        for key, tensor in state.items():
            names = self._new_names(key)
            if names is None:
                unknown.append(key)
                continue
            parts = tensor.chunk(len(names)) if len(names) > 1 else [tensor] * len(names)
            renamed |= dict(zip(names, parts, strict=True))
        if unknown:
            raise SoundjudgeError(
                f"{len(unknown)} weights are of no known CLAP, such as {', '.join(unknown[:3])}: "
                f"only {self.contents} can be read."
            )
        return renamed

    def _new_names(self, key: str) -> list[str] | None:
        """The new names of a tensor, none if it is dropped; None if the table lacks it."""
        for pattern, names in self._names:
            if match := pattern.fullmatch(key):
                *numbers, leaf = match.groups()
                return [_insert_numbers(name, numbers) + leaf for name in names]
        return [] if any(_pattern(name).fullmatch(key) for name in self.dropped) else None


def same(*names: str) -> Names:
    """Names that both sides share."""
    return {name: name for name in names}


def htsat_rows(branch: str) -> tuple[Row, ...]:
    """The names of an HTSAT whose own begin with `branch`, as a `ClapAudioModel`."""
    return (
        (
            branch,
            "audio_model.audio_encoder.",
            {
                "bn0": "batch_norm",
                **same("patch_embed.proj", "patch_embed.norm", "norm"),
                **same("layers.N.downsample.norm", "layers.N.downsample.reduction"),
            },
        ),
        (
            f"{branch}layers.N.blocks.N.",
            "audio_model.audio_encoder.layers.N.blocks.N.",
            {
                "norm1": "layernorm_before",
                "attn.relative_position_bias_table": "attention.self.relative_position_bias_table",
                "attn.relative_position_index": "attention.self.relative_position_index",
                "attn.qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
                "attn.proj": "attention.output.dense",
                "norm2": "layernorm_after",
                "mlp.fc1": "intermediate.dense",
                "mlp.fc2": "output.dense",
            },
        ),
    )


def bert_rows(branch: str) -> tuple[Row, ...]:
    """The names of a BERT or RoBERTa whose own begin with `branch`, as `text_model`."""
    return (
        (
            branch,
            "text_model.",
            {
                **same("embeddings.word_embeddings", "embeddings.position_embeddings"),
                **same("embeddings.token_type_embeddings", "embeddings.LayerNorm", "pooler.dense"),
            },
        ),
        (
            f"{branch}encoder.layer.N.",
            "text_model.encoder.layer.N.",
            {
                **same("attention.self.query", "attention.self.key", "attention.self.value"),
                **same("attention.output.dense", "attention.output.LayerNorm"),
                **same("intermediate.dense", "output.dense", "output.LayerNorm"),
            },
        ),
    )


def infer_bert_config(state: Mapping[str, Tensor], branch: str) -> dict[str, int]:
    """The sizes of a BERT or RoBERTa whose names begin with `branch`, under those of its config."""
    words, hidden = state[f"{branch}embeddings.word_embeddings.weight"].shape
    layers = rf"{re.escape(branch)}encoder\.layer\.(\d+)\."
    return {
        "vocab_size": words,
        "hidden_size": hidden,
        "num_hidden_layers": count_layers(state, layers),
        "num_attention_heads": hidden // BERT_HEAD,
        "intermediate_size": len(state[f"{branch}encoder.layer.0.intermediate.dense.weight"]),
        "max_position_embeddings": len(state[f"{branch}embeddings.position_embeddings.weight"]),
        "type_vocab_size": len(state[f"{branch}embeddings.token_type_embeddings.weight"]),
    }


def htsat_dropped(branch: str) -> dict[str, str]:
    """What of an HTSAT a `ClapAudioModel` has no place for, its front end aside."""
    return {
        f"{branch}layers.N.blocks.N.attn_mask": "the model computes it itself",
        f"{branch}tscam_conv": "tells AudioSet's classes; no part of an embedding",
        f"{branch}head": "tells AudioSet's classes; no part of an embedding",
    }


def _pattern(name: str) -> re.Pattern[str]:
    # The last word of a module's tensor never is a number.
    steps = [r"(\d+)" if step == "N" else re.escape(step) for step in name.split(".")]
    return re.compile(r"\.".join(steps) + r"((?:\.[A-Za-z_]+)?)")


def _insert_numbers(name: str, numbers: list[str]) -> str:
    remaining = iter(numbers)
    return ".".join(next(remaining) if step == "N" else step for step in name.split("."))
