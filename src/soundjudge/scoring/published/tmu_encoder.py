"""The sizes of the BEATs inside a TMU checkpoint, which holds its weights and no configuration."""

import re
from collections.abc import Mapping

from torch import Tensor

from soundjudge.model.audio.beats.layers import BeatsConfig

TABLE = "encoder.layers.0.self_attn.relative_attention_bias.weight"
REQUIRED = (
    "patch_embedding.weight",
    "encoder.layers.0.fc1.weight",
    "encoder.layer_norm.weight",
    "encoder.pos_conv.0.weight_v",
    TABLE,
)
# Of the published iter3+, what no shape shows: longest distance of the position table, DeepNorm.
MAX_DISTANCE, DEEP_NORM = 800, True


def infer_config(weights: Mapping[str, Tensor]) -> BeatsConfig:
    """The configuration that the shapes of `weights`, which have REQUIRED, follow from."""
    patch, kernel, table = (
        weights[name] for name in ("patch_embedding.weight", "encoder.pos_conv.0.weight_v", TABLE)
    )
    inner, width = weights["encoder.layers.0.fc1.weight"].shape
    layers = {
        match[1] for name in weights if (match := re.match(r"encoder\.layers\.(\d+)\.", name))
    }
    predictor = weights.get("predictor.weight")
    return BeatsConfig(
        input_patch_size=patch.shape[-1],
        embed_dim=len(patch),
        conv_bias="patch_embedding.bias" in weights,
        encoder_layers=len(layers),
        encoder_embed_dim=width,
        encoder_ffn_embed_dim=inner,
        encoder_attention_heads=table.shape[1],
        deep_norm=DEEP_NORM,
        conv_pos=kernel.shape[2],
        conv_pos_groups=width // kernel.shape[1],
        relative_position_embedding=True,
        num_buckets=len(table),
        max_distance=MAX_DISTANCE,
        gru_rel_pos="encoder.layers.0.self_attn.grep_a" in weights,
        finetuned_model=predictor is not None,
        predictor_class=BeatsConfig.predictor_class if predictor is None else len(predictor),
    )
