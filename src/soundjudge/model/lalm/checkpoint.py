"""Trained audio language models on disk: `member.json`, `model.safetensors`, tokenizer files."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.model.lalm.llm import load_tokenizer
from soundjudge.runtime import artifacts

MEMBER, WEIGHTS = "member.json", "model.safetensors"
# What transformers notes about the place and the time of loading.
NOT_SETTINGS = ("_name_or_path", "transformers_version")


def save_lalm(folder: Path, lalm: Lalm, audio_encoder: str, extra: Mapping[str, object]) -> None:
    """Writes all of `lalm`; `audio_encoder` is the path of its encoder, relative to the root of `load`.

    `extra` is kept in member.json beside what `load` needs, e.g. the epoch of the weights.
    """
    llm = lalm.llm.config.to_dict()
    record = {
        **extra,
        "kind": "lalm",
        "audio": audio_encoder,
        "config": asdict(lalm.config),
        "frontend": asdict(lalm.frontend),
        "feature_dim": lalm.feature_dim,
        "llm": {key: value for key, value in llm.items() if key not in NOT_SETTINGS},
    }
    shared = _shared(lalm)
    weights = {name: t for name, t in lalm.state_dict().items() if name not in shared}
    with artifacts.atomic_folder(folder) as temporary:
        artifacts.write_json(temporary / MEMBER, record)
        artifacts.save_tensors(temporary / WEIGHTS, weights)
        lalm.tokenizer.save_pretrained(temporary)


def load_lalm(folder: Path) -> Lalm:
    """The model as it was saved, on the CPU, in evaluation mode; every name must match."""
    record = _record(folder)
    config = params.build(LalmConfig, record["config"], f"{folder / MEMBER}: config")
    frontend = params.build(AudioFrontend, record["frontend"], f"{folder / MEMBER}: frontend")
    tokenizer = load_tokenizer(folder)
    # The new weights are replaced at once: to draw them would take most of the time.
    with torch.random.fork_rng(devices=[]), no_init_weights():
        llm = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(**record["llm"]),
            dtype=torch.float32,
            attn_implementation=config.attention,
        )
        llm.tie_weights()
        lalm = Lalm(llm, tokenizer, config, frontend, record["feature_dim"])
    weights = artifacts.load_tensors(folder / WEIGHTS)
    weights |= {name: weights[first] for name, first in _shared(lalm).items() if first in weights}
    try:
        lalm.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise SoundjudgeError(f"{folder}: weights and settings differ: {reason}") from error
    return lalm.eval()


def _record(folder: Path) -> dict[str, Any]:
    for name in (MEMBER, WEIGHTS, "tokenizer.json"):
        if not (folder / name).is_file():
            raise SoundjudgeError(f"{folder}: no {name}, so no audio language model is there.")
    record: dict[str, Any] = artifacts.read_json(folder / MEMBER)
    if record.get("kind") != "lalm":
        raise SoundjudgeError(
            f"{folder / MEMBER}: kind is '{record.get('kind')}', an audio language model is 'lalm'."
        )
    missing = {"audio", "config", "frontend", "feature_dim", "llm"} - record.keys()
    if missing:
        raise SoundjudgeError(f"{folder / MEMBER}: {', '.join(sorted(missing))} is missing.")
    return record


def _shared(lalm: Lalm) -> dict[str, str]:
    """Names of parameters that are listed before under another name, and that name."""
    first: dict[int, str] = {}
    shared = {}
    for name, parameter in lalm.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            shared[name] = first[id(parameter)]
        first.setdefault(id(parameter), name)
    return shared
