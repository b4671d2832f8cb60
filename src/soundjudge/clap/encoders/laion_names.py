"""What LAION calls each weight of a CLAP, and what transformers calls it.

N in a name is a number, the same on both sides. A name is that of a tensor or of a module, whose
tensors keep their own last word (weight, bias, running_mean...).
"""

import re
from collections.abc import Mapping

from torch import Tensor

from soundjudge.errors import SoundjudgeError

# What LAION's names begin with, what those of transformers begin with, and how both go on. Where
# one tensor became several, its rows are theirs one after another.
TABLE: tuple[tuple[str, str, dict[str, str | tuple[str, ...]]], ...] = (
    (
        "",
        "",
        {
            "logit_scale_a": "logit_scale_a",
            "logit_scale_t": "logit_scale_t",
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
            "patch_embed.proj": "patch_embed.proj",
            "patch_embed.norm": "patch_embed.norm",
            # of fused models alone
            "patch_embed.mel_conv2d": "patch_embed.mel_conv2d",
            "patch_embed.fusion_model.local_att.N": "patch_embed.fusion_model.local_att.N",
            "patch_embed.fusion_model.global_att.N": "patch_embed.fusion_model.global_att.N",
            "layers.N.downsample.norm": "layers.N.downsample.norm",
            "layers.N.downsample.reduction": "layers.N.downsample.reduction",
            "norm": "norm",
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
            "embeddings.word_embeddings": "embeddings.word_embeddings",
            "embeddings.position_embeddings": "embeddings.position_embeddings",
            "embeddings.token_type_embeddings": "embeddings.token_type_embeddings",
            "embeddings.LayerNorm": "embeddings.LayerNorm",
            "pooler.dense": "pooler.dense",
        },
    ),
    (
        "text_branch.encoder.layer.N.",
        "text_model.encoder.layer.N.",
        {
            "attention.self.query": "attention.self.query",
            "attention.self.key": "attention.self.key",
            "attention.self.value": "attention.self.value",
            "attention.output.dense": "attention.output.dense",
            "attention.output.LayerNorm": "attention.output.LayerNorm",
            "intermediate.dense": "intermediate.dense",
            "output.dense": "output.dense",
            "output.LayerNorm": "output.LayerNorm",
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
    """LAION's weights under the names of transformers; ClapError for a name in neither table."""
    found: dict[str, Tensor] = {}
    strange: list[str] = []
    for key, tensor in state.items():
        names = _new_names(key)
        if names is None:
            strange.append(key)
            continue
        parts = tensor.chunk(len(names)) if len(names) > 1 else [tensor] * len(names)
        found |= dict(zip(names, parts, strict=True))
    if strange:
        raise SoundjudgeError(
            f"{len(strange)} weights are of no known CLAP, such as {', '.join(strange[:3])}: "
            "only LAION's files with an HTSAT and a RoBERTa can be read."
        )
    return found


def _new_names(key: str) -> list[str] | None:
    """Where a tensor goes: nowhere, to one name or to several; None if the tables lack it."""
    for pattern, names in _NAMES:
        if match := pattern.fullmatch(key):
            *numbers, leaf = match.groups()
            return [_filled(name, numbers) + leaf for name in names]
    return [] if any(pattern.fullmatch(key) for pattern in _DROPPED) else None


def _filled(name: str, numbers: list[str]) -> str:
    rest = iter(numbers)
    return ".".join(next(rest) if step == "N" else step for step in name.split("."))
