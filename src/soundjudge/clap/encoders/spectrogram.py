"""The log-mel front end of a transformers CLAP, computed where the model is and free of chance.

The published extractor cuts long sounds at random and runs in numpy; here the window is always the
first `max_length_s` seconds. On sounds that fit the window this equals `ClapFeatureExtractor`, but
for one thing: what was resampled is rounded to 16 bits, as everything was that LAION trained its
CLAPs with (and as its package still does). Empty bands then hold that rounding's noise.

B batch, T samples at 16 kHz, S samples of the window at the model's rate, F frames, M mel bands.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import ClapFeatureExtractor

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError

INT16 = 32_767  # steps of a 16 bit sample on each side of 0, as LAION counts them
MEL_FLOOR = 1e-10  # power, the extractor's
# More is nonsense, and fills the memory.
MAX_MEL_BANDS, MAX_SECONDS, MAX_SAMPLE_RATE = 1024, 3600.0, 768_000


@dataclass(frozen=True, kw_only=True)
class FeatureExtractor:
    """The numbers of a `ClapFeatureExtractor`, under its own names."""

    feature_size: int  # mel bands
    sampling_rate: int  # Hz
    hop_length: int  # samples
    max_length_s: float  # seconds, the fixed window
    fft_window_size: int  # samples
    frequency_min: float  # Hz
    frequency_max: float  # Hz
    truncation: str  # "rand_trunc" (slaney mel bands) or "fusion" (htk mel bands); both cut alike
    padding: str  # "repeatpad", "repeat" or "pad": how a short sound fills the window

    def __post_init__(self) -> None:
        for name in ("feature_size", "sampling_rate", "hop_length", "fft_window_size"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise SoundjudgeError(f"{name} is {getattr(self, name)!r}: it counts something.")
        if not 0 < self.max_length_s <= MAX_SECONDS or self.sampling_rate > MAX_SAMPLE_RATE:
            raise SoundjudgeError(
                f"a window of {self.max_length_s} s at {self.sampling_rate} Hz: at most "
                f"{MAX_SECONDS} s at {MAX_SAMPLE_RATE} Hz make sense."
            )
        for name, most in (
            ("feature_size", MAX_MEL_BANDS),
            ("hop_length", self.samples),
            ("fft_window_size", self.samples),
        ):
            if getattr(self, name) > most:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}: it is {most} at most.")
        if self.truncation not in ("rand_trunc", "fusion"):
            raise SoundjudgeError(
                f"truncation: {self.truncation!r} is neither 'rand_trunc' nor 'fusion'."
            )
        if self.padding not in ("repeatpad", "repeat", "pad"):
            raise SoundjudgeError(
                f"padding: {self.padding!r} is none of 'repeatpad', 'repeat', 'pad'."
            )

    @property
    def samples(self) -> int:
        """Samples of the window at the model's rate: S."""
        return round(self.max_length_s * self.sampling_rate)

    @property
    def resamples(self) -> bool:
        """Whether sounds come at another rate than the model's."""
        return self.sampling_rate != SAMPLE_RATE

    @property
    def protocol(self) -> str:
        """What is done to a sound, in short."""
        bits = "-int16" if self.resamples else ""
        window = f"{self.sampling_rate / 1000:g}k-first{self.max_length_s:g}s"
        return f"{window}{bits}-{self.padding}"

    @property
    def frames(self) -> int:
        """Frames of the window's spectrogram: F."""
        return self.samples // self.hop_length + 1


class LogMel(nn.Module):
    """Sounds as spectrograms of one fixed size: B x (T,) -> (B, 1, F, M), in dB."""

    mel_filters: Tensor  # (fft bins, M)

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor = extractor
        banks = ClapFeatureExtractor(**asdict(extractor))
        bank = banks.mel_filters if extractor.truncation == "fusion" else banks.mel_filters_slaney
        filters = torch.tensor(bank, dtype=torch.float32)
        self.register_buffer("mel_filters", filters, persistent=False)

    def forward(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """The spectrograms, float32: (B, 1, F, M)."""
        size, hop = self.extractor.fft_window_size, self.extractor.hop_length
        return log_mels(self.windows(waves), self.mel_filters, size, hop).unsqueeze(1)

    def windows(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """The first window of each sound at the model's rate, padded by the rule: (B, S)."""
        numbers = self.extractor
        device = self.mel_filters.device
        sounds = resample_waves(waves, numbers.max_length_s, numbers.sampling_rate, device)
        if numbers.resamples:
            sounds = [(sound.clamp(-1, 1) * INT16).trunc() / INT16 for sound in sounds]
        return torch.stack([self._fill(sound) for sound in sounds])

    def _fill(self, sound: Tensor) -> Tensor:
        size = self.extractor.samples
        if self.extractor.padding == "repeatpad":
            sound = sound.repeat(size // len(sound))
        elif self.extractor.padding == "repeat":
            sound = sound.repeat(size // len(sound) + 1)[:size]
        return nn.functional.pad(sound, (0, size - len(sound)))  # (S,)


def log_mels(sounds: Tensor, mel_filters: Tensor, size: int, hop: int) -> Tensor:
    """Sounds (B, S) as log-mel spectrograms in dB, float32: (B, F, M)."""
    spectrum = torch.stft(
        sounds,
        size,
        hop,
        window=torch.hann_window(size, dtype=sounds.dtype, device=sounds.device),
        return_complex=True,
    )  # (B, bins, F), frames centered, edges reflected
    power = spectrum.abs().square().transpose(1, 2)  # (B, F, bins)
    mels = power @ mel_filters.to(power.dtype)  # (B, F, M)
    return (10 * torch.log10(mels.clamp(min=MEL_FLOOR))).float()


def resample_waves(
    waves: Sequence[NDArray[np.float32]], seconds: float, sample_rate: int, device: torch.device
) -> list[Tensor]:
    """The first seconds of each sound at another rate: B x (T,) -> B x (<=S,)."""
    # Near-silent bands would drown in float32 rounding; Apple's GPUs have no float64.
    dtype = torch.float32 if device.type == "mps" else torch.float64
    longest = round(seconds * SAMPLE_RATE)
    rows = [torch.tensor(wave[:longest], dtype=dtype) for wave in waves]
    assert all(len(row) for row in rows), "a sound without samples is refused when it is read"
    sounds = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)  # (B, <=T)
    # Zeros behind a sound are what the resampling filter sees there anyway.
    sounds = torchaudio.functional.resample(sounds, SAMPLE_RATE, sample_rate)
    most = round(seconds * sample_rate)
    lengths = [min(most, math.ceil(len(row) * sample_rate / SAMPLE_RATE)) for row in rows]
    return [sound[:length] for sound, length in zip(sounds, lengths, strict=True)]


def scale_to_peak(sound: Tensor) -> Tensor:
    """The sound with its largest sample at 1 or -1; silence stays silence: (S,) -> (S,)."""
    peak = sound.abs().max()
    return sound / torch.where(peak > 0, peak, 1.0)
