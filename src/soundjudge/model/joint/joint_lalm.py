"""The audio language model asked in both ways: its score, and its captioner's likelihood.

Training to rank makes a language model forget what its captioner knows; so the captioner stays as
it is beside it, and a learned offset joins the two.
Letters: B = pairs, P = training pairs, M = audio tokens, D = encoder width, S = inputs of the
offset.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.joint.offset import LikelihoodOffset
from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.prompt import Sequences
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.likelihood import Likelihood
from soundjudge.runtime import artifacts, model_folder
from soundjudge.runtime.devices import copy_to
from soundjudge.runtime.member_record import MemberRecord, read_member, write_member

KIND, OFFSET = "lalm-likelihood", "offset.safetensors"
LALM, CAPTIONER = "lalm", "captioner"  # folders inside the member's: a lalm and a likelihood
Trainable = Literal["all", "offset"]


class JointLalm(nn.Module):
    """A language model, the offset of its scores, and the captioner, which no training changes."""

    def __init__(self, lalm: Lalm, captioner: Likelihood, folder: Path) -> None:
        """`folder` holds the captioner. SoundjudgeError unless both take the same features."""
        super().__init__()
        if (lalm.frontend, lalm.feature_dim) != (captioner.frontend, captioner.lalm.feature_dim):
            raise SoundjudgeError(
                "the language model and its captioner take different features: train both again"
            )
        self.lalm, self.offset = lalm, LikelihoodOffset()
        self.captioner, self.folder = captioner, folder  # no module: its weights are not trained

    def scores(
        self, features: Tensor, texts: Sequence[str], priors: Tensor | None = None
    ) -> Tensor:
        """How well sounds (B, M, D) match texts, about -1 to 1, not clipped: (B,).

        `priors` are the captioner's `log_priors(texts)`, where they are known.
        """
        evidence = self.captioner.evidence(features, texts, priors)
        scores: Tensor = self.offset(self.lalm.scores(features, texts), evidence)
        return scores

    def sequence_scores(self, sequences: Sequences, features: Tensor, evidence: Tensor) -> Tensor:
        """The scores of `Lalm.sequence_scores` with the offset of `evidence` (B, S - 1): (B,)."""
        own = self.lalm.sequence_scores(sequences, features)
        scores: Tensor = self.offset(own, copy_to(evidence, own.device))
        return scores

    @torch.no_grad()
    def join(self, scores: Tensor, evidence: Tensor) -> NDArray[np.float64]:
        """Scores of the language model (B,) with the offset of `evidence` (B, S - 1): (B,)."""
        joined = self.offset(copy_to(scores, self.device), copy_to(evidence, self.device))
        values: NDArray[np.float64] = joined.cpu().double().numpy()
        return values

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.lalm.device

    @property
    def frontend(self) -> AudioFrontend:
        """What features of sounds must come from."""
        return self.lalm.frontend

    def log_priors(self, texts: Sequence[str]) -> Tensor:
        """The captioner's, of each text: (B,)."""
        return self.captioner.log_priors(texts)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.lalm.cut_texts(texts)


def save(
    folder: Path, model: Lalm | JointLalm, audio_encoder: str, training: Mapping[str, object]
) -> None:
    """`save_lalm`; of a joint one the language model, the offset and a copy of the captioner."""
    if not isinstance(model, JointLalm):
        checkpoint.save_lalm(folder, model, audio_encoder, training)
        return
    with artifacts.atomic_folder(folder) as temporary:
        checkpoint.save_lalm(temporary / LALM, model.lalm, audio_encoder, {})
        (temporary / CAPTIONER).mkdir()
        for path in sorted(model.folder.iterdir()):
            artifacts.link_or_copy(path, temporary / CAPTIONER / path.name)
        artifacts.save_tensors(temporary / OFFSET, model.offset.state_dict())
        encoders = read_member(temporary / LALM, checkpoint.KIND).encoders
        record = MemberRecord(kind=KIND, encoders=encoders, training=dict(training))
        write_member(temporary, record)


def load_joint(folder: Path, device: torch.device) -> JointLalm:
    """What `save` wrote of a joint one, in evaluation mode."""
    read_member(folder, KIND)
    if not (folder / OFFSET).is_file():
        raise SoundjudgeError(f"{folder}: no {OFFSET}: train that member again")
    lalm = checkpoint.load_lalm(folder / LALM)
    captioner = likelihood.load_likelihood(folder / CAPTIONER, device)
    with torch.random.fork_rng(devices=[]):  # new weights are replaced at once
        joint = JointLalm(lalm, captioner, folder / CAPTIONER)
    model_folder.load_weights(joint.offset, artifacts.load_tensors(folder / OFFSET), folder)
    return joint.to(device).eval()
