"""The audio tower aisfx: a convolutional network that has learned to index sound-effect libraries.

A. B. Ma and A. Lerch, "Representation Learning for the Automatic Indexing of Sound Effects
Libraries", ISMIR 2022: model X-Sequential-CE. The front end computes what the package aisfx 0.1.2
computes without essentia (`spectrogram_librosa.py`, `preprocessing.py`), the network what its
`cnn2d.py` computes. One thing differs: the frames after the last whole block are encoded too.

B batch, T samples at 16 kHz, S samples at 44.1 kHz, F frames, M mel bands, N blocks of L frames,
C channels, H features.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge.clap.encoders import weight_files
from soundjudge.clap.encoders.spectrogram import resample_waves, scale_to_peak
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import model_folder

AISFX_SAMPLE_RATE = 44_100  # Hz
FFT_SIZE, HOP_LENGTH = 2048, 1024  # samples
MEL_BANDS = 96  # M
BLOCK_FRAMES, BLOCK_HOP = 100, 50  # L = 2.3 s, every 1.2 s
LARGEST_LOG_MEL = 9.457798957824707  # of all training sounds: what the authors divide by
ABSENT = -1.0  # fills the blocks that a short sound does not have; a log mel is never below 0
CHANNELS = (64, 128, 256, 512)
# Of its nine classifiers the first three, prosfx, soundlyTrain and ucsMixed: their classes are
# categories of the Universal Category System, in alphabetical order.
CLASSES = (78, 79, 69)
SLICE = 16  # blocks that the network reads at once: 40 MB per activation


class BlockedLogMel(nn.Module):
    """Sounds as overlapping blocks of their log-mel spectrogram: B x (T,) -> (B, N, L, M)."""

    mel_filters: Tensor  # (fft bins, M), each summing to 1

    def __init__(self, window_seconds: float) -> None:
        super().__init__()
        self.window_seconds = window_seconds
        frames = round(window_seconds * AISFX_SAMPLE_RATE) // HOP_LENGTH + 1
        self.shape = count_blocks(frames), BLOCK_FRAMES, MEL_BANDS  # N, L, M
        filters = torchaudio.functional.melscale_fbanks(
            FFT_SIZE // 2 + 1, 0.0, AISFX_SAMPLE_RATE / 2, MEL_BANDS, AISFX_SAMPLE_RATE
        )
        self.register_buffer("mel_filters", filters / filters.sum(0), persistent=False)

    def forward(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Blocks of each sound's first window, float32, 0 to about 1, or ABSENT: (B, N, L, M)."""
        device = self.mel_filters.device
        sounds = resample_waves(waves, self.window_seconds, AISFX_SAMPLE_RATE, device)
        return torch.stack([self._cut(self.log_mel(sound)) for sound in sounds])

    def log_mel(self, sound: Tensor) -> Tensor:
        """The spectrogram of a sound at 44.1 kHz whose peak is brought to 1: (S,) -> (F, M)."""
        spectrum = torch.stft(
            scale_to_peak(sound),
            FFT_SIZE,
            HOP_LENGTH,
            window=torch.hann_window(FFT_SIZE, dtype=sound.dtype, device=sound.device),
            pad_mode="constant",
            return_complex=True,
        )  # (fft bins, F)
        power = spectrum.abs().square().T @ self.mel_filters.to(sound.dtype)  # (F, M)
        return (torch.log10(1e4 * power + 1) / LARGEST_LOG_MEL).float()

    def _cut(self, log_mel: Tensor) -> Tensor:
        present = count_blocks(len(log_mel))
        frames = BLOCK_HOP * (present - 1) + BLOCK_FRAMES
        padded = nn.functional.pad(log_mel, (0, 0, 0, frames - len(log_mel)))
        blocks = padded.unfold(0, BLOCK_FRAMES, BLOCK_HOP).transpose(1, 2)  # (<=N, L, M)
        return nn.functional.pad(blocks, (0, 0, 0, 0, 0, self.shape[0] - present), value=ABSENT)


def count_blocks(frames: int) -> int:
    """Blocks that cover all frames, the last of them filled up with silence."""
    return max(math.ceil((frames - BLOCK_FRAMES) / BLOCK_HOP), 0) + 1


class AisfxNetwork(nn.Module):
    """`EmbeddingNet('max', 3, 1, 64)` of the package, and the mean of a sound's blocks.

    With `classes`, also that many of the package's classifiers of that mean.
    """

    def __init__(self, channels: Sequence[int] = CHANNELS, classes: Sequence[int] = ()) -> None:
        super().__init__()
        self.conv_block1 = ConvBlock(1, channels[0])
        self.conv_block2 = ConvBlock(channels[0], channels[1])
        self.conv_block3 = ConvBlock(channels[1], channels[2])
        self.conv_block4 = ConvBlock(channels[2], channels[3])
        self.channels = tuple(channels)
        self.width = channels[3]  # H
        self.classes = tuple(classes)
        self.classifiers = nn.ModuleList(_classifier(self.width, count) for count in classes)

    @classmethod
    def from_checkpoint(cls, path: Path, classes: Sequence[int] = CLASSES) -> Self:
        """The network of the package's checkpoint.pth, strictly; other classifiers are left out.

        Raises SoundjudgeError for a file that holds more than tensors and plain values, or others.
        """
        try:
            state, _ = weight_files.read_weights(path, None)  # and the names of the classifiers
            prefixes = {"embedding_net.": ""}
            prefixes |= {f"fc.{one}.": f"classifiers.{one}." for one in range(len(classes))}
            embedding = {
                own + key.removeprefix(prefix): weights
                for key, weights in state.items()
                for prefix, own in prefixes.items()
                if key.startswith(prefix)
            }
            network = cls(classes=classes)
            model_folder.check_tensors(path, embedding)
            model_folder.load_weights(network, embedding, path)
        except (TypeError, ValueError, AttributeError) as error:
            raise SoundjudgeError(f"{path} is no checkpoint of aisfx: {error}") from error
        weight_files.check_finite(path, embedding)
        return network.eval()

    def forward(self, blocks: Tensor) -> Tensor:
        """The mean embedding of the blocks that a sound has: (B, N, L, M) -> (B, H)."""
        present = blocks[:, :, 0, 0] >= 0  # (B, N)
        # A block's embedding does not depend on how many others there are.
        slices = torch.split(blocks[present], SLICE)
        embeddings = torch.cat([self.embed_blocks(part) for part in slices])
        per_sound = torch.split(embeddings, present.sum(dim=1).tolist())
        return torch.stack([rows.mean(dim=0) for rows in per_sound])

    def embed_blocks(self, blocks: Tensor) -> Tensor:
        """(B, L, M) -> (B, H)."""
        pool = nn.functional.max_pool2d
        maps = pool(self.conv_block1(blocks.unsqueeze(1)), 2)
        maps = pool(self.conv_block2(maps), 2)
        maps = pool(self.conv_block3(maps), 2)
        maps = self.conv_block4(maps)  # (B, H, L / 8, M / 8)
        pooled: Tensor = maps.mean(dim=3).amax(dim=2)
        return pooled

    def classify(self, pooled: Tensor) -> Tensor:
        """Log probabilities of the classes, classifier by classifier: (B, H) -> (B, sum)."""
        logits = [classifier(pooled) for classifier in self.classifiers]
        return torch.cat([rows.log_softmax(dim=-1) for rows in logits], dim=-1)


def _classifier(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width // 2),
        nn.ReLU(),
        nn.Linear(width // 2, width // 4),
        nn.ReLU(),
        nn.Linear(width // 4, classes),
    )


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, each with batch-norm and ReLU: (B, C, L, M) -> (B, C', L, M)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, L, M) -> (B, C', L, M)."""
        maps = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(maps)))
