"""How TMU checkpoints spell the names of weights, and the sizes of the BEATs inside.

A checkpoint holds weights and no configuration."""

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.beats import FOREIGN_NAMES
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.runtime import model_folder

# Prefixes of the names in a checkpoint, and the part of our model that the weights belong to.
PUBLISHED = {
    "llm_wrapper.audio_encoder.model.": "encoder",
    "llm_wrapper.audio_projection.": "projector",
    "llm_wrapper.llm.": "llm",
    "score_head.": "score_head",
    "final_linear.linear.": "final_linear",
}
LIGHTNING = {f"model.{prefix}": part for prefix, part in PUBLISHED.items()}
RESEARCH = {  # from before the release; the encoder is inside of the projector
    "model.model.llm_wrapper.audio_adapter.audio_encoder.model.": "encoder",
    "model.model.llm_wrapper.audio_adapter.": "projector",
    "model.model.llm_wrapper.llm.": "llm",
    "model.model.projection.": "score_head",
    "model.projection.": "final_linear",
}
LAYOUTS = (PUBLISHED, LIGHTNING, RESEARCH)
# Keys under which a training stores the weights beside other things.
CONTAINERS = ("state_dict", "model_state_dict")

Part = dict[str, Tensor]
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


def read_weights(path: Path) -> Part:
    """The weights of a PyTorch file by their names; SoundjudgeError for what is none."""
    if not path.is_file():
        raise SoundjudgeError(f"{path}: no such file: put the model.pt of the TMU system there.")
    content = model_folder.read_checkpoint(path, weights_only=True, mmap=zipfile.is_zipfile(path))
    for container in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(container), dict):
            content = content[container]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise SoundjudgeError(f"{path}: not a checkpoint of weights by their names.")
    model_folder.check_tensors(path, content)
    return content


def find_layout(weights: Iterable[str]) -> dict[str, str]:
    """The layout that most of the names have."""
    names = list(weights)
    return max(LAYOUTS, key=lambda layout: sum(_prefix(name, layout) != "" for name in names))


def _prefix(name: str, layout: Mapping[str, str]) -> str:
    """The prefix of `name` in `layout`, or ""."""
    return next((prefix for prefix in layout if name.startswith(prefix)), "")


def split_parts(
    weights: Mapping[str, Tensor], layout: Mapping[str, str]
) -> tuple[dict[str, Part], list[str]]:
    """The weights of each part by our names, and the names that fit no part."""
    parts: dict[str, Part] = {part: {} for part in layout.values()}
    unknown = []
    for name, tensor in weights.items():
        if not (prefix := _prefix(name, layout)):
            unknown.append(name)
            continue
        part, suffix = layout[prefix], name.removeprefix(prefix)
        parts[part][FOREIGN_NAMES.get(suffix, suffix) if part == "encoder" else suffix] = tensor
    return parts, unknown


def their_name(part: str, name: str, layout: Mapping[str, str]) -> str:
    """A name of ours as the checkpoint would spell it."""
    prefix = next(prefix for prefix, owner in layout.items() if owner == part)
    foreign = {ours: theirs for theirs, ours in FOREIGN_NAMES.items()} if part == "encoder" else {}
    return prefix + foreign.get(name, name)


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
