"""The audio tower YAMNet: front end, network, weights out of TensorFlow's file."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from packaged_towers import needs_packages
from scipy.signal import get_window
from torch.nn import functional

from soundjudge.clap.encoders import tower_files, yamnet
from soundjudge.clap.encoders.packaged_weights import YAMNET
from soundjudge.clap.encoders.yamnet import PatchedLogMel, YamnetNetwork
from soundjudge.errors import SoundjudgeError

# TensorFlow 2.21 on the package's SavedModel, `load(folder)` and its layer-1's `layer._func(wave)`:
# patches, mean embedding at some features, mean scores of some classes, by sound. Its float32
# spectra differ by up to 0.003 near silence.
TENSORFLOW = {
    "chirp": (
        1,
        {326: 5.2043, 389: 3.7763, 146: 2.9729},
        {"Beep, bleep": 0.1949, "Dial tone": 0.1786, "Sidetone": 0.1615},
    ),
    "noise": (
        4,
        {538: 3.5141, 553: 2.0677, 215: 1.9994},
        {"White noise": 0.3508, "Noise": 0.2801, "Static": 0.1699},
    ),
    "beeps": (
        6,
        {326: 4.8707, 389: 4.198, 156: 4.0416},
        {"Busy signal": 0.4635, "Beep, bleep": 0.4589, "Telephone": 0.3103},
    ),
}


def seconds(length: float) -> np.ndarray:
    return np.arange(round(length * 16_000)) / 16_000


def sounds() -> dict[str, np.ndarray]:
    """0.4 s, 2.3 s and 3.1 s at 16 kHz with a peak of 1, of which TENSORFLOW tells."""
    chirp, beeps = seconds(0.4), seconds(3.1)
    waves = {
        "chirp": np.sin(2 * np.pi * (200 * chirp + 900 * chirp**2)),
        "noise": np.random.default_rng(7).uniform(-1, 1, 36_800),
        "beeps": np.sin(2 * np.pi * 1000 * beeps) * (beeps % 0.5 < 0.2),
    }
    return {name: (wave / abs(wave).max()).astype(np.float32) for name, wave in waves.items()}


def tiny_network(classes: int = 7) -> YamnetNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return YamnetNetwork([4] * len(yamnet.WIDTHS), classes).eval()


def test_mel_filters_are_triangles_over_the_mel_scale():
    def mel(hertz: float | np.ndarray) -> np.ndarray:
        return 1127 * np.log(1 + np.asarray(hertz) / 700)

    filters = PatchedLogMel(1.0).mel_filters.numpy()  # (257, 64)
    bins = mel(np.arange(257) * 16_000 / 512)
    corners = np.linspace(mel(125), mel(7500), 66)
    for band in range(64):
        low, center, high = corners[band : band + 3]
        triangle = np.minimum((bins - low) / (center - low), (high - bins) / (high - center))
        np.testing.assert_allclose(filters[:, band], triangle.clip(0), atol=1e-4)


def test_a_log_mel_is_the_authors_formula():
    front_end = PatchedLogMel(2.0)
    sound = np.random.default_rng(0).normal(size=16_000)
    log_mel = front_end.log_mel(torch.tensor(sound))
    assert log_mel.shape == (96 + 48, 64)  # 1 s has frames of a second patch
    piece = sound[20 * 160 : 20 * 160 + 400]
    magnitudes = np.abs(np.fft.rfft(piece * get_window("hann", 400), 512))
    expected = np.log(magnitudes @ front_end.mel_filters.double().numpy() + 0.001)
    np.testing.assert_allclose(log_mel[20], expected, atol=1e-6)
    np.testing.assert_allclose(log_mel[100:], math.log(0.001), atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "patches"),
    [(1, 1), (15_600, 1), (15_601, 2), (23_280, 2), (23_281, 3), (160_000, 20)],
)
def test_patches_cover_every_sample(samples, patches):
    assert yamnet.count_patches(samples) == patches
    padded = math.ceil(max(samples - 15_600, 0) / 7_680) * 7_680 + 15_600  # the authors' padding
    assert (padded - 400) // 160 + 1 == 96 + 48 * (patches - 1)


def test_a_short_sound_has_its_own_patches_and_absent_ones():
    noise = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    patches = PatchedLogMel(10.0)([noise[:20_000], noise])
    assert patches.shape == (2, 20, 96, 64) and patches.dtype == torch.float32
    assert patches[0, :2].gt(-7).all() and patches[0, 2:].eq(yamnet.ABSENT).all()
    assert patches[1].gt(-7).all()
    assert torch.equal(patches[1, 1, :48], patches[1, 0, 48:])


def test_the_volume_of_a_sound_does_not_matter_and_silence_stays_silence():
    sound = sounds()["beeps"]
    loud, quiet, silent = PatchedLogMel(4.0)([sound, sound / 1024, 0 * sound])
    np.testing.assert_allclose(loud, quiet, atol=1e-5)
    assert loud.max() > 3
    np.testing.assert_allclose(silent[:6], math.log(0.001), atol=1e-6)


def test_the_network_averages_embeddings_and_scores_of_the_patches_that_are_there():
    network = tiny_network()
    patches = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    patches[0, 1:] = yamnet.ABSENT
    with torch.no_grad():
        pooled = network(patches)
        assert pooled.shape == (2, 4 + 7) == (2, network.width)
        for row, present in ((0, patches[0, :1]), (1, patches[1])):
            each = network.embed_patches(present)
            np.testing.assert_allclose(pooled[row, :4], each.mean(dim=0), atol=1e-6)
            scores = 1 / (1 + np.exp(-network.classifier(each).numpy()))
            expected = np.log(scores.mean(axis=0) + 1e-4)
            np.testing.assert_allclose(network.classify(pooled)[row], expected, atol=1e-5)


def write_bundle(path: Path) -> list[np.ndarray]:
    """A file laid out as YAMNet's, and its tensors in TensorFlow's shapes."""
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, ...]] = [(3, 3, 1, 32), (32,), (32,), (32,)]
    inputs = 32
    for outputs in (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024):
        shapes += [(3, 3, inputs, 1), *[(inputs,)] * 3]
        shapes += [(1, 1, inputs, outputs), *[(outputs,)] * 3]
        inputs = outputs
    shapes += [(1024, 521), (521,)]
    tensors = [
        rng.uniform(0.5, 1.5, shape) if k % 4 == 3 and len(shape) == 1  # variances
        else rng.normal(size=shape) * (2 / math.prod(shape[:-1])) ** 0.5
        for k, shape in enumerate(shapes)
    ]  # fmt: skip
    tensors = [tensor.astype("<f4") for tensor in tensors]
    numbers = b"".join(tensor.tobytes() for tensor in tensors)
    path.write_bytes(bytes(8) + numbers + bytes(124_402))
    return tensors


def convolve(maps: torch.Tensor, tensors: list[np.ndarray], stride: int) -> torch.Tensor:
    """TensorFlow's convolution with padding "same", batch normalization without gamma, ReLU."""
    kernel, beta, mean, variance = map(torch.from_numpy, tensors)
    depthwise = kernel.shape[3] == 1
    pads = []
    for side in (maps.shape[3], maps.shape[2]):
        total = max((math.ceil(side / stride) - 1) * stride + kernel.shape[0] - side, 0)
        pads += [total // 2, total - total // 2]
    maps = functional.conv2d(
        functional.pad(maps, pads),
        kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1),
        stride=stride,
        groups=kernel.shape[2] if depthwise else 1,
    )
    return functional.batch_norm(maps, mean, variance, bias=beta, eps=1e-4).relu()


def test_weights_in_tensorflows_layout_give_tensorflows_network(tmp_path: Path):
    tensors = write_bundle(tmp_path / "variables")
    network = YamnetNetwork.from_tensor_bundle(tmp_path / "variables")
    patches = torch.randn(2, 96, 64, generator=torch.Generator().manual_seed(0))
    strides = [2]
    for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        strides += [stride, 1]
    maps = patches.unsqueeze(1)
    for layer, stride in enumerate(strides):
        maps = convolve(maps, tensors[4 * layer : 4 * layer + 4], stride)
    assert maps.shape == (2, 1024, 3, 2)
    expected = maps.mean(dim=(2, 3))
    with torch.no_grad():
        embeddings = network.embed_patches(patches)
        logits = network.classifier(embeddings)
    assert expected.std() > 0.01
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)
    dense = expected.numpy() @ tensors[-2] + tensors[-1]
    np.testing.assert_allclose(logits, dense, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "has 15129885 bytes, YAMNet's weights 15129886"),
        (lambda content: content + b" ", "has 15129887 bytes"),
        (lambda content: content[:40] + b"\xff" * 4 + content[44:], "infinite numbers or none"),
        (lambda content: b"", "has 0 bytes"),
    ],
)
def test_a_file_that_is_cut_or_not_finite_is_refused(tmp_path: Path, change, message):
    path = tmp_path / "variables"
    write_bundle(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SoundjudgeError, match=message) as caught:
        YamnetNetwork.from_tensor_bundle(path)
    assert str(path) in str(caught.value)


@needs_packages
@pytest.mark.parametrize("name", TENSORFLOW)
def test_embeddings_and_scores_are_those_of_tensorflow(name):
    count, features, scores = TENSORFLOW[name]
    network = tower_files.load_packaged_tagger()
    names = yamnet.read_class_names(YAMNET.find() / "assets/yamnet_class_map.csv")
    patches = PatchedLogMel(10.0)([sounds()[name]])[0]
    with torch.no_grad():
        pooled = network(patches[None])
        own = network.classify(pooled)[0, [names.index(one) for one in scores]]
    assert (patches[:, 0, 0] > yamnet.ABSENT).sum() == count
    np.testing.assert_allclose(pooled[0, list(features)], list(features.values()), atol=5e-4)
    np.testing.assert_allclose(own.exp() - 1e-4, list(scores.values()), atol=5e-4)


@needs_packages
def test_it_names_silence_noise_and_a_sine_as_its_authors_test_it():
    network = tower_files.load_packaged_tagger()
    names = yamnet.read_class_names(YAMNET.find() / "assets/yamnet_class_map.csv")
    assert len(names) == len(set(names)) == network.classes == 521
    waves = {
        "Silence": np.zeros(48_000),
        "White noise": np.random.default_rng(0).uniform(-1, 1, 48_000),
        "Sine wave": np.sin(2 * np.pi * 440 * seconds(3.0)),
    }
    patches = PatchedLogMel(10.0)([wave.astype(np.float32) for wave in waves.values()])
    with torch.no_grad():
        scores = network.classify(network(patches))
    for row, name in zip(scores, waves, strict=True):
        assert name in [names[best] for best in row.topk(10).indices]


@needs_packages
def test_a_sound_is_heard_to_the_last_digit_as_alone_in_any_company():
    network = tower_files.load_packaged_tagger()
    patches = PatchedLogMel(10.0)(list(sounds().values()))
    with torch.no_grad():
        together = network(patches)
        for row, own in zip(together, patches, strict=True):
            assert torch.equal(network(own[None])[0], row)
