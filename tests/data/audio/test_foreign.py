"""m4a, aac, webm and their like: decoded where PyAV is installed, else refused with the remedy."""

import functools
import importlib.util
import io
import sys

import numpy as np
import pytest
from tiny_sounds import encode_by_ffmpeg, sweep

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError

HAS_AV = importlib.util.find_spec("av") is not None
needs_av = pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed: soundjudge[decode]")
RATE = 48_000
FORMATS = [
    ("mp4", "aac"), ("mov", "aac"), ("mp4", "alac"), ("adts", "aac"), ("webm", "libopus"),
    ("matroska", "aac"), ("wv", "wavpack"), ("tta", "tta"),
]  # fmt: skip


@functools.cache
def encoded(kind, codec):
    return encode_by_ffmpeg(io.BytesIO(), kind, codec, sample_rate=RATE, bit_rate=64_000)


def refusal(path, data):
    path.write_bytes(data)
    with pytest.raises(AudioError) as error:
        audio.read_audio(path)
    return error.value


@needs_av
@pytest.mark.parametrize(("kind", "codec"), FORMATS)
@pytest.mark.parametrize("suffix", ["m4a", "wav", "mp3", "ogg"])
def test_it_is_heard_whatever_its_name(tmp_path, kind, codec, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(encoded(kind, codec))
    wave = audio.read_audio(path)
    assert 2 * 16_000 - 16 <= len(wave) <= 2 * 16_000 + 1_100  # a coder's delay and padding
    expected = audio.from_samples(sweep(2.0, RATE), RATE)
    delay = np.argmax(np.correlate(wave[:8_000], expected[3_000:5_000], "valid")) - 3_000
    heard = wave[3_000 + delay : 28_000 + delay]
    assert np.corrcoef(heard, expected[3_000:28_000])[0, 1] > 0.9


@needs_av
@pytest.mark.parametrize(("kind", "codec"), FORMATS)
def test_it_is_the_same_behind_a_tag(tmp_path, kind, codec):
    data = encoded(kind, codec)
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "tagged").write_bytes(b"ID3\4\0\0\0\0\1\x10" + bytes(144) + data)
    plain, tagged = (audio.read_audio(tmp_path / name) for name in ("plain", "tagged"))
    assert np.array_equal(plain, tagged)


@needs_av
@pytest.mark.parametrize(("kind", "codec"), FORMATS)
def test_one_that_was_cut_off_is_refused(tmp_path, kind, codec):
    data = encoded(kind, codec)
    for share in (0.3, 0.7):
        error = refusal(tmp_path / "a", data[: int(share * len(data))])
        assert error.reason in ("truncated", "undecodable")


@needs_av
def test_only_the_first_seconds_are_heard_if_no_more_are_asked_for(tmp_path):
    (tmp_path / "a.m4a").write_bytes(encoded("mp4", "aac"))
    assert len(audio.read_audio(tmp_path / "a.m4a", 0.5)) == 8_000


@needs_av
def test_a_video_without_sound_is_refused(tmp_path):
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 16
        image = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
        container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    assert refusal(tmp_path / "a.mp4", file.getvalue()).detail == "it holds no sound"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x1cftypM4A \0\0\0\0", "mp4 or m4a"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "webm or mkv"),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", "aac"),
        (b"0&\xb2u\x8ef\xcf\x11", "wma"),
    ],
)
def test_where_the_decoder_is_not_installed_the_remedy_is_told(tmp_path, monkeypatch, start, name):
    monkeypatch.setitem(sys.modules, "av", None)
    error = refusal(tmp_path / "a.wav", start + bytes(1000))
    assert error.reason == "undecodable"
    assert error.detail.startswith(f"{name} files need a decoder that is not installed")
    assert "pip install 'soundjudge[decode]'" in error.detail and "wav or flac" in error.detail


@needs_av
def test_garbage_that_begins_like_one_is_refused(tmp_path):
    noise = np.random.default_rng(0).bytes(5_000)
    for start in (
        b"\0\0\0\x1cftypM4A ",
        b"\x1aE\xdf\xa3",
        b"\xff\xf1\x50\x80",
        b"0&\xb2u",
        b"wvpk",
    ):
        assert refusal(tmp_path / "a", start + noise).reason in (
            "undecodable", "truncated", "damaged", "empty",
        )  # fmt: skip


def test_a_format_that_does_not_say_how_long_it_is_is_refused_with_the_remedy(tmp_path):
    for start in (b"#!AMR\n", b"\x0bw\0\0"):
        assert (
            "convert the file to wav or flac" in refusal(tmp_path / "a", start + bytes(99)).detail
        )


@needs_av
def test_mp3_in_a_wav_file_is_heard_to_its_end(tmp_path):
    data = encoded("wav", "libmp3lame")
    (tmp_path / "a.wav").write_bytes(data)
    assert 32_000 <= len(audio.read_audio(tmp_path / "a.wav")) <= 32_000 + 1_152
    assert refusal(tmp_path / "a.wav", data[: len(data) // 2]).reason == "truncated"
