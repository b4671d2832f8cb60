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

from soundjudge import artifacts
from soundjudge.clap.encoder import ClapEncoder
from soundjudge.clap.opening import AS_IT_IS, Opening, openings
from soundjudge.scoring import own_m2d

if TYPE_CHECKING:
    from torch import Tensor

    from soundjudge.model.beats import Beats
    from soundjudge.model.features import AudioFront
    from soundjudge.model.lalm import Lalm

MEMBER = "member.json"
# kind -> the keys of member.json that name encoders outside of the member's folder, one or several
ENCODERS: dict[str, tuple[str, ...]] = {
    "clapscore": (),
    "clapscore-deltas": ("clap",),
    "regress": ("clap",),
    "lalm": ("beats",),
}
# Seconds by which a window may exceed what a member hears: rounding of a model's own sample rate.
ROUNDING = 0.01


class MemberError(ValueError):
    """A checkpoint that is no member, or not whole."""


class Member(Protocol):
    """What the judge asks of a checkpoint."""

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Raw scores near 0 to 10, not clipped, of sounds (T,) within the window: (B,)."""


class SharedBeats:
    """An encoder that several members use: what one has heard, the next need not hear again."""

    def __init__(self, beats: "Beats") -> None:
        self.beats = beats
        self._heard: tuple[Sequence[NDArray[np.float32]], AudioFront, Tensor] | None = None

    def features(
        self, waves: Sequence[NDArray[np.float32]], front: "AudioFront"
    ) -> "Tensor":  # (B, M, D)
        """Features of a batch; the last batch is remembered."""
        from soundjudge.model.features import encode_waves

        if self._heard is None or self._heard[0] is not waves or self._heard[1] != front:
            self._heard = (waves, front, encode_waves(self.beats, waves, front))
        return self._heard[2]


class LalmMember:
    """An audio language model with its encoder."""

    def __init__(self, lalm: "Lalm", encoder: SharedBeats) -> None:
        self.lalm, self.encoder = lalm, encoder

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Raw scores, the model's -1..1 brought to 0..10: (B,)."""
        with torch.no_grad():
            said = self.lalm.scores(self.encoder.features(waves, self.lalm.front), texts)
        scores: NDArray[np.float64] = (said.cpu().double().numpy() + 1) * 5
        return scores


@dataclass(frozen=True, kw_only=True)
class Loader:
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
    encoders: dict[Path, SharedBeats] = field(default_factory=dict)

    def member(self, folder: Path) -> Member:
        """The checkpoint in `folder`, strictly, in evaluation mode."""
        values = read(folder)
        if values["kind"] in ("clapscore", "clapscore-deltas"):
            from soundjudge.clap import clapscore

            copy = [self._place(name) for name in paths(values, "clap")]  # none, or one
            score = clapscore.load(folder, self.device, *copy)
            self._check_window(folder, score.clap.window_seconds)
            return score
        if values["kind"] == "regress":
            from soundjudge.clap import regressor

            claps = [self._clap(name, how) for name, how in clap_openings(values, self.opening)]
            regress = regressor.load(folder, claps, self.by_name)
            self._check_window(folder, regress.window_seconds)
            return regress
        from soundjudge.model import checkpoint

        lalm = checkpoint.load(folder).to(self.device)
        self._check_window(folder, lalm.front.window_seconds)
        return LalmMember(lalm, self._beats(self.root / paths(values, "beats")[0]))

    def _clap(self, name: str, opening: Opening) -> ClapEncoder:
        from soundjudge.clap import checkpoints

        if own_m2d.is_reference(name):
            opening = Opening(backend="transformers", sha256=own_m2d.sha256(name))
        return checkpoints.encoder(self._place(name), self.device, opening)

    def _place(self, name: str) -> Path:
        """Where a CLAP lies that member.json names."""
        if own_m2d.is_reference(name):
            return own_m2d.located(name, self.m2d)
        return self.root / name

    def _beats(self, path: Path) -> SharedBeats:
        from soundjudge.model.beats import load_beats

        if path not in self.encoders:
            self.encoders[path] = SharedBeats(load_beats(path).to(self.device).eval())
        return self.encoders[path]

    def _check_window(self, folder: Path, seconds: float) -> None:
        if self.window_seconds > seconds + ROUNDING:
            raise MemberError(
                f"{folder} hears {seconds:g} s at most: set predict.window_seconds, "
                f"now {self.window_seconds:g}, to that or less"
            )


def read(folder: Path) -> dict[str, object]:
    """member.json, with a kind that is known."""
    path = folder / MEMBER
    if not path.is_file():
        raise MemberError(f"{folder} holds no {MEMBER}: it is no trained member, train it first")
    values = artifacts.read_json(path)
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in ENCODERS:
        raise MemberError(f"{path}: kind is {kind!r}, known are {', '.join(ENCODERS)}")
    for key in ENCODERS[kind]:
        said = paths(values, key)
        if not said or not all(isinstance(one, str) for one in said):
            raise MemberError(f"{path} does not say where its {key} is")
    return dict(values)


def paths(values: Mapping[str, object], key: str) -> list[str]:
    """Where member.json says that its encoders of one kind are."""
    said = values.get(key)
    return said if isinstance(said, list) else [said] if isinstance(said, str) else []


def clap_openings(values: Mapping[str, object], first: Opening) -> list[tuple[str, Opening]]:
    """The CLAPs of a regressor's member.json with how each is opened, the first as `first` says."""
    named, sums = paths(values, "clap"), values.get("more_sha256")
    if not isinstance(sums, list) or len(sums) != len(named) - 1:
        raise MemberError("a regressor does not say which sha256 its CLAPs have: run regress again")
    return list(zip(named, openings(first, sums), strict=True))


def claps(folders: Iterable[Path]) -> list[Path]:
    """The CLAPs that trained checkpoints name, by their paths from the root."""
    return [Path(name) for folder in folders for name in paths(read(folder), "clap")]


def copy_encoder(kind: str, source: Path, target: Path, opening: Opening) -> None:
    """An official checkpoint as a folder of safetensors: loaded strictly, and saved.

    A file of LAION's becomes a transformers folder: a judge needs no laion-clap.
    """
    if kind == "beats":
        from soundjudge.model.beats import load_beats, save_beats_folder

        save_beats_folder(load_beats(source), target)
    else:
        from soundjudge.clap import checkpoints

        checkpoints.as_transformers(source, "cpu", opening.sha256).save(target)


def device(name: str) -> torch.device:
    """auto is a CUDA device if there is one; anything else is taken at its word."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise MemberError(f"device {name!r} is not there: use auto, cpu, cuda or mps") from error
    return found
