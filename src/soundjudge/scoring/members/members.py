"""A trained checkpoint as a member of the judge: sounds and texts in, raw scores out.

`member.json` in the checkpoint names its kind, and the networks that it shares with others,
by paths from a root: the repository, or the judge's own folder.

B pairs, T samples at 16 kHz, M audio tokens, D feature width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.source import referenced_clap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.member_record import EncoderReference, MemberRecord, read_member
from soundjudge.scoring.members import m2d_reference

if TYPE_CHECKING:
    from torch import Tensor

    from soundjudge.fusion.fusion import Fusion
    from soundjudge.model.audio.audio_encoder import AudioEncoder
    from soundjudge.model.frontend.frontend import AudioFrontend
    from soundjudge.model.lalm.lalm import Lalm
    from soundjudge.model.likelihood.likelihood import Likelihood

# Seconds by which a window may exceed a member's: rounding of a model's own sample rate.
ROUNDING = 0.01


class Member(Protocol):
    """What the judge asks of a checkpoint."""

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Raw scores near 0 to 10, not clipped, of sounds (T,) within the window: (B,)."""

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it: (B,)."""


class SharedEncoder:
    """An audio encoder that several members use: a batch is encoded once for all of them."""

    def __init__(self, encoder: "AudioEncoder") -> None:
        self.encoder = encoder
        self._cache: tuple[Sequence[NDArray[np.float32]], AudioFrontend, Tensor] | None = None

    def features(
        self, waves: Sequence[NDArray[np.float32]], frontend: "AudioFrontend"
    ) -> "Tensor":  # (B, M, D)
        """Features of a batch; those of the last batch are kept."""
        from soundjudge.model.audio.audio_encoder import encode_waves

        if self._cache is None or self._cache[0] is not waves or self._cache[1] != frontend:
            self._cache = (waves, frontend, encode_waves(self.encoder, waves, frontend))
        return self._cache[2]


class LalmMember:
    """An audio language model, scored at [SCORE] or by likelihood, with its encoder."""

    def __init__(self, lalm: "Lalm | Likelihood", encoder: SharedEncoder) -> None:
        self.lalm, self.encoder = lalm, encoder

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Raw scores, the model's -1..1 brought to 0..10: (B,)."""
        with torch.no_grad():
            predictions = self.lalm.scores(self.encoder.features(waves, self.lalm.frontend), texts)
        scores: NDArray[np.float64] = (predictions.cpu().double().numpy() + 1) * 5
        return scores

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it: (B,)."""
        return self.lalm.cut_texts(texts)


class FusionMember:
    """A regression on CLAPs and a captioner, with the captioner's encoder."""

    def __init__(self, fusion: "Fusion", encoder: SharedEncoder) -> None:
        self.fusion, self.encoder = fusion, encoder

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Raw scores near 0 to 10: (B,)."""
        features = self.encoder.features(waves, self.fusion.captioner.frontend)
        return self.fusion.scores(waves, features, texts)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it: (B,)."""
        return self.fusion.cut_texts(texts)


@dataclass(frozen=True, kw_only=True)
class MemberLoader:
    """Loads members onto one device; each audio encoder is loaded once."""

    root: Path
    device: torch.device
    window_seconds: float
    "of the longest sound that a member will score"
    m2d: Path | None = None
    "the user's own M2D-CLAP, for a judge that stands on one"
    encoders: dict[Path, SharedEncoder] = field(default_factory=dict)

    def member(self, folder: Path) -> Member:
        """The checkpoint in `folder`, strictly, in evaluation mode."""
        record = read_member(folder, *KINDS)
        return KINDS[record.kind](self, folder, record)

    def clap_path(self, reference: EncoderReference) -> Path:
        """Where a CLAP lies that member.json names."""
        if reference.path is None:
            return m2d_reference.locate_copy(reference, self.m2d)
        return self.root / reference.path

    def clap(self, reference: EncoderReference) -> ClapEncoder:
        """The CLAP that member.json names."""
        from soundjudge.clap.encoders import checkpoints

        source = referenced_clap(reference, self.clap_path(reference))
        return checkpoints.load_encoder(source, self.device)

    def audio_encoder(self, reference: EncoderReference) -> SharedEncoder:
        """The encoder of a language model, shared with the other members."""
        from soundjudge.model.audio.audio_encoder import load_audio_encoder

        path = reference.locate(self.root)
        if path not in self.encoders:
            self.encoders[path] = SharedEncoder(load_audio_encoder(path, self.device))
        return self.encoders[path]

    def check_window(self, folder: Path, seconds: float) -> None:
        """Raises SoundjudgeError if the member in `folder` takes less than the window."""
        if self.window_seconds > seconds + ROUNDING:
            raise SoundjudgeError(
                f"{folder} scores {seconds:g} s at most: set predict.window_seconds, "
                f"now {self.window_seconds:g}, to that or less"
            )


def _load_clapscore(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.clap import clapscore

    own = [loader.clap_path(reference) for reference in record.encoders.get("clap", ())]
    score = clapscore.load_clapscore(folder, loader.device, *own[:1])
    loader.check_window(folder, score.clap.window_seconds)
    return score


def _load_regressor(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.clap.regression import regressor

    claps = [loader.clap(reference) for reference in record.references("clap")]
    regress = regressor.load_regressor(folder, claps)
    loader.check_window(folder, regress.window_seconds)
    return regress


def _load_lalm(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.model.lalm import checkpoint

    lalm = checkpoint.load_lalm(folder).to(loader.device)
    loader.check_window(folder, lalm.frontend.window_seconds)
    return LalmMember(lalm, loader.audio_encoder(record.references("audio")[0]))


def _load_likelihood(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.model.likelihood import likelihood

    model = likelihood.load_likelihood(folder, loader.device)
    loader.check_window(folder, model.frontend.window_seconds)
    return LalmMember(model, loader.audio_encoder(record.references("audio")[0]))


def _load_fusion(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.fusion import fusion

    claps = [loader.clap(reference) for reference in record.references("clap")]
    model = fusion.load_fusion(folder, claps, loader.device)
    loader.check_window(folder, model.window_seconds)
    return FusionMember(model, loader.audio_encoder(record.references("audio")[0]))


# How each kind of member is loaded.
KINDS: dict[str, Callable[[MemberLoader, Path, MemberRecord], Member]] = {
    "clapscore": _load_clapscore,
    "clapscore-deltas": _load_clapscore,
    "regress": _load_regressor,
    "lalm": _load_lalm,
    "likelihood": _load_likelihood,
    "fusion": _load_fusion,
}
