"""The published TMU checkpoint as our model: every name in it is accounted for.

The TMU system's `model.pt` holds all of the network but its sizes: those of the encoder stand in a
BEATs file, those of the language model in its folder; the others are read off the weights.
"""

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.beats import FOREIGN_NAMES, Beats, load_beats
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.runtime import artifacts

WINDOW_SECONDS = 10.0
AUDIO_TOKENS = 100
MAX_TEXT_TOKENS = 256
DROPOUT = 0.1
# Beginnings of the names in a checkpoint, and the part of our model that the rest is a name of.
PUBLISHED = {
    "llm_wrapper.audio_encoder.model.": "encoder",
    "llm_wrapper.audio_projection.": "projector",
    "llm_wrapper.llm.": "llm",
    "score_head.": "score_head",
    "final_linear.linear.": "final_linear",
}
LIGHTNING = {f"model.{beginning}": part for beginning, part in PUBLISHED.items()}
RESEARCH = {  # from before the release; the encoder stands inside of the projector
    "model.model.llm_wrapper.audio_adapter.audio_encoder.model.": "encoder",
    "model.model.llm_wrapper.audio_adapter.": "projector",
    "model.model.llm_wrapper.llm.": "llm",
    "model.model.projection.": "score_head",
    "model.projection.": "final_linear",
}
LAYOUTS = (PUBLISHED, LIGHTNING, RESEARCH)
# Keys under which a training keeps the weights beside other things.
CONTAINERS = ("state_dict", "model_state_dict")
LISTED = 6  # names in an error

Part = dict[str, Tensor]


def load_tmu(model: Path, beats: Path, llm: Path) -> tuple[Lalm, Beats]:
    """The checkpoint `model` as our model and its encoder, on the CPU, in evaluation mode.

    `beats` is a BEATs file, pre-trained or fine-tuned, for the encoder's sizes; `llm` the folder of
    the language model, for its sizes and tokenizer. All weights are those of `model`; only an
    output layer of its own, which no score needs, a language model keeps.
    """
    weights = _read(model)
    layout = max(LAYOUTS, key=lambda layout: sum(_part(name, layout) != "" for name in weights))
    parts, unknown = _parted(weights, layout)
    with torch.random.fork_rng(devices=[]):  # new weights are replaced at once
        encoder = _encoder(beats, parts["encoder"])
        frontend = AudioFrontend(audio_tokens=_audio_tokens(model), window_seconds=WINDOW_SECONDS)
        width = encoder.config.encoder_embed_dim
        lalm = Lalm.from_llm(llm, _config(model, parts, layout), frontend, width)
    modules: dict[str, nn.Module] = {
        "encoder": encoder,
        "projector": lalm.projector,
        "llm": lalm.llm.get_decoder(),
        "score_head": lalm.score_head,
        "final_linear": lalm.final_linear,
    }
    _check(model, parts, modules, layout, unknown)
    for part, module in modules.items():
        module.load_state_dict(parts[part], strict=True)
    return lalm.eval(), encoder.eval()


def _read(path: Path) -> dict[str, Tensor]:
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


def _part(name: str, layout: Mapping[str, str]) -> str:
    """The beginning of `name` that `layout` knows, or nothing."""
    return next((beginning for beginning in layout if name.startswith(beginning)), "")


def _parted(
    weights: Mapping[str, Tensor], layout: Mapping[str, str]
) -> tuple[dict[str, Part], list[str]]:
    """The weights of each part by our names, and the names that fit no part."""
    parts: dict[str, Part] = {part: {} for part in layout.values()}
    unknown = []
    for name, tensor in weights.items():
        beginning = _part(name, layout)
        if not beginning:
            unknown.append(name)
            continue
        part, rest = layout[beginning], name.removeprefix(beginning)
        parts[part][FOREIGN_NAMES.get(rest, rest) if part == "encoder" else rest] = tensor
    return parts, unknown


def _encoder(path: Path, weights: Part) -> Beats:
    """A BEATs of the file's sizes; it has a tagger if the checkpoint has one, whatever the file."""
    beats = load_beats(path)
    tagger = weights.get("predictor.weight")
    if (tagger is None) == (beats.predictor is None):
        return beats
    config = replace(beats.config, finetuned_model=tagger is not None)
    return Beats(config if tagger is None else replace(config, predictor_class=len(tagger)))


def _audio_tokens(model: Path) -> int:
    """What `config.json` beside the checkpoint says, if it is there and does."""
    path = model.with_name("config.json")
    values = artifacts.read_json(path) if path.is_file() else {}
    tokens = values.get("num_audio_tokens", AUDIO_TOKENS) if isinstance(values, dict) else None
    if not isinstance(tokens, int):
        raise SoundjudgeError(f"{path}: num_audio_tokens must be a whole number.")
    return tokens


def _config(model: Path, parts: Mapping[str, Part], layout: Mapping[str, str]) -> LalmConfig:
    head = parts["score_head"]
    places = (re.fullmatch(r"mlp\.(\d+)\.weight", name) for name in head)
    last = max((int(place[1]) for place in places if place), default=0)
    maps = [f"mlp.{place}.weight" for place in range(0, last + 1, 3)]  # ReLU, dropout between them
    needed = [("projector", "mlp.fc1.weight"), *(("score_head", name) for name in maps)]
    lacking = [_theirs(part, name, layout) for part, name in needed if name not in parts[part]]
    if lacking:
        raise SoundjudgeError(f"{model}: no whole TMU checkpoint: {_listed(lacking)} missing.")
    return LalmConfig(
        projector_hidden=len(parts["projector"]["mlp.fc1.weight"]) // 2,
        projector_dropout=DROPOUT,
        head=tuple(len(head[name]) for name in maps),
        head_dropout=DROPOUT,
        max_text_tokens=MAX_TEXT_TOKENS,
        order="text_first",
        attention="sdpa",
    )


def _check(
    model: Path,
    parts: Mapping[str, Part],
    modules: Mapping[str, nn.Module],
    layout: Mapping[str, str],
    unknown: list[str],
) -> None:
    """Raises TmuError, naming all that is wrong, unless the weights are those of the modules."""
    missing, wrong = [], []
    for part, module in modules.items():
        needed, given = module.state_dict(), parts[part]
        missing += [_theirs(part, name, layout) for name in needed.keys() - given.keys()]
        unknown = unknown + [_theirs(part, name, layout) for name in given.keys() - needed.keys()]
        wrong += [
            f"{_theirs(part, name, layout)} {_shape(given[name])} instead of {_shape(needed[name])}"
            for name in needed.keys() & given.keys()
            if given[name].shape != needed[name].shape
        ]
    problems = [
        f"{len(names)} {what}: {_listed(names)}"
        for what, names in (
            ("missing", missing),
            ("unknown", unknown),
            ("of sizes that the BEATs file and the language model do not have", wrong),
        )
        if names
    ]
    if problems:
        raise SoundjudgeError(f"{model}: {'; '.join(problems)}.")


def _theirs(part: str, name: str, layout: Mapping[str, str]) -> str:
    """A name of ours as the checkpoint would spell it."""
    beginning = next(begin for begin, of in layout.items() if of == part)
    foreign = {ours: theirs for theirs, ours in FOREIGN_NAMES.items()} if part == "encoder" else {}
    return beginning + foreign.get(name, name)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - LISTED} more" if len(ordered) > LISTED else ""
    return ", ".join(ordered[:LISTED]) + more
