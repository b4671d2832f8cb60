"""A sound as a picture: time to the right, 0 to 8 kHz upwards, level as brightness."""

import io

import numpy as np
from matplotlib import image
from numpy.typing import NDArray
from scipy import signal

from soundjudge.data.tables.tables import SAMPLE_RATE

FFT = 512  # samples
COLUMNS = 900  # at most: what a wide screen shows
RANGE_DB = 70.0


def spectrogram_png(wave: NDArray[np.float32]) -> bytes:
    """The levels of a waveform (T,) at 16 kHz, the loudest and 70 dB below it, as a PNG."""
    hop = max(FFT // 8, len(wave) // COLUMNS)
    padded = np.pad(wave, (0, max(0, FFT - len(wave))))
    transform = signal.ShortTimeFFT(
        signal.windows.hann(FFT, sym=False), hop, fs=SAMPLE_RATE, scale_to="magnitude"
    )
    power = transform.spectrogram(padded)  # (frequencies, frames)
    level = 10 * np.log10(np.maximum(power, 1e-14))
    top = max(float(level.max()), -60.0)  # silence is dark
    buffer = io.BytesIO()
    image.imsave(
        buffer,
        level,
        vmin=top - RANGE_DB,
        vmax=top,
        cmap="magma",
        origin="lower",
        format="png",
    )
    return buffer.getvalue()
