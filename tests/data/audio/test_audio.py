"""One waveform comes out, whatever the file or array was; what is no sound is refused."""

import ast
import os
import shutil
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from optional_packages import soundfile
from privileges import without_privileges
from repository import ROOT
from scipy import signal

from soundjudge.data.audio import audio, decoding
from soundjudge.errors import AudioError


def test_a_16_bit_16_khz_mono_file_comes_back_sample_for_sample(tmp_path, tone):
    pcm = np.round(tone(440.0) * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", pcm, 16_000)
    wave = audio.read_audio(tmp_path / "a.wav")
    assert wave.dtype == np.float32
    assert np.array_equal(wave * 32768, pcm)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff"])
def test_other_formats_sound_the_same(tmp_path, tone, suffix):
    wave = tone(440.0, seconds=1.0)
    soundfile.write(tmp_path / f"a.{suffix}", wave, 16_000)
    heard = audio.read_audio(tmp_path / f"a.{suffix}")[2_000:14_000]
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.02)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 16_000 / len(heard) == pytest.approx(440.0, abs=1.5)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_another_rate_is_resampled_to_the_same_tone(tmp_path, tone, rate):
    soundfile.write(tmp_path / "a.wav", tone(440.0, 1.0, rate), rate, subtype="FLOAT")
    wave = audio.read_audio(tmp_path / "a.wav")
    assert len(wave) == 16_000
    assert np.abs(wave - tone(440.0, 1.0))[500:-500].max() < 1e-3


def test_resampling_agrees_with_an_independent_resampler(tone):
    noise = np.random.default_rng(0).standard_normal(48_000)
    low = signal.sosfiltfilt(signal.butter(8, 5_000, fs=48_000, output="sos"), noise) * 0.1
    ours = audio.from_samples(low, 48_000)
    theirs = signal.resample_poly(low, 1, 3)
    assert np.abs(ours - theirs)[500:-500].max() < 2e-3


def test_channels_are_averaged(tone):
    left, right = tone(440.0), tone(1000.0)
    wave = audio.from_samples(np.stack([left, right], axis=1), 16_000)
    assert np.allclose(wave, (left + right) / 2)


def test_averaging_and_resampling_commute(tone):
    both = np.stack([tone(440.0, 0.5, 48_000), tone(1000.0, 0.5, 48_000)], axis=1)
    apart = [audio.from_samples(both[:, channel], 48_000) for channel in (0, 1)]
    assert np.allclose(audio.from_samples(both, 48_000), np.mean(apart, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0, 16384, -32768], np.int16), [0.0, 0.5, -1.0]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0.0, 0.5, -1.0]),
        (np.array([128, 192, 0], np.uint8), [0.0, 0.5, -1.0]),
        (np.array([0.0, 0.5, -1.0]), [0.0, 0.5, -1.0]),
        (torch.tensor([0.0, 0.5, -1.0], requires_grad=True), [0.0, 0.5, -1.0]),
        ([0.0, 0.5, -1.0], [0.0, 0.5, -1.0]),
        (np.array([0.0, 1.5, -1.2], np.float32), [0.0, 1.0, -1.0]),
    ],
)
def test_every_sample_type_has_its_full_scale(samples, expected):
    assert audio.from_samples(samples, 16_000).tolist() == expected


def test_reading_the_first_seconds_reads_the_same_sound(tmp_path, tone):
    soundfile.write(tmp_path / "a.wav", tone(440.0, 3.0, 44_100), 44_100, subtype="FLOAT")
    whole = audio.read_audio(tmp_path / "a.wav")
    part = audio.read_audio(tmp_path / "a.wav", first_seconds=2.0)
    assert len(part) == 32_000
    assert np.allclose(part[:16_000], whole[:16_000], atol=1e-6)


def refused(path, reason, detail):
    with pytest.raises(AudioError, match=detail) as error:
        audio.read_audio(path)
    assert error.value.reason == reason
    assert str(path) in str(error.value)


def test_a_file_that_is_no_sound_is_refused_with_its_reason(tmp_path):
    refused(tmp_path / "none.wav", "missing", "no such file")
    (tmp_path / "zero.wav").write_bytes(b"")
    refused(tmp_path / "zero.wav", "empty", "no bytes")
    (tmp_path / "page.mp3").write_text("<html>404</html>")
    refused(tmp_path / "page.mp3", "undecodable", "page.mp3 is undecodable: .* a page of the web")
    (tmp_path / "x.raw").write_bytes(b"12\x8034")
    refused(tmp_path / "x.raw", "undecodable", "convert it")
    soundfile.write(tmp_path / "silent.wav", np.empty(0, np.float32), 16_000)
    refused(tmp_path / "silent.wav", "empty", "no samples")
    soundfile.write(tmp_path / "nan.wav", np.array([0, np.nan]), 16_000, subtype="FLOAT")
    refused(tmp_path / "nan.wav", "non-finite", "NaN")
    soundfile.write(tmp_path / "big.wav", np.array([0, 3e4]), 16_000, subtype="FLOAT")
    refused(tmp_path / "big.wav", "out of range", "peak of 30000")


FORMATS = [
    ("wav", "PCM_16"), ("wav", "FLOAT"), ("aiff", "PCM_16"), ("flac", "PCM_16"),
    ("ogg", "VORBIS"), ("opus", "OPUS"), ("mp3", "MPEG_LAYER_III"),
]  # fmt: skip


def written(path: Path, wave, rate: int, subtype: str) -> Path:
    kind = {"opus": "OGG"}.get(path.suffix[1:])
    soundfile.write(path, wave, rate, subtype=subtype, format=kind)
    return path


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_file_that_was_cut_off_is_refused(tmp_path, tone, suffix, subtype, share):
    path = written(tmp_path / f"a.{suffix}", tone(440.0, 10.0), 16_000, subtype)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(AudioError) as error:
        audio.read_audio(path)
    # Where blocks of flac are cut off, the decoder gives up.
    assert error.value.reason == ("undecodable" if suffix == "flac" else "truncated")
    assert error.value.detail


def test_of_a_file_that_was_cut_off_the_seconds_that_are_there_can_be_read(tmp_path, tone):
    path = written(tmp_path / "a.wav", tone(440.0, 10.0), 16_000, "PCM_16")
    path.write_bytes(path.read_bytes()[: 5 * 32_000])
    assert len(audio.read_audio(path, first_seconds=4.0)) == 64_000
    with pytest.raises(AudioError, match=r"truncated: 5\.00 s of 10\.00 s are there"):
        audio.read_audio(path, first_seconds=6.0)


def test_a_wav_file_whose_writer_did_not_know_its_length_is_read(tmp_path, tone):
    path = written(tmp_path / "a.wav", tone(440.0), 16_000, "PCM_16")
    data = bytearray(path.read_bytes())
    assert data[36:40] == b"data"
    data[40:44] = struct.pack("<I", 0xFFFF_FFFF)  # as ffmpeg writes to a pipe
    path.write_bytes(data)
    assert len(audio.read_audio(path)) == 8_000


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
@pytest.mark.parametrize("wrong", ["wav", "mp3", "ogg", "flac"])
def test_a_wrong_suffix_does_not_matter(tmp_path, tone, suffix, subtype, wrong):
    right = written(tmp_path / f"right.{suffix}", tone(440.0), 16_000, subtype)
    shutil.copy(right, tmp_path / f"named.{wrong}")
    assert np.array_equal(audio.read_audio(tmp_path / f"named.{wrong}"), audio.read_audio(right))


def test_eight_channels_at_192_khz_come_out_as_their_mean(tmp_path, tone):
    levels = np.arange(8) / 8
    many = tone(440.0, 0.5, 192_000)[:, np.newaxis] * levels
    written(tmp_path / "a.wav", many, 192_000, "FLOAT")
    wave = audio.read_audio(tmp_path / "a.wav")
    assert len(wave) == 8_000
    assert np.abs(wave - tone(440.0) * levels.mean())[500:-500].max() < 1e-3


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_decoding_in_blocks_changes_nothing(tmp_path, monkeypatch, suffix, subtype):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (24_000, 2)).astype(np.float32)
    path = written(tmp_path / f"a.{suffix}", noise, 48_000, subtype)
    whole = audio.read_audio(path)
    monkeypatch.setattr(decoding, "BLOCK", 2_000)
    assert np.array_equal(audio.read_audio(path), whole)


def test_of_a_three_hour_file_only_what_is_needed_is_read(tmp_path):
    seconds, rate, channels = 3 * 3600, 44_100, 2
    path = written(tmp_path / "a.wav", np.full((rate, channels), 0.5), rate, "PCM_16")
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", seconds * rate * channels * 2)
    path.write_bytes(data)
    os.truncate(path, 44 + seconds * rate * channels * 2)  # all but the first second is a hole
    tracemalloc.start()
    wave = audio.read_audio(path, first_seconds=11.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(wave) == 11 * 16_000
    assert wave[8_000] == pytest.approx(0.5, abs=1e-3)
    assert peak < 20e6  # bytes; the whole file is 1.9 GB


def test_a_folder_a_pipe_and_links_that_lead_nowhere_are_refused_with_their_reason(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    refused(tmp_path / "folder.wav", "no file", "it is a folder")
    os.mkfifo(tmp_path / "pipe.wav")
    refused(tmp_path / "pipe.wav", "no file", "a pipe")
    (tmp_path / "broken.wav").symlink_to(tmp_path / "gone.wav")
    refused(tmp_path / "broken.wav", "missing", "no such file")
    (tmp_path / "one.wav").symlink_to(tmp_path / "two.wav")
    (tmp_path / "two.wav").symlink_to(tmp_path / "one.wav")
    refused(tmp_path / "one.wav", "unreadable", "symbolic links")
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "x.wav", "unreadable", "Not a directory")


def test_a_file_that_may_not_be_read_is_refused_with_its_reason(tone):
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "a.wav", tone(440.0), 16_000, "PCM_16")
        Path(folder).chmod(0o755)
        path.chmod(0)
        with without_privileges():
            refused(path, "unreadable", "Permission denied")
        path.chmod(0o644)
        Path(folder).chmod(0)
        with without_privileges():
            refused(path, "unreadable", "Permission denied")
        Path(folder).chmod(0o755)


def test_nothing_that_a_gpu_image_may_lack_is_needed_to_import_a_module_or_a_stage():
    lacking = {"soundfile", "soxr", "dvc", "pydantic"}
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # module level alone
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not lacking & {name.split(".")[0] for name in names}, path


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (np.empty(0), 16_000, "empty"),
        (np.zeros((2, 48_000)), 48_000, "of a wrong shape"),
        (np.zeros((2, 2, 2)), 48_000, "of a wrong shape"),
        (np.array(["a"]), 16_000, "of a wrong type"),
        (np.array([1, 2]), 16_000, "of a wrong type"),
        (np.array([1, -(2**15)], dtype=np.int32), 16_000, "of a wrong type"),  # of 16 bits
        (np.ma.masked_array([0.1, 0.2], mask=[True, False]), 16_000, "masked"),
        (torch.zeros(5).to_sparse(), 16_000, "of a wrong type"),
        (torch.zeros(5, device="meta"), 16_000, "of a wrong type"),
        (np.array([np.inf]), 16_000, "non-finite"),
        (np.zeros(5), 0, "undecodable"),
        (np.zeros(1), 96_000, "empty"),
    ],
)
def test_an_array_that_is_no_sound_is_refused_with_its_reason(samples, rate, reason):
    with pytest.raises(AudioError) as error:
        audio.from_samples(samples, rate)
    assert error.value.reason == reason


def test_silence_is_a_sound():
    assert not audio.from_samples(np.zeros(100), 16_000).any()


def test_whole_numbers_of_32_bits_have_the_full_scale_of_32_bits():
    samples = np.array([2**30, -(2**31), 0], dtype=np.int32)
    assert audio.from_samples(samples, 16_000).tolist() == [0.5, -1.0, 0.0]
    assert not audio.from_samples(np.zeros(9, dtype=np.int32), 16_000).any()  # silence


def test_a_tensor_that_is_a_view_is_read_as_what_it_shows():
    tensor = torch.tensor([0.25, -0.5])
    negated = torch.complex(torch.zeros(2), tensor).conj().imag  # a view that negates
    assert negated.is_neg()
    assert audio.from_samples(negated, 16_000).tolist() == [-0.25, 0.5]
