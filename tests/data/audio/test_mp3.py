"""MP3: whole frames are heard to the last one, whatever a length is stated or estimated."""

import struct
from pathlib import Path

import numpy as np
import pytest
from optional_packages import soundfile
from tiny_sounds import RATE, encode, loud_and_soft, mpeg_frames, sweep

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError

FRAME = 576  # samples
VARIABLE = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
CONSTANT = {"bitrate_mode": "CONSTANT", "compression_level": 0.8}
ID3V2 = b"ID3\x04\0\0\0\0\x07\x76" + b"TIT2".ljust(1014, b"\0")
ID3V1 = b"TAG" + b"title".ljust(125, b"\0")
APE_HEADED = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 1, 0xA000_0000) + bytes(2008)


def read(path, data, first_seconds=None):
    path.write_bytes(data)
    return audio.read_audio(path, first_seconds)


def refusal(path, data):
    with pytest.raises(AudioError) as error:
        read(path, data)
    return error.value


def without_xing(wave, **options):
    first, *frames = mpeg_frames(encode(wave, "MP3", **options))
    assert b"Xing" in first or b"Info" in first
    return frames


def close(one, other):
    """Whether two waves sound the same: their difference has a hundredth of the power."""
    difference = one - other
    return np.dot(difference, difference) < 0.01 * np.dot(other, other)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_variable_bit_rate_without_a_xing_frame_is_heard_to_its_end(tmp_path, backwards):
    wave = loud_and_soft(8.0)[:: -1 if backwards else 1]
    frames = without_xing(wave, **VARIABLE)
    sizes = [len(frame) for frame in frames]
    assert max(sizes) > 3 * min(sizes)
    heard = read(tmp_path / "a.mp3", b"".join(frames))
    assert len(heard) == len(frames) * FRAME - 529  # the decoder's own delay
    delay = 576  # samples of LAME's delay, which no frame tells to take off
    tone = slice(1_000, 90_000) if backwards else slice(40_000, 127_000)
    assert close(heard[delay:][tone], wave[tone])


def test_a_silent_start_does_not_make_a_whole_file_seem_cut_off(tmp_path):
    wave = loud_and_soft(8.0)[::-1].copy()
    wave[:8_000] = 0.0  # the first frames are small: the estimate is 13.3 s
    frames = without_xing(wave, **VARIABLE)
    assert len(frames[0]) < np.mean([len(frame) for frame in frames])
    assert len(read(tmp_path / "a.mp3", b"".join(frames))) == len(frames) * FRAME - 529


@pytest.mark.parametrize("options", [VARIABLE, CONSTANT])
def test_the_first_seconds_are_the_same_as_those_of_the_whole(tmp_path, options):
    data = encode(sweep(8.0), "MP3", **options)
    whole = read(tmp_path / "a.mp3", data)
    assert len(whole) == 8 * RATE
    assert np.array_equal(read(tmp_path / "a.mp3", data, 3.0), whole[: 3 * RATE])
    bare = b"".join(without_xing(sweep(8.0), **options))
    assert np.array_equal(
        read(tmp_path / "a.mp3", bare, 3.0), read(tmp_path / "a.mp3", bare)[: 3 * RATE]
    )


@pytest.mark.parametrize("between", [b"", ID3V1 + ID3V2, APE_HEADED + ID3V1])
@pytest.mark.parametrize("options", [VARIABLE, CONSTANT])
def test_joined_files_are_heard_one_after_the_other(tmp_path, options, between):
    one, two = sweep(3.0), sweep(2.0)[::-1]
    parts = [encode(one, "MP3", **options), encode(two, "MP3", **options)]
    waves = [read(tmp_path / "a.mp3", part) for part in parts]
    heard = read(tmp_path / "a.mp3", ID3V2 + parts[0] + between + parts[1] + ID3V1)
    assert np.array_equal(heard, np.concatenate(waves))
    assert len(heard) == 5 * RATE


def test_joined_files_may_differ_in_rate_and_channels(tmp_path):
    one, two = sweep(1.0), sweep(1.0, 44_100)
    both = np.stack([two, two], axis=1)
    data = encode(one, "MP3") + encode(both, "MP3", None, 44_100)
    heard = read(tmp_path / "a.mp3", data)
    assert abs(len(heard) - 2 * RATE) <= FRAME
    assert close(heard[RATE + 200 : 2 * RATE - 200], audio.from_samples(two, 44_100)[200:-200])


def test_joined_files_without_xing_frames_are_heard_to_the_end(tmp_path):
    frames = without_xing(sweep(3.0), **CONSTANT)
    data = b"".join(frames) + ID3V2 + b"".join(frames)
    assert len(read(tmp_path / "a.mp3", data)) == 2 * len(frames) * FRAME - 529


def test_what_stands_before_the_first_frame_is_skipped(tmp_path):
    data = encode(sweep(2.0), "MP3")
    whole = read(tmp_path / "a.mp3", data)
    for before in (
        ID3V2,
        ID3V2 + ID3V2,
        ID3V2 + bytes(3000),
        ID3V2[:6] + b"\0\0\x17\x76" + ID3V2[10:],
    ):
        assert np.array_equal(read(tmp_path / "a.mp3", before + data), whole)


def test_a_count_of_frames_that_is_too_small_hides_nothing(tmp_path):
    first, *frames = mpeg_frames(encode(sweep(4.0), "MP3"))
    whole = read(tmp_path / "a.mp3", first + b"".join(frames))
    place = first.index(b"Xing" if b"Xing" in first else b"Info") + 8
    lying = first[:place] + struct.pack(">I", len(frames) // 3) + first[place + 4 :]
    assert np.array_equal(read(tmp_path / "a.mp3", lying + b"".join(frames)), whole)


def test_a_file_that_ends_within_a_frame_is_refused_if_its_length_is_unknown(tmp_path):
    data = b"".join(without_xing(sweep(3.0), **VARIABLE))
    for size in (len(data) // 2, len(data) - 30, len(data) - len(data) // 3):
        error = refusal(tmp_path / "a.mp3", data[:size])
        assert (error.reason, "within a frame" in error.detail) == ("truncated", True)


@pytest.mark.parametrize("with_xing", [True, False])
def test_damaged_frames_are_silent_and_time_goes_on(tmp_path, with_xing):
    first, *frames = mpeg_frames(encode(sweep(4.0), "MP3", **CONSTANT))
    frames = [first, *frames] if with_xing else frames
    whole = read(tmp_path / "a.mp3", b"".join(frames))
    middle = len(frames) // 2
    for index in range(middle, middle + 3):
        frames[index] = bytes(len(frames[index]))
    heard = read(tmp_path / "a.mp3", b"".join(frames))
    assert len(heard) == len(whole)
    before, after = (middle - 4) * FRAME, (middle + 8) * FRAME
    assert close(heard[:before], whole[:before])
    assert close(heard[after:], whole[after:])


def test_a_file_of_which_more_than_a_tenth_is_damaged_is_refused(tmp_path):
    first, *frames = mpeg_frames(encode(sweep(4.0), "MP3", **CONSTANT))
    for index in range(40, 60):
        frames[index] = bytes(len(frames[index]))
    assert refusal(tmp_path / "a.mp3", first + b"".join(frames)).reason == "truncated"
    assert refusal(tmp_path / "a.mp3", b"".join(frames)).reason == "truncated"
    assert len(read(tmp_path / "a.mp3", first + b"".join(frames), 1.0)) == RATE


def test_frames_that_were_cut_out_are_noticed(tmp_path):
    first, *frames = mpeg_frames(encode(sweep(4.0), "MP3", **CONSTANT))
    data = b"".join(frames[:30])[:-50] + b"".join(frames[60:])
    assert refusal(tmp_path / "a.mp3", first + data).reason == "truncated"
    assert refusal(tmp_path / "a.mp3", data).reason == "damaged"


def test_an_incomplete_download_that_is_filled_with_zeros_is_refused(tmp_path):
    for data in (
        encode(sweep(4.0), "MP3", **CONSTANT),
        b"".join(without_xing(sweep(4.0), **CONSTANT)),
    ):
        assert refusal(tmp_path / "a.mp3", data[: len(data) // 2].ljust(len(data), b"\0"))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_ordinary_file_is_decoded_as_libsndfile_does(tmp_path, rate, channels):
    wave = np.stack([sweep(1.0, rate), sweep(1.0, rate)[::-1]], axis=1)[:, :channels]
    path = tmp_path / "a.mp3"
    path.write_bytes(encode(wave, "MP3", None, rate, **VARIABLE))
    with soundfile.SoundFile(path) as file:
        samples = file.read(dtype="float32", always_2d=True)
    assert len(samples) == rate
    assert np.array_equal(audio.read_audio(path), audio.from_samples(samples, rate))


@pytest.mark.parametrize("other", [".AppleDouble", "._"])
def test_what_else_lies_in_the_working_folder_does_not_matter(tmp_path, monkeypatch, other):
    # libsndfile takes them for resource forks of a file without a name.
    data = encode(loud_and_soft(2.0), "MP3")
    (tmp_path / "a.mp3").write_bytes(data)
    expected = audio.read_audio(tmp_path / "a.mp3")
    monkeypatch.chdir(tmp_path)
    Path(other).touch() if other == "._" else Path(other).mkdir()
    assert np.array_equal(audio.read_audio(Path("a.mp3")), expected)
    Path("b.mp3").write_bytes(data + data)
    assert len(audio.read_audio(Path("b.mp3"))) == 2 * len(expected)


@pytest.mark.parametrize("gaps", [(4095, 4095), (576, 4095), (4095, 0)])
def test_a_delay_or_padding_that_no_encoder_has_hides_nothing(tmp_path, gaps):
    wave = sweep(2.0)
    data = bytearray(encode(wave, "MP3"))
    place = data.find(b"LAME") + 21  # 12 bits each
    assert int.from_bytes(data[place : place + 3], "big") == 576 << 12 | 832
    whole = read(tmp_path / "whole", bytes(data))
    assert len(whole) == len(wave)
    data[place : place + 3] = (gaps[0] << 12 | gaps[1]).to_bytes(3, "big")
    heard = read(tmp_path / "lie", bytes(data))
    start = 576  # the encoder's delay, which nobody took off
    assert close(heard[start : start + len(wave)], whole[: len(heard) - start])
    assert len(heard) > len(wave)
