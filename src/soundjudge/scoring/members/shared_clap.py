"""A CLAP that several members of a judge use: a batch is embedded once for all of them.

B batch, T samples at 16 kHz, E embedding dimensions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

from soundjudge.scoring.members.encodings import Waves

if TYPE_CHECKING:
    from soundjudge.clap.encoders.encoder import ClapEncoder


@runtime_checkable
class Matcher(Protocol):
    """A CLAP whose sounds and texts are compared by more than its embeddings."""

    def encode_sounds(self, waves: Waves) -> Tensor:
        """What projections and comparisons start from."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """What projections and comparisons start from."""

    def project_sounds(self, encoded: Tensor) -> Tensor:
        """Unit embeddings: (B, E)."""

    def project_texts(self, encoded: Tensor) -> Tensor:
        """Unit embeddings: (B, E)."""

    def match_sounds(self, encoded: Tensor) -> Tensor:
        """Unit vectors to be compared."""

    def match_texts(self, encoded: Tensor) -> Tensor:
        """Unit vectors to be compared."""


class SharedClap:
    """A `ClapEncoder` that keeps what it made of its last batch of sounds and of texts."""

    def __init__(self, clap: "ClapEncoder") -> None:
        self.clap = clap
        self.sample_rate, self.window_seconds = clap.sample_rate, clap.window_seconds
        self.dimensions = clap.dimensions
        self._sounds: tuple[Waves, Tensor, Tensor] | None = None
        self._texts: tuple[Sequence[str], Tensor, Tensor] | None = None

    def name(self) -> str:
        """The CLAP's own."""
        return self.clap.name()

    def embed_sounds(self, waves: Waves) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        return self._of_sounds(waves)[1]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E)."""
        return self._of_texts(texts)[1]

    def match_sounds(self, waves: Waves) -> Tensor:
        """Unit vectors whose cosine with those of texts is what the CLAP says: (B, E or more)."""
        return self._of_sounds(waves)[2]

    def match_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors whose cosine with those of sounds is what the CLAP says: (B, E or more)."""
        return self._of_texts(texts)[2]

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.clap.cut_texts(texts)

    def _of_sounds(self, waves: Waves) -> tuple[Waves, Tensor, Tensor]:
        # By identity: members of a judge get one object.
        if self._sounds is None or self._sounds[0] is not waves:
            if isinstance(self.clap, Matcher):
                rows = self.clap.encode_sounds(waves)
                embedded, matched = self.clap.project_sounds(rows), self.clap.match_sounds(rows)
            else:
                embedded = matched = self.clap.embed_sounds(waves)
            self._sounds = (waves, embedded, matched)
        return self._sounds

    def _of_texts(self, texts: Sequence[str]) -> tuple[Sequence[str], Tensor, Tensor]:
        if self._texts is None or self._texts[0] is not texts:
            if isinstance(self.clap, Matcher):
                rows = self.clap.encode_texts(texts)
                embedded, matched = self.clap.project_texts(rows), self.clap.match_texts(rows)
            else:
                embedded = matched = self.clap.embed_texts(texts)
            self._texts = (texts, embedded, matched)
        return self._texts
