"""What stages before `predict` have encoded: members read it instead of hearing a clip again.

B sounds, T samples at 16 kHz, M audio tokens, D feature width.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.encodings.stored_encodings import StoredEncodings, clip_finder
from soundjudge.scoring.members.encodings import SharedEncoder, Waves

if TYPE_CHECKING:
    from soundjudge.clap.encoders.encoder import ClapEncoder
    from soundjudge.model.audio.audio_encoder import AudioEncoder
    from soundjudge.model.frontend.frontend import AudioFrontend


@dataclass(frozen=True)
class PipelineEncodings:
    """Where they are, and by which audio encoder and front end the features."""

    clips: ClipStore
    clap_features: Path
    features: Path
    audio: Path
    frontend: "AudioFrontend"

    def clap(self, clap: "ClapEncoder", device: torch.device) -> "ClapEncoder":
        """The CLAP, which reads its own features."""
        from soundjudge.clap.features.stored_clap import StoredClap

        return StoredClap(clap, device, self.clips, self.clap_features)

    def audio_encoder(self, encoder: "AudioEncoder", device: torch.device) -> SharedEncoder:
        """The encoder, which is that of the features."""
        return StoredFeatures(encoder, self, device)


class StoredFeatures(SharedEncoder):
    """An audio encoder that reads the features of clips, where they have a judge's precision."""

    def __init__(
        self, encoder: "AudioEncoder", stored: PipelineEncodings, device: torch.device
    ) -> None:
        super().__init__(encoder)
        self.frontend, self.device = stored.frontend, device
        self.stored = StoredEncodings(stored.features, clip_finder(stored.clips))
        rows = self.stored.rows
        self.is_exact = rows is not None and rows.dtype == np.float32

    def features(self, waves: Waves, frontend: "AudioFrontend") -> Tensor:  # (B, M, D)
        """Features of a batch."""
        if not self.is_exact or frontend != self.frontend:
            return super().features(waves, frontend)
        return self.stored.encode(
            waves,
            lambda others: super(StoredFeatures, self).features(others, frontend),
            self.device,
        )
