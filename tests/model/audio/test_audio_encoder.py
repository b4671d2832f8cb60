"""Another kind of audio encoder is one file and a row of the table: no other code knows kinds."""

from functools import partial

import numpy as np
import pytest
import tiny_lalm
import tiny_training
import torch
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.model.audio import audio_encoder
from soundjudge.model.features.feature_extraction import FeatureConfig, encode_clips
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.runtime import artifacts
from soundjudge.training.finetune import finetune
from soundjudge.training.lalm.specaugment import SpecAugment, apply_specaugment

FRONTEND = AudioFrontend(audio_tokens=2, window_seconds=1.0)
MASKS = SpecAugment(freq_mask=3, time_mask=3, per="sound")


class Loudness:
    """A minimal encoder: the power of every tenth of a second, times 1, 2, ..., D."""

    def __init__(self, width: int) -> None:
        self.width = width

    def name(self) -> str:
        return f"loudness-{self.width}"

    def frames(self, waves: Tensor, augment: audio_encoder.Augment | None = None) -> Tensor:
        power = waves.unflatten(1, (10, -1)).square().mean(dim=2)  # (B, N)
        spectrogram = power.unsqueeze(2) * torch.arange(1.0, self.width + 1)  # (B, N, D)
        return spectrogram if augment is None else augment(spectrogram)


def load(path, device):
    return Loudness(artifacts.read_json(path)["width"])


def copy(source, target):
    with artifacts.atomic_folder(target) as folder:
        artifacts.write_json(folder / "loudness.json", artifacts.read_json(source))


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint of the new kind, whose kind is in the table."""
    kind = audio_encoder.Kind(
        recognizes=lambda path: path.name == "loudness.json", load=load, copy=copy
    )
    monkeypatch.setattr(audio_encoder, "KINDS", {"loudness": kind, **audio_encoder.KINDS})
    artifacts.write_json(tmp_path / "loudness.json", {"width": tiny_lalm.FEATURE_DIM})
    return tmp_path / "loudness.json"


def test_a_checkpoint_is_loaded_by_the_kind_that_recognizes_it(tmp_path, checkpoint):
    device = torch.device("cpu")
    loaded = audio_encoder.load_audio_encoder(checkpoint, device)
    assert (loaded.name(), loaded.width) == ("loudness-6", 6)
    tiny_training.save_beats(tiny_training.encoder(), tmp_path / "beats.pt")
    loaded = audio_encoder.load_audio_encoder(tmp_path / "beats.pt", device)
    assert (loaded.name(), loaded.width) == ("beats-1x6", 6)


def test_a_checkpoint_is_copied_by_its_kind(tmp_path, checkpoint):
    audio_encoder.kind_of(checkpoint).copy(checkpoint, tmp_path / "copy")
    copied = audio_encoder.load_audio_encoder(tmp_path / "copy/loudness.json", torch.device("cpu"))
    assert copied.width == tiny_lalm.FEATURE_DIM


def test_its_features_are_pooled_frames_of_the_window(checkpoint):
    encoder = audio_encoder.load_audio_encoder(checkpoint, torch.device("cpu"))
    # Half a second of power 0.25, padded to one second: the first audio token of two.
    half = np.full(8_000, 0.5, np.float32)
    features = audio_encoder.encode_waves(encoder, [half], FRONTEND)
    expected = [[0.25 * k for k in range(1, 7)], [0.0] * 6]
    torch.testing.assert_close(features, torch.tensor([expected]))


def test_specaugment_masks_its_spectrogram(checkpoint):
    encoder = audio_encoder.load_audio_encoder(checkpoint, torch.device("cpu"))
    waves = torch.full((20, 16_000), 0.5)
    augment = partial(apply_specaugment, config=MASKS, generator=torch.Generator().manual_seed(0))
    plain, masked = encoder.frames(waves), encoder.frames(waves, augment)
    changed = masked != plain
    assert changed.any()
    assert not masked[changed].any()


@pytest.mark.parametrize("specaugment", [None, MASKS])
def test_a_member_is_finetuned_on_it(tmp_path, checkpoint, specaugment):
    encoder = audio_encoder.load_audio_encoder(checkpoint, torch.device("cpu"))
    clips = tiny_training.clips(tmp_path / "prepared")
    config = FeatureConfig(frontend=tiny_lalm.FRONTEND)
    blocks = encode_clips(encoder, clips, clips.ids(), config)
    tiny_training.write_rows(tmp_path / "features", clips.ids(), blocks)
    sounds = finetune.TrainingSounds(ArrayStore(tmp_path / "features"), clips, encoder, specaugment)
    result = finetune.train(
        tiny_lalm.lalm(tmp_path / "llm"),
        sounds,
        tiny_training.targets("train"),
        tiny_training.targets("validation"),
        finetune.FinetuneConfig(
            llm=tiny_training.FULL,
            list_size=4,
            loss="listnet",
            temperature=1.0,
            eval_batch_size=5,
            optimization=tiny_training.OPTIMIZATION,
        ),
        finetune.FinetuneMember(seed=1, warm_start="none", target="mean", specaugment=specaugment),
        work=tmp_path,
        device="cpu",
        log=tiny_training.silent,
    )
    assert [row["epoch"] for row in result.history] == [0, 1, 2]
