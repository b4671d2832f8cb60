"""A trained checkpoint as a member of the judge: sounds and texts in, raw scores out.

`member.json` in the checkpoint names its kind, and the networks that it shares with others,
by paths from a root: the repository, or the judge's own folder.

B pairs, T samples at 16 kHz, M audio tokens, D feature width.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.source import AS_IT_IS, Opening, openings
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.members import own_m2d

if TYPE_CHECKING:
    from torch import Tensor

    from soundjudge.model.audio.audio_encoder import AudioEncoder
    from soundjudge.model.frontend.frontend import AudioFrontend
    from soundjudge.model.lalm.lalm import Lalm

MEMBER = "member.json"
# kind -> the keys of member.json that name encoders outside of the member's folder, one or several
ENCODERS: dict[str, tuple[str, ...]] = {
    "clapscore": (),
    "clapscore-deltas": ("clap",),
    "regress": ("clap",),
    "lalm": ("audio",),
}
# Seconds by which a window may exceed what a member hears: rounding of a model's own sample rate.
ROUNDING = 0.01


class Member(Protocol):
    """What the judge asks of a checkpoint."""

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Raw scores near 0 to 10, not clipped, of sounds (T,) within the window: (B,)."""


class SharedEncoder:
    """An encoder that several members use: what one has heard, the next need not hear again."""

    def __init__(self, encoder: "AudioEncoder") -> None:
        self.encoder = encoder
        self._heard: tuple[Sequence[NDArray[np.float32]], AudioFrontend, Tensor] | None = None

    def features(
        self, waves: Sequence[NDArray[np.float32]], frontend: "AudioFrontend"
    ) -> "Tensor":  # (B, M, D)
        """Features of a batch; the last batch is remembered."""
        from soundjudge.model.audio.audio_encoder import encode_waves

        if self._heard is None or self._heard[0] is not waves or self._heard[1] != frontend:
            self._heard = (waves, frontend, encode_waves(self.encoder, waves, frontend))
        return self._heard[2]


class LalmMember:
    """An audio language model with its encoder."""

    def __init__(self, lalm: "Lalm", encoder: SharedEncoder) -> None:
        self.lalm, self.encoder = lalm, encoder

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Raw scores, the model's -1..1 brought to 0..10: (B,)."""
        with torch.no_grad():
            said = self.lalm.scores(self.encoder.features(waves, self.lalm.frontend), texts)
        scores: NDArray[np.float64] = (said.cpu().double().numpy() + 1) * 5
        return scores


@dataclass(frozen=True, kw_only=True)
class MemberLoader:
    """Loads members onto one device; each encoder file is loaded once."""

    root: Path
    device: torch.device
    window_seconds: float
    "the longest sound that a member will be given"
    opening: Opening = AS_IT_IS
    "of the CLAP that a member names, of the first where it names several"
    m2d: Path | None = None
    "the user's own M2D-CLAP, for a judge that stands on one"
    by_name: bool = True
    "CLAPs must have the names that members were fitted on"
    encoders: dict[Path, SharedEncoder] = field(default_factory=dict)

    def member(self, folder: Path) -> Member:
        """The checkpoint in `folder`, strictly, in evaluation mode."""
        values = read_member(folder)
        if values["kind"] in ("clapscore", "clapscore-deltas"):
            from soundjudge.clap import clapscore

            copy = [self._place(name) for name in encoder_paths(values, "clap")]  # none, or one
            score = clapscore.load_clapscore(folder, self.device, *copy)
            self._check_window(folder, score.clap.window_seconds)
            return score
        if values["kind"] == "regress":
            from soundjudge.clap.regression import regressor

            claps = [self._clap(name, how) for name, how in clap_openings(values, self.opening)]
            regress = regressor.load_regressor(folder, claps, self.by_name)
            self._check_window(folder, regress.window_seconds)
            return regress
        from soundjudge.model.lalm import checkpoint

        lalm = checkpoint.load_lalm(folder).to(self.device)
        self._check_window(folder, lalm.frontend.window_seconds)
        return LalmMember(lalm, self._audio_encoder(self.root / encoder_paths(values, "audio")[0]))

    def _clap(self, name: str, opening: Opening) -> ClapEncoder:
        from soundjudge.clap.encoders import checkpoints

        if own_m2d.is_reference(name):
            opening = Opening(backend="transformers", sha256=own_m2d.reference_sha256(name))
        return checkpoints.load_encoder(self._place(name), self.device, opening)

    def _place(self, name: str) -> Path:
        """Where a CLAP lies that member.json names."""
        if own_m2d.is_reference(name):
            return own_m2d.locate_copy(name, self.m2d)
        return self.root / name

    def _audio_encoder(self, path: Path) -> SharedEncoder:
        from soundjudge.model.audio.audio_encoder import load_audio_encoder

        if path not in self.encoders:
            self.encoders[path] = SharedEncoder(load_audio_encoder(path, self.device))
        return self.encoders[path]

    def _check_window(self, folder: Path, seconds: float) -> None:
        if self.window_seconds > seconds + ROUNDING:
            raise SoundjudgeError(
                f"{folder} hears {seconds:g} s at most: set predict.window_seconds, "
                f"now {self.window_seconds:g}, to that or less"
            )


def read_member(folder: Path) -> dict[str, object]:
    """member.json, with a kind that is known."""
    path = folder / MEMBER
    if not path.is_file():
        raise SoundjudgeError(
            f"{folder} holds no {MEMBER}: it is no trained member, train it first"
        )
    values = artifacts.read_json(path)
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in ENCODERS:
        raise SoundjudgeError(f"{path}: kind is {kind!r}, known are {', '.join(ENCODERS)}")
    for key in ENCODERS[kind]:
        said = encoder_paths(values, key)
        if not said or not all(isinstance(one, str) for one in said):
            raise SoundjudgeError(f"{path} does not say where its {key} is")
    return dict(values)


def encoder_paths(values: Mapping[str, object], key: str) -> list[str]:
    """Where member.json says that its encoders of one kind are."""
    said = values.get(key)
    return said if isinstance(said, list) else [said] if isinstance(said, str) else []


def clap_openings(values: Mapping[str, object], first: Opening) -> list[tuple[str, Opening]]:
    """The CLAPs of a regressor's member.json with how each is opened, the first as `first` says."""
    named, sums = encoder_paths(values, "clap"), values.get("more_sha256")
    if not isinstance(sums, list) or len(sums) != len(named) - 1:
        raise SoundjudgeError(
            "a regressor does not say which sha256 its CLAPs have: run regress again"
        )
    return list(zip(named, openings(first, sums), strict=True))


def clap_paths(folders: Iterable[Path]) -> list[Path]:
    """The CLAPs that trained checkpoints name, by their paths from the root."""
    return [Path(name) for folder in folders for name in encoder_paths(read_member(folder), "clap")]


def copy_encoder(kind: str, source: Path, target: Path, opening: Opening) -> None:
    """An official checkpoint as a folder of safetensors: loaded strictly, and saved.

    A file of LAION's becomes a transformers folder: a judge needs no laion-clap.
    """
    if kind == "audio":
        from soundjudge.model.audio.audio_encoder import kind_of

        kind_of(source).copy(source, target)
    else:
        from soundjudge.clap.encoders import checkpoints

        checkpoints.load_as_transformers(source, "cpu", opening.sha256).save(target)
