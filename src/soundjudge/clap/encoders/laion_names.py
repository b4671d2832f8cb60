"""What LAION calls each weight of a CLAP, and what transformers calls it.

N in a name is a number, the same on both sides. A name is that of a tensor or of a module, whose
tensors keep their own last word (weight, bias, running_mean...).
"""

import re
from collections.abc import Mapping

from torch import Tensor

from soundjudge.errors import SoundjudgeError


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# What LAION's names begin with, what those of transformers begin with, and how both go on. Where
# one tensor became several, its rows are theirs one after another.
TABLE: tuple[tuple[str, str, dict[str, str | tuple[str, ...]]], ...] = (
    (
        "",
        "",
        {
            **_same("logit_scale_a", "logit_scale_t"),
            "audio_projection.0": "audio_projection.linear1",
            "audio_projection.2": "audio_projection.linear2",
            "text_projection.0": "text_projection.linear1",
            "text_projection.2": "text_projection.linear2",
        },
    ),
    (
        "audio_branch.",
        "audio_model.audio_encoder.",
        {
            "bn0": "batch_norm",
            **_same("patch_embed.proj", "patch_embed.norm", "norm"),
            **_same("layers.N.downsample.norm", "layers.N.downsample.reduction"),
            # of fused models alone
            **_same("patch_embed.mel_conv2d"),
            **_same(
                "patch_embed.fusion_model.local_att.N", "patch_embed.fusion_model.global_att.N"
            ),
        },
    ),
    (
        "audio_branch.layers.N.blocks.N.",
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
    (
        "text_branch.",
        "text_model.",
        {
            **_same("embeddings.word_embeddings", "embeddings.position_embeddings"),
            **_same("embeddings.token_type_embeddings", "embeddings.LayerNorm", "pooler.dense"),
        },
    ),
    (
        "text_branch.encoder.layer.N.",
        "text_model.encoder.layer.N.",
        {
            **_same("attention.self.query", "attention.self.key", "attention.self.value"),
            **_same("attention.output.dense", "attention.output.LayerNorm"),
            **_same("intermediate.dense", "output.dense", "output.LayerNorm"),
        },
    ),
)
# What a transformers CLAP has no place for, and why none of it is missed.
DROPPED = {
    "text_branch.embeddings.position_ids": "the model computes it itself",
    "audio_branch.layers.N.blocks.N.attn_mask": "the model computes it itself",
    "audio_branch.spectrogram_extractor.stft.conv_real": "front end, compared with ours",
    "audio_branch.spectrogram_extractor.stft.conv_imag": "front end, compared with ours",
    "audio_branch.logmel_extractor.melW": "front end, compared with ours",
    "audio_branch.tscam_conv": "tells AudioSet's classes; no part of an embedding",
    "audio_branch.head": "tells AudioSet's classes; no part of an embedding",
    "audio_transform.sequential.N": "a branch of the training's loss; no part of an embedding",
    "text_transform.sequential.N": "a branch of the training's loss; no part of an embedding",
}


def _pattern(name: str) -> re.Pattern[str]:
    # The last word of a module's tensor never is a number.
    steps = [r"(\d+)" if step == "N" else re.escape(step) for step in name.split(".")]
    return re.compile(r"\.".join(steps) + r"((?:\.[A-Za-z_]+)?)")


_NAMES = [
    (_pattern(before + old), [after + name for name in ((new,) if isinstance(new, str) else new)])
    for before, after, names in TABLE
    for old, new in names.items()
]
_DROPPED = [_pattern(name) for name in DROPPED]


def rename_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """LAION's weights by transformers' names; SoundjudgeError for a name in neither table."""
    renamed: dict[str, Tensor] = {}
    unknown: list[str] = []
    for key, tensor in state.items():
        names = _new_names(key)
        if names is None:
            unknown.append(key)
            continue
        parts = tensor.chunk(len(names)) if len(names) > 1 else [tensor] * len(names)
        renamed |= dict(zip(names, parts, strict=True))
    if unknown:
        raise SoundjudgeError(
            f"{len(unknown)} weights are of no known CLAP, such as {', '.join(unknown[:3])}: "
            "only LAION's files with an HTSAT and a RoBERTa can be read."
        )
    return renamed


def _new_names(key: str) -> list[str] | None:
    """The new names of a tensor, none if it is dropped; None if the tables lack it."""
    for pattern, names in _NAMES:
        if match := pattern.fullmatch(key):
            *numbers, leaf = match.groups()
            return [_insert_numbers(name, numbers) + leaf for name in names]
    return [] if any(pattern.fullmatch(key) for pattern in _DROPPED) else None


def _insert_numbers(name: str, numbers: list[str]) -> str:
    remaining = iter(numbers)
    return ".".join(next(remaining) if step == "N" else step for step in name.split("."))
