"""One sound as a caller passed it, and its waveform.

T samples, C channels.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundInput:
    """A path, the bytes of a file, or samples with their sample rate in Hz."""

    where: str  # of errors, such as "sounds[3]"
    path: Path | None = None
    content: bytes | None = None
    samples: Any = None  # array or tensor, (T,), (T, C) or (C, T)
    sample_rate: float = 0.0

    @property
    def key(self) -> Hashable:
        """Equal where two are certainly the same sound."""
        if self.path is not None:
            return self.path
        return id(self.samples if self.content is None else self.content), self.sample_rate

    def read(self) -> audio.Sound:
        """The waveform at 16 kHz, with flags. Raises AudioError."""
        if self.path is not None:
            return audio.read_sound(self.path)
        try:
            if self.content is not None:
                return _decode(self.content)
            return audio.sound_from_samples(self._columns(), self.sample_rate)
        except AudioError as error:
            raise AudioError(self.where, error.reason, error.detail) from error

    def _columns(self) -> Any:  # noqa: ANN401
        """The samples as (T,) or (T, C)."""
        shape = tuple(getattr(self.samples, "shape", ()))
        if len(shape) != 2 or shape[1] <= shape[0] or shape[0] > audio.MOST_CHANNELS:
            return self.samples  # as it stands: the reader refuses what is no sound
        if shape[1] <= audio.MOST_CHANNELS:
            raise AudioError(
                self.where, "of a doubtful shape", f"{shape} may be (T, C) or (C, T): give (T,)"
            )
        return self.samples.T


def _decode(content: bytes) -> audio.Sound:
    with TemporaryDirectory() as folder:  # the reader maps files
        path = Path(folder) / "sound"
        path.write_bytes(content)
        return audio.read_sound(path)
