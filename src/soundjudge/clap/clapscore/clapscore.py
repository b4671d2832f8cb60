"""SPO-CLAPScore: ten times the cosine of sound and text, fitted to listeners' ratings.

Training sees the score on the listeners' standardized scale, (10 cos - mean) / std, where mean and
std are those of the listeners of the training split; scoring gives 10 cos as it is, unclipped.

B pairs, T samples at 16 kHz, E embedding dimensions.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge import params
from soundjudge.clap.encoders import checkpoints, deltas
from soundjudge.clap.encoders.encoder import PROBES
from soundjudge.clap.encoders.m2d import M2dClap, load_deltas, save_deltas
from soundjudge.clap.encoders.msclap import MsClap
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.towers import TowersClap
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.member_record import MEMBER_FILE, MemberRecord, read_member, write_member

TunableClap = TransformersClap | M2dClap | MsClap | TowersClap
Trainable = Literal["audio", "text", "both", "projections"]
# A tower is always trained with its projection.
TRAINED_PARTS: dict[Trainable, tuple[str, ...]] = {
    "audio": ("audio_model", "audio_projection"),
    "text": ("text_model", "text_projection"),
    "both": ("audio_model", "audio_projection", "text_model", "text_projection"),
    "projections": ("audio_projection", "text_projection"),
}
WHOLE, DELTAS = "clapscore", "clapscore-deltas"  # kinds of member: all weights, or what changed


@dataclass(frozen=True, kw_only=True)
class ClapScoreSettings:
    """The settings in member.json."""

    name: str
    mean: float  # of the training listeners, 0 to 10
    std: float
    weights: str | None = None  # the digest that base and deltas together must have


class ClapScore(nn.Module):
    """A CLAP and the scale that its cosine is trained on."""

    def __init__(self, clap: TunableClap, mean: float, std: float) -> None:
        super().__init__()
        if not std > 0:
            raise SoundjudgeError(
                f"the standard deviation of the listeners is {std}: it must be above 0."
            )
        self.clap, self.mean, self.std = clap, mean, std

    def forward(self, sounds: Tensor, texts: Tensor) -> Tensor:
        """Scores of unit embeddings (B, E) on the standardized scale: (B,)."""
        return (10 * (sounds * texts).sum(-1) - self.mean) / self.std

    def scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Scores of pairs, 10 cos: -10 to 10, in practice mostly 0 to 10: (B,)."""
        with torch.no_grad():
            cosines = (self.clap.embed_sounds(waves) * self.clap.embed_texts(texts)).sum(-1)
        return 10 * cosines.double().cpu().numpy()

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it: (B,)."""
        return self.clap.cut_texts(texts)

    def train(self, mode: bool = True) -> Self:
        """As usual, except that what is frozen has no dropout, and that batch-norm statistics stay.

        A few thousand rated pairs would pull these away from what the weights were trained with.
        """
        super().train(mode)
        for module in self.clap.modules():
            weights = list(module.parameters())
            if weights and not any(tensor.requires_grad for tensor in weights):
                module.eval()
        for module in self._batch_norms():
            module.eval()
        return self

    def _batch_norms(self) -> list[nn.Module]:
        kind = nn.modules.batchnorm._BatchNorm
        return [module for module in self.modules() if isinstance(module, kind)]

    def set_trainable(self, trainable: Trainable) -> None:
        """Lets gradients reach these parts only.

        `audio` is the audio tower with its projection (as published), `text` likewise, `both` is
        all four, `projections` is the two heads on frozen towers. Batch-norms are never trained.
        Raises SoundjudgeError if this CLAP lacks such a part or computes it without gradients.
        """
        self.clap.requires_grad_(False)
        weights, names = self.clap.parts(), TRAINED_PARTS[trainable]
        trained = [parameter for name in names for parameter in weights[name]]
        if not trained:
            raise SoundjudgeError(
                f"this CLAP has no {' and no '.join(names)}: tune_clap.trainable can't be "
                f"{trainable}."
            )
        for parameter in trained:
            parameter.requires_grad_(True)
        # They scale the input of an interpolation that has no deterministic gradient on a GPU.
        for module in self._batch_norms():
            module.requires_grad_(False)
        if "text_model" in names and not self.clap.pool_texts(PROBES).requires_grad:
            raise SoundjudgeError(
                "the text side of this CLAP is computed without gradients: tune_clap.trainable can "
                "be audio or projections."
            )

    def name(self) -> str:
        """What these scores are called wherever they are stored."""
        return f"clapscore/{self.clap.name()}"

    def save(self, folder: Path) -> None:
        """Writes a transformers folder, or of an M2D-CLAP the deltas alone, and member.json."""
        settings = asdict(ClapScoreSettings(name=self.name(), mean=self.mean, std=self.std))
        if isinstance(self.clap, M2dClap):
            base = save_deltas(folder, self.clap)
            settings["weights"] = deltas.weights_digest(self.clap.weights())
            record = MemberRecord(kind=DELTAS, encoders={"clap": (base,)}, settings=settings)
        else:
            self.clap.save(folder)
            record = MemberRecord(kind=WHOLE, settings=settings)
        write_member(folder, record)


def load_clapscore(folder: Path, device: str | torch.device, m2d: Path | None = None) -> ClapScore:
    """The fitted CLAP of a folder that `ClapScore.save` wrote, in eval mode.

    `m2d`: for deltas, where the user's own M2D-CLAP lies; else where member.json says.
    """
    record, settings = read_clapscore(folder)
    clap: TunableClap
    if record.kind == DELTAS:
        base = record.references("clap")[0]
        own = m2d or base.locate(Path())
        clap = load_deltas(folder, own, base.sha256, settings.weights, device)
    else:
        clap = checkpoints.load_tunable(ClapSource(path=folder), device)
    return ClapScore(clap, settings.mean, settings.std).eval()


def read_clapscore(folder: Path) -> tuple[MemberRecord, ClapScoreSettings]:
    """The record of a fitted CLAP, and the settings in it."""
    record = read_member(folder, WHOLE, DELTAS)
    where = f"{folder / MEMBER_FILE}: settings"
    return record, params.build(ClapScoreSettings, record.settings, where)
