"""The audio tower YAMNet: a MobileNet that names 521 kinds of sound, trained on AudioSet.

M. Plakal and D. Ellis, https://github.com/tensorflow/models/tree/master/research/audioset/yamnet,
on A. G. Howard et al., "MobileNets", arXiv:1704.04861. Front end and network compute what
`features.py` and `yamnet.py` compute there; batch normalization is folded into the convolutions.
One thing differs: a sound's peak is brought to 1 first, so that nothing depends on its volume.

B batch, T samples at 16 kHz, F frames, M mel bands, N patches of L frames, C channels, H features
of the last layer, X classes.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchaudio.compliance import kaldi

from soundjudge.clap.encoders import weight_files
from soundjudge.clap.encoders.spectrogram import resample_waves, scale_to_peak
from soundjudge.errors import SoundjudgeError

YAMNET_SAMPLE_RATE = 16_000  # Hz
FRAME_LENGTH, HOP_LENGTH, FFT_SIZE = 400, 160, 512  # samples
MEL_BANDS = 64  # M
LOWEST, HIGHEST = 125.0, 7500.0  # Hz
LOG_OFFSET = 1e-3
PATCH_FRAMES, PATCH_HOP = 96, 48  # L = 0.975 s, every 0.48 s
PATCH_SAMPLES = HOP_LENGTH * (PATCH_FRAMES - 1) + FRAME_LENGTH
ABSENT = -100.0  # fills the patches that a short sound does not have; a log mel is -6.91 or more

WIDTHS = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)  # C of each layer
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
CLASSES = 521  # X
BATCH_NORM_EPSILON = 1e-4
SCORE_FLOOR = 1e-4  # below which scores of a class are alike
BUNDLE_BYTES = 15_129_886
BUNDLE_START, BUNDLE_VALUES = 8, 3_751_369  # behind two counters, before a description of objects
functional = nn.functional


class PatchedLogMel(nn.Module):
    """Sounds as overlapping patches of their log-mel spectrogram: B x (T,) -> (B, N, L, M)."""

    mel_filters: Tensor  # (fft bins, M), triangles over the mel scale

    def __init__(self, window_seconds: float) -> None:
        super().__init__()
        self.window_seconds = window_seconds
        patches = count_patches(round(window_seconds * YAMNET_SAMPLE_RATE))
        self.shape = patches, PATCH_FRAMES, MEL_BANDS  # N, L, M
        banks, _ = kaldi.get_mel_banks(
            MEL_BANDS, FFT_SIZE, YAMNET_SAMPLE_RATE, LOWEST, HIGHEST, 100.0, -500.0, 1.0
        )  # (M, fft bins - 1); the highest bin lies above them
        self.register_buffer("mel_filters", functional.pad(banks.T, (0, 0, 0, 1)), persistent=False)

    def forward(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Patches of each sound's first window, float32, or ABSENT: (B, N, L, M)."""
        device = self.mel_filters.device
        sounds = resample_waves(waves, self.window_seconds, YAMNET_SAMPLE_RATE, device)
        mels = [self.log_mel(scale_to_peak(sound)) for sound in sounds]
        patches = [one.unfold(0, PATCH_FRAMES, PATCH_HOP) for one in mels]
        fills = [(0, 0, 0, 0, 0, self.shape[0] - len(own)) for own in patches]
        padded = [functional.pad(o, f, value=ABSENT) for o, f in zip(patches, fills, strict=True)]
        return torch.stack(padded).transpose(2, 3)

    def log_mel(self, sound: Tensor) -> Tensor:
        """The spectrogram of a sound and of the silence that fills its last patch: (F, M)."""
        samples = PATCH_SAMPLES + HOP_LENGTH * PATCH_HOP * (count_patches(len(sound)) - 1)
        frames = functional.pad(sound, (0, samples - len(sound))).unfold(
            0, FRAME_LENGTH, HOP_LENGTH
        )  # (F, FRAME_LENGTH)
        window = torch.hann_window(FRAME_LENGTH, dtype=sound.dtype, device=sound.device)
        magnitudes = torch.fft.rfft(frames * window, FFT_SIZE).abs()  # (F, fft bins)
        mels = magnitudes @ self.mel_filters.to(sound.dtype)
        return torch.log(mels + LOG_OFFSET).float()


def count_patches(samples: int) -> int:
    """Patches that cover all samples."""
    return max(math.ceil((samples - PATCH_SAMPLES) / (HOP_LENGTH * PATCH_HOP)), 0) + 1


class YamnetNetwork(nn.Module):
    """MobileNet v1 on patches, and one layer of X independent yes-or-no classes above it."""

    def __init__(self, widths: Sequence[int] = WIDTHS, classes: int = CLASSES) -> None:
        super().__init__()
        convolutions = [SameConv(1, widths[0], STRIDES[0])]
        for inputs, outputs, stride in zip(widths[:-1], widths[1:], STRIDES[1:], strict=True):
            convolutions += [
                SameConv(inputs, inputs, stride, groups=inputs),
                SameConv(inputs, outputs, 1, size=1),
            ]
        self.convolutions = nn.ModuleList(convolutions)
        self.widths = tuple(widths)
        self.classes = classes
        self.width = widths[-1] + classes  # H + X
        self.classifier = nn.Linear(widths[-1], classes)

    @classmethod
    def from_tensor_bundle(cls, path: Path) -> Self:
        """The network of YAMNet's SavedModel: `path` is its variables.data-00000-of-00001.

        The file's tensors lie one behind the other in the network's order: their index is not read.
        Raises SoundjudgeError for a file of another size and for weights that are not finite.
        """
        network = cls()
        content = path.read_bytes()
        if len(content) != BUNDLE_BYTES:
            raise SoundjudgeError(
                f"{path} has {len(content)} bytes, YAMNet's weights {BUNDLE_BYTES}: get it again."
            )
        values = np.frombuffer(content, "<f4", BUNDLE_VALUES, BUNDLE_START).astype(np.float64)
        convolutions = [one for one in network.convolutions if isinstance(one, SameConv)]
        sizes = [size for one in convolutions for size in one.sizes]
        kernel = network.classifier.weight
        ends = np.cumsum([*sizes, kernel.numel()])
        tensors = iter(torch.from_numpy(values).tensor_split(torch.from_numpy(ends)))
        with torch.no_grad():
            for one in convolutions:
                one.fold(*(next(tensors) for _ in one.sizes))
            kernel.copy_(next(tensors).reshape(kernel.T.shape).T)
            network.classifier.bias.copy_(next(tensors))
        weight_files.check_finite(path, network.state_dict())
        return network.eval()

    def forward(self, patches: Tensor) -> Tensor:
        """What a sound's patches have in the mean: (B, N, L, M) -> (B, H + X).

        Their embedding, then the logarithm of their score of each class, above 1e-4.
        """
        # Sound by sound: in other company the last digits of a sound's embedding would differ.
        present = (own[own[:, 0, 0] > ABSENT] for own in patches)
        return torch.stack([self._pool(self.embed_patches(own)) for own in present])

    def _pool(self, embeddings: Tensor) -> Tensor:
        scores = self.classifier(embeddings).sigmoid().mean(dim=0)
        return torch.cat([embeddings.mean(dim=0), torch.log(scores + SCORE_FLOOR)])

    def embed_patches(self, patches: Tensor) -> Tensor:
        """(B, L, M) -> (B, H)."""
        maps = patches.unsqueeze(1)
        for convolution in self.convolutions:
            maps = convolution(maps)
        pooled: Tensor = maps.mean(dim=(2, 3))
        return pooled

    def classify(self, pooled: Tensor) -> Tensor:
        """Log mean scores of the classes, out of what `forward` gave: (B, H + X) -> (B, X)."""
        return pooled[:, -self.classes :]


class SameConv(nn.Conv2d):
    """A convolution and ReLU that pad as TensorFlow does: (B, C, L, M) -> (B, C', L/s, M/s).

    At stride 2 an even side is padded at its end alone.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, *, size: int = 3, groups: int = 1
    ) -> None:
        padding = size // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, size, stride, padding, groups=groups)

    @property
    def sizes(self) -> list[int]:
        """How many numbers each argument of `fold` has."""
        return [self.weight.numel(), *[self.out_channels] * 3]

    def fold(self, kernel: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Takes flat weights of TensorFlow's convolution and batch normalization (no gamma)."""
        outputs, inputs, height, width = self.weight.shape
        scale = (variance + BATCH_NORM_EPSILON).rsqrt()
        scaled = kernel.reshape(height, width, inputs, outputs) * scale
        self.weight.copy_(scaled.permute(3, 2, 0, 1))
        assert self.bias is not None
        self.bias.copy_(beta - mean * scale)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, L, M) -> (B, C', L/s, M/s)."""
        if self.stride[0] == 2:
            maps = functional.pad(maps, (0, 1, 0, 1))
        return torch.relu(super().forward(maps))


def read_class_names(path: Path) -> list[str]:
    """The display names in YAMNet's class map, in the order of the classes."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["display_name"] for row in csv.DictReader(file)]
