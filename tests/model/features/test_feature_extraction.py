"""Every clip becomes one row of features, the same in the stage as anywhere else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from repository import run_stage, write_params
from tiny_clips import write_clips

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips import clip_store
from soundjudge.data.corpora.clip_writer import Clip, to_pcm
from soundjudge.data.jobs import chunks
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio import audio_encoder
from soundjudge.model.audio.beats import beats, fbank
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.model.features import feature_extraction
from soundjudge.model.features.feature_extraction import FeatureConfig
from soundjudge.model.frontend.frontend import AudioFrontend, pad_or_cut, pool_frames
from soundjudge.runtime import artifacts

FRONTEND = AudioFrontend(audio_tokens=3, window_seconds=0.5)
SECONDS = {"xacle/00000.wav": 0.5, "xacle/00001.wav": 0.2, "audiocaps/abc_1": 0.9}
PARAMS = {
    "device": "cpu",
    "encoders": {"audio": "beats.pt"},
    "features": {"frontend": vars(FRONTEND), "batch_size": 2, "dtype": "float32"},
}


@pytest.fixture(autouse=True)
def own_determinism():
    yield
    torch.use_deterministic_algorithms(False)  # every stage turns it on


def encoder():
    torch.manual_seed(0)
    config = BeatsConfig(
        embed_dim=8,
        encoder_layers=1,
        encoder_embed_dim=8,
        encoder_ffn_embed_dim=8,
        encoder_attention_heads=2,
        conv_pos_groups=2,
        relative_position_embedding=True,
        gru_rel_pos=True,
    )
    return beats.Beats(config).eval()


def wave(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)


def write_prepared(folder):
    sounds = [
        Clip(
            clip_id=name,
            corpus=name.split("/")[0],
            split="train",
            pcm=to_pcm(wave(seconds, seed)),
        )
        for seed, (name, seconds) in enumerate(SECONDS.items())
    ]
    table = write_clips(folder, sounds, shard_samples=20_000)
    tables.write_table(table, folder / "clips.parquet", tables.CLIPS)
    return clip_store.ClipStore(folder)


def test_features_are_the_pooled_frames_of_the_padded_or_cut_window():
    network = encoder()
    short, long = wave(0.2), wave(0.9)
    features = audio_encoder.encode_waves(network, [short, long], FRONTEND)
    padded = torch.zeros(2, 8_000)
    padded[0, :3_200] = torch.from_numpy(short)
    padded[1] = torch.from_numpy(long[:8_000])
    with torch.no_grad():
        expected = pool_frames(network(fbank.log_mel_fbank(padded)), 3)
    assert features.shape == (2, 3, 8)
    torch.testing.assert_close(features, expected)


def test_ten_seconds_become_100_tokens_of_the_published_window():
    frontend = AudioFrontend(audio_tokens=100, window_seconds=10.0)
    assert pad_or_cut([wave(1.0)], frontend).shape == (1, 160_000)
    assert audio_encoder.encode_waves(encoder(), [wave(1.0)], frontend).shape == (1, 100, 8)


def test_features_do_not_depend_on_batch_mates():
    network = encoder()
    sounds = [wave(0.2, 1), wave(0.5, 2), wave(0.4, 3)]
    together = audio_encoder.encode_waves(network, sounds, FRONTEND)
    alone = torch.cat([audio_encoder.encode_waves(network, [sound], FRONTEND) for sound in sounds])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_augmentation_changes_the_spectrogram():
    network = encoder()
    with torch.no_grad():
        frames = network.frames(torch.from_numpy(wave(0.5))[None], torch.zeros_like)
        expected = network(torch.zeros(1, 48, 128))
    torch.testing.assert_close(frames, expected)


def test_the_wave_that_is_given_stays_as_it_is():
    sound = wave(0.5)
    original = sound.copy()
    sound.setflags(write=False)
    audio_encoder.encode_waves(encoder(), [sound], FRONTEND)
    np.testing.assert_array_equal(sound, original)


@pytest.mark.parametrize(
    "values",
    [{"audio_tokens": 0, "window_seconds": 1.0}, {"audio_tokens": 3, "window_seconds": 0.1}],
)
def test_a_front_that_hears_nothing_is_refused(values):
    with pytest.raises(SoundjudgeError, match="it must be"):
        AudioFrontend(**values)


def test_an_empty_batch_is_refused():
    with pytest.raises(SoundjudgeError, match="batch_size is 0"):
        FeatureConfig(frontend=FRONTEND, batch_size=0)


def test_features_that_are_no_numbers_name_their_clip(tmp_path):
    network = encoder()
    with torch.no_grad():
        network.layer_norm.bias.fill_(torch.nan)
    config, clips = FeatureConfig(frontend=FRONTEND), write_prepared(tmp_path)
    with pytest.raises(SoundjudgeError, match=r"beats-1x8: .* xacle/00000\.wav"):
        list(feature_extraction.encode_clips(network, clips, list(SECONDS), config))


def test_the_stage_writes_a_row_for_every_clip(tmp_path):
    clips = write_prepared(tmp_path / "data/prepared")
    network = encoder()
    beats.save_beats(network, tmp_path / "beats.pt")
    write_params(tmp_path, **PARAMS)
    run_stage("features", folder=tmp_path)
    features = ArrayStore(tmp_path / "data/features")
    assert features.keys == list(SECONDS)
    for clip_id in SECONDS:
        expected = audio_encoder.encode_waves(network, [clips.wave(clip_id)], FRONTEND)[0].numpy()
        np.testing.assert_allclose(features[clip_id], expected, atol=1e-5)
    first = artifacts.sha256(tmp_path / "data/features")
    run_stage("features", folder=tmp_path)
    assert artifacts.sha256(tmp_path / "data/features") == first


def test_half_precision_and_another_batch_size_change_the_last_digits_only(tmp_path):
    network, clips = encoder(), write_prepared(tmp_path)
    single, half = (
        list(feature_extraction.encode_clips(network, clips, clips.ids(), config))
        for config in (
            FeatureConfig(frontend=FRONTEND, batch_size=2, dtype="float32"),
            FeatureConfig(frontend=FRONTEND, batch_size=3, dtype="float16"),
        )
    )
    assert [len(block) for block in single] == [2, 1]
    assert [len(block) for block in half] == [3]
    assert half[0].dtype == np.float16
    np.testing.assert_allclose(half[0], np.concatenate(single), atol=2e-3)


@pytest.mark.parametrize(
    ("tokens", "width", "dtype", "clips"),
    [
        (100, 768, "float16", 436),  # the published encoder: 153,600 bytes per clip, 2^26 per chunk
        (100, 768, "float32", 218),
        (16, 128, "float32", 1024),  # small rows: the loss of a killed run is the limit
        (100, 2**20, "float32", 1),
    ],
)
def test_a_chunk_is_as_many_clips_as_memory_and_a_killed_run_can_lose(tokens, width, dtype, clips):
    frontend = AudioFrontend(audio_tokens=tokens, window_seconds=10.0)
    assert FeatureConfig(frontend=frontend, dtype=dtype).chunk_size(width) == clips


@pytest.mark.slow
def test_a_killed_stage_loses_the_chunk_it_was_at_and_ends_with_the_same_bytes(
    in_folder, monkeypatch
):
    write_prepared(Path("data/prepared"))
    beats.save_beats(encoder(), Path("beats.pt"))
    write_params(in_folder, **PARAMS)
    monkeypatch.setattr(chunks, "MAX_CHUNK_ITEMS", 1)
    original, encoded = feature_extraction.write_feature_chunk, []

    def record(chunk, **arguments):
        original(chunk, **arguments)
        encoded.extend(chunk.items)

    def kill(chunk, **arguments):
        if encoded:
            raise KeyboardInterrupt
        record(chunk, **arguments)

    def run_with(write):
        monkeypatch.setattr(feature_extraction, "write_feature_chunk", write)
        run_stage("features")

    run_with(original)
    uninterrupted = artifacts.sha256(Path("data/features"))
    assert len(list(Path("data/features/shards").iterdir())) == 3
    with pytest.raises(KeyboardInterrupt):
        run_with(kill)
    run_with(record)
    assert encoded == list(SECONDS)  # none of them twice
    assert artifacts.sha256(Path("data/features")) == uninterrupted
    assert not list(Path("work/features").iterdir())
