"""Loads a trained checkpoint as a member of the judge.

`member.json` in the checkpoint names its kind, and the networks that it shares with others,
by paths from a root: the repository, or the judge's own folder.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.source import ClapSource, referenced_clap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.member_record import EncoderReference, MemberRecord, read_member
from soundjudge.scoring.members import m2d_reference
from soundjudge.scoring.members.encodings import (
    CosineMember,
    FusionMember,
    LalmMember,
    LikelihoodMember,
    Member,
    RegressorMember,
    SharedEncoder,
    ZeroshotMember,
)
from soundjudge.scoring.members.pipeline_encodings import PipelineEncodings
from soundjudge.scoring.members.shared_clap import SharedClap

if TYPE_CHECKING:
    from soundjudge.model.likelihood.likelihood import Likelihood
    from soundjudge.scoring.members.shared_captioner import SharedCaptioner

# Seconds by which a window may exceed a member's: rounding of a model's own sample rate.
ROUNDING = 0.01


@dataclass(frozen=True, kw_only=True)
class MemberLoader:
    """Loads members onto one device; each encoder is loaded once."""

    root: Path
    device: torch.device
    window_seconds: float
    "of the longest sound that a member will score"
    m2d: Path | None = None
    "the user's own M2D-CLAP, for a judge that stands on one"
    encoders: dict[Path, SharedEncoder] = field(default_factory=dict)
    claps: dict[ClapSource, ClapEncoder] = field(default_factory=dict)
    captioners: list["SharedCaptioner"] = field(default_factory=list)
    stored: PipelineEncodings | None = None
    "what the pipeline has encoded before, which members then read"

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
        if source not in self.claps:
            clap = checkpoints.load_encoder(source, self.device)
            stored = self.stored
            self.claps[source] = stored.clap(clap, self.device) if stored else SharedClap(clap)
        return self.claps[source]

    def audio_encoder(self, reference: EncoderReference) -> SharedEncoder:
        """The encoder of a language model, shared with the other members."""
        from soundjudge.model.audio.audio_encoder import load_audio_encoder

        path = reference.locate(self.root)
        if path not in self.encoders:
            encoder = load_audio_encoder(path, self.device)
            shared = SharedEncoder(encoder)
            if self.stored is not None and path == self.stored.audio:
                shared = self.stored.audio_encoder(encoder, self.device)
            self.encoders[path] = shared
        return self.encoders[path]

    def captioner(self, likelihood: "Likelihood") -> "SharedCaptioner":
        """The captioner, or one that is like it in a member before."""
        from soundjudge.scoring.members.shared_captioner import SharedCaptioner

        for shared in self.captioners:
            if shared.is_like(likelihood):
                return shared
        self.captioners.append(SharedCaptioner(likelihood))
        return self.captioners[-1]

    def check_window(self, folder: Path, seconds: float) -> None:
        """Raises SoundjudgeError if the member in `folder` takes less than the window."""
        if self.window_seconds > seconds + ROUNDING:
            raise SoundjudgeError(
                f"{folder} scores {seconds:g} s at most: set predict.window_seconds, "
                f"now {self.window_seconds:g}, to that or less"
            )


def _load_clapscore(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.clap.clapscore import clapscore

    own = [loader.clap_path(reference) for reference in record.encoders.get("clap", ())]
    score = clapscore.load_clapscore(folder, loader.device, *own[:1])
    loader.check_window(folder, score.clap.window_seconds)
    return CosineMember(score.clap)


def _load_zeroshot(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    clap = loader.clap(record.references("clap")[0])
    loader.check_window(folder, clap.window_seconds)
    return ZeroshotMember(clap if isinstance(clap, SharedClap) else SharedClap(clap))


def _load_regressor(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.clap.regression import regressor

    claps = [loader.clap(reference) for reference in record.references("clap")]
    regress = regressor.load_regressor(folder, claps)
    loader.check_window(folder, regress.window_seconds)
    return RegressorMember(regress)


def _load_lalm(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.model.lalm import checkpoint

    lalm = checkpoint.load_lalm(folder).to(loader.device)
    loader.check_window(folder, lalm.frontend.window_seconds)
    return LalmMember(lalm, loader.audio_encoder(record.references("audio")[0]))


def _load_likelihood(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.model.likelihood import likelihood

    model = likelihood.load_likelihood(folder, loader.device)
    loader.check_window(folder, model.frontend.window_seconds)
    shared = loader.captioner(model)
    return LikelihoodMember(shared, loader.audio_encoder(record.references("audio")[0]))


def _load_joint(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.model.joint import joint_lalm

    model = joint_lalm.load_joint(folder, loader.device)
    loader.check_window(folder, model.frontend.window_seconds)
    model.captioner = loader.captioner(model.captioner)
    return LikelihoodMember(model, loader.audio_encoder(record.references("audio")[0]))


def _load_fusion(loader: MemberLoader, folder: Path, record: MemberRecord) -> Member:
    from soundjudge.fusion import fusion

    claps = [loader.clap(reference) for reference in record.references("clap")]
    model = fusion.load_fusion(folder, claps, loader.device)
    loader.check_window(folder, model.window_seconds)
    model.captioner = loader.captioner(model.captioner)
    return FusionMember(model, loader.audio_encoder(record.references("audio")[0]))


# How each kind of member is loaded.
KINDS: dict[str, Callable[[MemberLoader, Path, MemberRecord], Member]] = {
    "clapscore": _load_clapscore,
    "clapscore-deltas": _load_clapscore,
    "zeroshot": _load_zeroshot,
    "regress": _load_regressor,
    "lalm": _load_lalm,
    "likelihood": _load_likelihood,
    "lalm-likelihood": _load_joint,
    "fusion": _load_fusion,
}
