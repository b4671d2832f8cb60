"""SPO-CLAPScore: ten times the cosine of sound and text, fitted to what listeners say.

Training sees the score on the listeners' standardized scale, (10 cos - mean) / std, where mean and
std are those of the listeners of the training split; scoring gives 10 cos as it is, unclipped.

B pairs, T samples at 16 kHz, E embedding dimensions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge import artifacts
from soundjudge.clap.encoder import ClapError
from soundjudge.clap.transformers_clap import TransformersClap

Trainable = Literal["audio", "text", "both", "projections"]
MEMBER = "member.json"


class ClapScore(nn.Module):
    """A CLAP and the scale that its cosine is trained on."""

    def __init__(self, clap: TransformersClap, mean: float, std: float) -> None:
        super().__init__()
        if not std > 0:
            raise ClapError(
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
        """
        assert trainable in get_args(Trainable), f"{trainable!r} is no choice of trainable parts"
        model = self.clap.model.requires_grad_(False)
        if trainable in ("audio", "both", "projections"):
            model.audio_projection.requires_grad_(True)
        if trainable in ("text", "both", "projections"):
            model.text_projection.requires_grad_(True)
        if trainable in ("audio", "both"):
            model.audio_model.requires_grad_(True)
        if trainable in ("text", "both"):
            model.text_model.requires_grad_(True)
        # They scale the input of an interpolation that has no deterministic gradient on a GPU.
        for module in self._batch_norms():
            module.requires_grad_(False)

    def name(self) -> str:
        """What these scores are called wherever they are stored."""
        return f"clapscore/{self.clap.name()}"

    def save(self, folder: Path) -> None:
        """Writes a transformers folder and member.json."""
        self.clap.save(folder)
        scale = {"mean": self.mean, "std": self.std}
        artifacts.write_json(folder / MEMBER, {"kind": "clapscore", "name": self.name(), **scale})


def load(folder: Path, device: str | torch.device) -> ClapScore:
    """The fitted CLAP of a folder that `ClapScore.save` wrote, in eval mode."""
    member = artifacts.read_json(folder / MEMBER)
    if member.get("kind") != "clapscore":
        raise ClapError(f"{folder / MEMBER}: kind is {member.get('kind')!r}, not 'clapscore'.")
    clap = TransformersClap.load(folder, device)
    return ClapScore(clap, member["mean"], member["std"]).eval()
