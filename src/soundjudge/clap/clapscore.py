"""SPO-CLAPScore: ten times the cosine of sound and text, fitted to what listeners say.

Training sees the score on the listeners' standardized scale, (10 cos - mean) / std, where mean and
std are those of the listeners of the training split; scoring gives 10 cos as it is, unclipped.

B pairs, T samples at 16 kHz, E embedding dimensions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge.clap.encoders import m2d_deltas
from soundjudge.clap.encoders.encoder import PROBES
from soundjudge.clap.encoders.m2d import M2dClap
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

Trainable = Literal["audio", "text", "both", "projections"]
# The parts that each choice trains: a tower always with its projection.
TRAINED: dict[Trainable, tuple[str, ...]] = {
    "audio": ("audio_model", "audio_projection"),
    "text": ("text_model", "text_projection"),
    "both": ("audio_model", "audio_projection", "text_model", "text_projection"),
    "projections": ("audio_projection", "text_projection"),
}
MEMBER = "member.json"
WHOLE, DELTAS = "clapscore", "clapscore-deltas"  # kinds of member: all weights, or what changed


class ClapScore(nn.Module):
    """A CLAP and the scale that its cosine is trained on."""

    def __init__(self, clap: TransformersClap | M2dClap, mean: float, std: float) -> None:
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

    def train(self, mode: bool = True) -> Self:
        """As usual, except that batch-norm statistics stay what the checkpoint says.

        A few thousand rated pairs would pull them away from what the weights were trained with.
        """
        super().train(mode)
        for module in self._batch_norms():
            module.eval()
        return self

    def _batch_norms(self) -> list[nn.Module]:
        kind = nn.modules.batchnorm._BatchNorm
        return [module for module in self.modules() if isinstance(module, kind)]

    def select(self, trainable: Trainable) -> None:
        """Lets gradients reach the chosen parts only.

        `audio` is the audio tower with its projection (as published), `text` likewise, `both` is
        all four, `projections` is the two heads on frozen towers. Batch-norms are never trained.
        ClapError where this CLAP has no such part, or computes it without gradients.
        """
        self.clap.requires_grad_(False)
        parts = self.clap.parts()
        chosen = [weights for part in TRAINED[trainable] for weights in parts[part]]
        if not chosen:
            raise SoundjudgeError(
                f"this CLAP has no {' and no '.join(TRAINED[trainable])}: tune_clap.trainable can't be "
                f"{trainable}."
            )
        for weights in chosen:
            weights.requires_grad_(True)
        # They scale the input of an interpolation that has no deterministic gradient on a GPU.
        for module in self._batch_norms():
            module.requires_grad_(False)
        if "text_model" in TRAINED[trainable] and not self.clap.pool_texts(PROBES).requires_grad:
            raise SoundjudgeError(
                "the text side of this CLAP is computed without gradients: tune_clap.trainable can be "
                "audio or projections."
            )

    def name(self) -> str:
        """What these scores are called wherever they are stored."""
        return f"clapscore/{self.clap.name()}"

    def save(self, folder: Path) -> None:
        """Writes a transformers folder, or of an M2D-CLAP the deltas alone, and member.json."""
        scale = {"name": self.name(), "mean": self.mean, "std": self.std}
        if isinstance(self.clap, M2dClap):
            copy = m2d_deltas.save_deltas(folder, self.clap)
            artifacts.write_json(folder / MEMBER, {"kind": DELTAS, **scale, **copy})
        else:
            self.clap.save(folder)
            artifacts.write_json(folder / MEMBER, {"kind": WHOLE, **scale})


def load_clapscore(folder: Path, device: str | torch.device, copy: Path | None = None) -> ClapScore:
    """The fitted CLAP of a folder that `ClapScore.save` wrote, in eval mode.

    `copy`: where the user's M2D-CLAP lies, for deltas; else where member.json says.
    """
    member = artifacts.read_json(folder / MEMBER)
    kind = member.get("kind")
    if kind not in (WHOLE, DELTAS):
        raise SoundjudgeError(f"{folder / MEMBER}: kind is {kind!r}, not {WHOLE!r} or {DELTAS!r}.")
    clap: TransformersClap | M2dClap
    if kind == DELTAS:
        clap = m2d_deltas.load_deltas(folder, member, copy or Path(member["clap"]), device)
    else:
        clap = TransformersClap.load(folder, device)
    return ClapScore(clap, member["mean"], member["std"]).eval()
