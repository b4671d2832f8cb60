"""A CLAP that several members of a judge use: a batch is embedded once for all of them.

B batch, T samples at 16 kHz, E embedding dimensions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from soundjudge.scoring.members.encodings import Waves

if TYPE_CHECKING:
    from soundjudge.clap.encoders.encoder import ClapEncoder


class SharedClap:
    """A `ClapEncoder` that keeps the embeddings of its last batch of sounds and of texts."""

    def __init__(self, clap: "ClapEncoder") -> None:
        self.clap = clap
        self.sample_rate, self.window_seconds = clap.sample_rate, clap.window_seconds
        self.dimensions = clap.dimensions
        self._sounds: tuple[Waves, Tensor] | None = None
        self._texts: tuple[Sequence[str], Tensor] | None = None

    def name(self) -> str:
        """The CLAP's own."""
        return self.clap.name()

    def embed_sounds(self, waves: Waves) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        # By identity: members of a judge get one object.
        if self._sounds is None or self._sounds[0] is not waves:
            self._sounds = (waves, self.clap.embed_sounds(waves))
        return self._sounds[1]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E)."""
        if self._texts is None or self._texts[0] is not texts:
            self._texts = (texts, self.clap.embed_texts(texts))
        return self._texts[1]

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.clap.cut_texts(texts)
