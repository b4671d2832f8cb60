"""How TMU checkpoints spell the names of weights, in the layouts that are about."""

import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.beats import FOREIGN_NAMES

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


def read_weights(path: Path) -> Part:
    """The weights of a PyTorch file by their names; SoundjudgeError for what is none."""
    if not path.is_file():
        raise SoundjudgeError(f"{path}: no such file: put the model.pt of the TMU system there.")
    try:
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (pickle.UnpicklingError, EOFError, RuntimeError, OSError) as error:
        raise SoundjudgeError(f"{path}: not a readable PyTorch checkpoint.") from error
    for container in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(container), dict):
            content = content[container]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise SoundjudgeError(f"{path}: not a checkpoint of weights by their names.")
    return {str(name): tensor for name, tensor in content.items()}


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
