"""The level of a sound: whether it is silence, and one root mean square for all others.

T = samples at 16 kHz. dBFS: 20 log10 of an amplitude, where 1 is full scale.
"""

import numpy as np
from numpy.typing import NDArray


def amplitude(dbfs: float) -> float:
    """The amplitude of a level in dBFS: 1 at 0, 0.001 at -60."""
    return float(10.0 ** (dbfs / 20.0))


def is_silent(wave: NDArray[np.float32], silence_dbfs: float) -> bool:
    """Whether the peak of a sound (T,) lies below `silence_dbfs`."""
    return bool(max(wave.max(), -wave.min()) < amplitude(silence_dbfs))


def normalize_level(
    wave: NDArray[np.float32], level_dbfs: float, silence_dbfs: float
) -> NDArray[np.float32]:
    """The sound (T,) with a root mean square of `level_dbfs`, or less where its peak would pass 1.

    Silence, by `silence_dbfs`, stays as it is.
    """
    if is_silent(wave, silence_dbfs):
        return wave
    peak = float(max(wave.max(), -wave.min()))
    mean_square = float(np.mean(np.square(wave, dtype=np.float64)))
    gain = min(amplitude(level_dbfs) / np.sqrt(mean_square), 1.0 / peak)
    scaled: NDArray[np.float32] = wave * np.float32(gain)
    return scaled
