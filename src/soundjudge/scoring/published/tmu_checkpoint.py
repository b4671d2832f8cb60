"""The published TMU checkpoint as our model: every name in it is accounted for.

The TMU system's `model.pt` holds all weights of the network. What is no weight follows from their
shapes and the published settings, but for the configuration and tokenizer of the language model.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from soundjudge.clap.encoders.weight_files import check_finite
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.beats import Beats, load_beats
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.model.lalm.llm import build_llm, load_tokenizer
from soundjudge.runtime import artifacts, model_folder
from soundjudge.scoring.published import tmu_layout
from soundjudge.scoring.published.tmu_layout import (
    Part,
    find_layout,
    read_weights,
    split_parts,
    their_name,
)

WINDOW_SECONDS = 10.0
AUDIO_TOKENS = 100
MAX_TEXT_TOKENS = 256
DROPOUT = 0.1
MAX_LISTED = 6  # names in an error


@dataclass(frozen=True, kw_only=True)
class TmuModel:
    """The published network in evaluation mode, on the CPU."""

    lalm: Lalm
    encoder: Beats
    comparisons: tuple[str, ...]
    "a sentence on each file of weights that was given beside the checkpoint"


def load_tmu(model: Path, beats: Path | None, llm: Path) -> TmuModel:
    """The checkpoint `model` as our model and its encoder.

    `llm` is the folder of the language model, for its configuration and tokenizer. `beats` is a
    BEATs file, pre-trained or fine-tuned, for the encoder's sizes; without one they follow from the
    shapes. All weights are those of `model`, and those of `beats` and `llm` are compared with them;
    only the output layer of a language model that has one, which no score needs, is that of `llm`.
    Raises SoundjudgeError for names or shapes that do not fit.
    """
    weights = read_weights(model)
    layout = find_layout(weights)
    parts, unknown = split_parts(weights, layout)
    with torch.random.fork_rng(devices=[]):  # new weights are replaced at once
        config = _config(model, parts, layout, with_encoder=beats is None)
        encoder, other_encoder = _encoder(beats, parts["encoder"])
        frontend = AudioFrontend(audio_tokens=_audio_tokens(model), window_seconds=WINDOW_SECONDS)
        lalm = _language_model(llm, config, frontend, encoder.config.encoder_embed_dim)
    modules: dict[str, nn.Module] = {
        "encoder": encoder,
        "projector": lalm.projector,
        "llm": lalm.llm.get_decoder(),
        "score_head": lalm.score_head,
        "final_linear": lalm.final_linear,
    }
    _check(model, parts, modules, layout, unknown)
    check_finite(model, weights)
    comparisons = []
    if beats is not None:
        comparisons.append(f"{beats}: {_compare(other_encoder, parts['encoder'])}")
    if _has_weights(llm):
        comparisons.append(f"{llm}: {_compare(modules['llm'].state_dict(), parts['llm'])}")
    for part, module in modules.items():
        module.load_state_dict(parts[part], strict=True)
    return TmuModel(lalm=lalm.eval(), encoder=encoder.eval(), comparisons=tuple(comparisons))


def _encoder(path: Path | None, weights: Part) -> tuple[Beats, Part]:
    """A BEATs of the sizes of a file, or of the weights themselves; and the weights of the file.

    It has a tagger if the checkpoint has one, whatever the file.
    """
    if path is None:
        return Beats(tmu_layout.infer_config(weights)), {}
    beats = load_beats(path)
    others = beats.state_dict()
    tagger = weights.get("predictor.weight")
    if (tagger is None) == (beats.predictor is None):
        return Beats(beats.config), others
    config = replace(beats.config, finetuned_model=tagger is not None)
    return Beats(config if tagger is None else replace(config, predictor_class=len(tagger))), others


def _has_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (model_folder.WEIGHTS, model_folder.INDEX))


def _language_model(folder: Path, config: LalmConfig, frontend: AudioFrontend, width: int) -> Lalm:
    """The language model of a folder, which needs no weights, with new projector and score head."""
    if _has_weights(folder) or not (folder / "config.json").is_file():
        return Lalm.from_llm(folder, config, frontend, width)
    tokenizer = load_tokenizer(folder)
    prompt.add_tokens(tokenizer)
    values = artifacts.read_json_object(folder / "config.json") | {"vocab_size": len(tokenizer)}
    llm = build_llm(values, config.attention, folder)
    with torch.no_grad():  # where they are not tied to the embeddings; no score needs them
        llm.get_output_embeddings().weight.zero_()
    return Lalm(llm, tokenizer, config, frontend, width)


def _compare(others: Part, weights: Part) -> str:
    """How many of `others`, which are not used, are those of the checkpoint."""
    shared = [name for name in others if name in weights]
    equal = sum(torch.equal(others[n], weights[n].to(others[n].dtype)) for n in shared)
    same = "all" if equal == len(shared) else f"{equal} of {len(shared)}"
    return f"{same} weights are those of the checkpoint, which are the ones that are used"


def _audio_tokens(model: Path) -> int:
    """What `config.json` beside the checkpoint says, if it is there and does."""
    path = model.with_name("config.json")
    values = artifacts.read_json_object(path) if path.is_file() else {}
    tokens = values.get("num_audio_tokens", AUDIO_TOKENS)
    if not isinstance(tokens, int):
        raise SoundjudgeError(f"{path}: num_audio_tokens must be a whole number.")
    return tokens


def _config(
    model: Path, parts: Mapping[str, Part], layout: Mapping[str, str], *, with_encoder: bool
) -> LalmConfig:
    head = parts["score_head"]
    layers = (re.fullmatch(r"mlp\.(\d+)\.weight", name) for name in head)
    last = max((int(layer[1]) for layer in layers if layer), default=0)
    maps = [f"mlp.{layer}.weight" for layer in range(0, last + 1, 3)]  # ReLU, dropout between them
    required = [("projector", "mlp.fc1.weight"), *(("score_head", name) for name in maps)]
    required += [("encoder", name) for name in tmu_layout.REQUIRED if with_encoder]
    missing = [their_name(part, n, layout) for part, n in required if n not in parts[part]]
    if missing:
        raise SoundjudgeError(f"{model}: no whole TMU checkpoint: {_join(missing)} missing.")
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
    """Raises SoundjudgeError, naming all mismatches, unless the weights fit the modules."""
    missing, mismatched = [], []
    for part, module in modules.items():
        expected, actual = module.state_dict(), parts[part]
        missing += [their_name(part, name, layout) for name in expected.keys() - actual.keys()]
        unknown = unknown + [their_name(part, n, layout) for n in actual.keys() - expected.keys()]
        mismatched += [
            f"{their_name(part, n, layout)} {_shape(actual[n])} instead of {_shape(expected[n])}"
            for n in expected.keys() & actual.keys()
            if actual[n].shape != expected[n].shape
        ]
    problems = [
        f"{len(names)} {problem}: {_join(names)}"
        for problem, names in (
            ("missing", missing),
            ("unknown", unknown),
            ("of sizes that the encoder and the language model do not have", mismatched),
        )
        if names
    ]
    if problems:
        raise SoundjudgeError(f"{model}: {'; '.join(problems)}.")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _join(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - MAX_LISTED} more" if len(ordered) > MAX_LISTED else ""
    return ", ".join(ordered[:MAX_LISTED]) + more
