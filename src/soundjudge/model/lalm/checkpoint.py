"""Trained audio language models on disk: `member.json`, `model.safetensors`, tokenizer files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import MAX_SIZE, LalmConfig
from soundjudge.model.lalm.llm import build_llm, load_tokenizer
from soundjudge.model.lalm.prompt import NEW_TOKENS
from soundjudge.ranges import check_range
from soundjudge.runtime import artifacts, model_folder
from soundjudge.runtime.member_record import (
    MEMBER_FILE,
    EncoderReference,
    MemberRecord,
    read_member,
    write_member,
)

KIND, WEIGHTS = "lalm", model_folder.WEIGHTS
# Keys of transformers' config that depend on where and when a model was loaded.
NOT_SETTINGS = ("_name_or_path", "transformers_version")


@dataclass(frozen=True, kw_only=True)
class LalmSettings:
    """The settings in member.json."""

    config: LalmConfig
    frontend: AudioFrontend
    feature_dim: int
    llm: dict[str, Any]  # of transformers' config

    def __post_init__(self) -> None:
        check_range(self, "feature_dim", least=1, most=MAX_SIZE)


FIELDS = LalmSettings.__dataclass_fields__


def save_lalm(folder: Path, lalm: Lalm, audio_encoder: str, training: Mapping[str, object]) -> None:
    """Writes all of `lalm`; `audio_encoder` is the path of its encoder from the judge's root.

    `training` is what member.json tells of it, such as the epoch of the weights.
    """
    llm = lalm.llm.config.to_dict()
    settings = LalmSettings(
        config=lalm.config,
        frontend=lalm.frontend,
        feature_dim=lalm.feature_dim,
        llm={key: value for key, value in llm.items() if key not in NOT_SETTINGS},
    )
    record = MemberRecord(
        kind=KIND,
        encoders={"audio": (EncoderReference(path=audio_encoder),)},
        settings=asdict(settings),
        training=dict(training),
    )
    shared = model_folder.shared_names(lalm)
    weights = {name: t for name, t in lalm.state_dict().items() if name not in shared}
    with artifacts.atomic_folder(folder) as temporary:
        write_member(temporary, record)
        artifacts.save_tensors(temporary / WEIGHTS, weights)
        lalm.tokenizer.save_pretrained(temporary)


def load_lalm(folder: Path, kind: str = KIND) -> Lalm:
    """The model as it was saved, on the CPU, in evaluation mode; every name must match.

    `kind` is what member.json must say: a likelihood member holds a whole model, too.
    """
    settings = _read_settings(folder, kind)
    tokenizer = load_tokenizer(folder)
    llm = build_llm(settings.llm, settings.config.attention, folder / MEMBER_FILE)
    _check_tokenizer(folder, tokenizer, llm.get_input_embeddings().num_embeddings)
    with torch.random.fork_rng(devices=[]):  # new weights are replaced at once
        lalm = Lalm(llm, tokenizer, settings.config, settings.frontend, settings.feature_dim)
    model_folder.load_weights(lalm, artifacts.load_tensors(folder / WEIGHTS), folder)
    return lalm.eval()


def _check_tokenizer(folder: Path, tokenizer: Any, rows: int) -> None:  # noqa: ANN401
    """Raises SoundjudgeError unless the prompt's tokens are there, and no other than was saved."""
    if missing := [token for token in NEW_TOKENS if token not in tokenizer.get_vocab()]:
        raise SoundjudgeError(f"{folder}: its tokenizer lacks {missing[0]}: copy the member again")
    if len(tokenizer) > rows:
        raise SoundjudgeError(
            f"{folder}: its tokenizer has {len(tokenizer)} tokens, its language model {rows}: copy "
            "the member again"
        )


def _read_settings(folder: Path, kind: str) -> LalmSettings:
    for name in (MEMBER_FILE, WEIGHTS, "tokenizer.json"):
        if not (folder / name).is_file():
            raise SoundjudgeError(f"{folder}: no {name}, so no audio language model is there.")
    where = f"{folder / MEMBER_FILE}: settings"
    settings = read_member(folder, kind).settings
    if kind != KIND:  # it has settings of its own beside these
        settings = {name: settings[name] for name in FIELDS if name in settings}
    return params.build(LalmSettings, settings, where)
