"""Two files in one, and tags before a file: all is heard, or it is refused with the reason."""

import functools
import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pytest
from tiny_sounds import encode, encode_by_ffmpeg, pages, sweep

from soundjudge.data.audio import audio, formats
from soundjudge.errors import AudioError

HAS_AV = importlib.util.find_spec("av") is not None
needs_av = pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed: soundjudge[decode]")
OURS = {"wav": "WAV", "aiff": "AIFF", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}
FOREIGN = {"m4a": ("mp4", "aac"), "webm": ("webm", "libopus"), "aac": ("adts", "aac")}
WAVE = np.round(sweep(2.0) * 32768).astype(np.int16)
FLAC = encode(WAVE, "FLAC", "PCM_16")
FOOTER = b"\x04\0\x10\0\0\0\x32"
TAG = b"ID3\x04\0\0\0\0\0\x32" + bytes(50)
TAG_WITH_FOOTER = b"ID3" + FOOTER + bytes(50) + b"3DI" + FOOTER


@functools.cache
def sound(kind):
    if kind in OURS:
        return encode(sweep(1.0), OURS[kind])
    with tempfile.TemporaryDirectory() as folder:
        return encode_by_ffmpeg(Path(folder, f"made.{kind}"), *FOREIGN[kind])


@needs_av
@pytest.mark.parametrize("first", [*OURS, *FOREIGN])
@pytest.mark.parametrize("second", [*OURS, *FOREIGN])
def test_a_file_of_another_format_behind_one_is_never_passed_over(tmp_path, first, second):
    one, other = sound(first), sound(second)
    (tmp_path / "one").write_bytes(one)
    alone = len(audio.read_audio(tmp_path / "one"))
    (tmp_path / "both").write_bytes(one + other)
    if first == second and first in ("flac", "ogg", "mp3", "aac", "webm"):  # formats that chain
        assert len(audio.read_audio(tmp_path / "both")) == pytest.approx(2 * alone, rel=0.05)
        return
    with pytest.raises(AudioError) as error:
        audio.read_audio(tmp_path / "both")
    assert error.value.reason in ("undecodable", "damaged")
    if first not in ("mp3", "aac"):  # of which every byte is held to be a frame
        assert "another file is joined" in str(error.value)


@pytest.mark.parametrize("between", [b"", TAG, b"TAG" + bytes(125)])
def test_an_mp3_behind_a_flac_is_told_whatever_tag_is_between(tmp_path, between):
    path = tmp_path / "a.flac"
    path.write_bytes(FLAC + between + encode(sweep(1.0), "MP3"))
    with pytest.raises(AudioError, match="another file is joined behind its samples"):
        audio.read_audio(path)
    assert len(audio.read_audio(path, 1.0)) == 16_000


@pytest.mark.slow
def test_noise_in_a_flac_is_not_taken_for_another_file(tmp_path):
    # A frame of 4,096 samples of noise holds some headers of MPEG audio by chance, and an
    # OggS written into the first frame's samples is no file.
    for seed in range(100):
        noise = np.random.default_rng(seed).integers(-(2**15), 2**15, 8192).astype(np.int16)
        noise[100:102] = np.frombuffer(b"OggS", np.int16)
        (tmp_path / "a.flac").write_bytes(encode(noise, "FLAC", "PCM_16"))
        assert np.array_equal(audio.read_audio(tmp_path / "a.flac") * 32768, noise)


@pytest.mark.parametrize("tags", [TAG, TAG_WITH_FOOTER, TAG + TAG, TAG_WITH_FOOTER + TAG])
@pytest.mark.parametrize("kind", OURS.values())
def test_tags_before_a_file_change_no_sample_of_it(tmp_path, tags, kind):
    data = encode(sweep(2.0), kind)
    (tmp_path / "bare").write_bytes(data)
    (tmp_path / "tagged").write_bytes(tags + data)
    bare, tagged = (audio.read_audio(tmp_path / name) for name in ("bare", "tagged"))
    assert np.array_equal(bare, tagged)
    assert len(bare) == pytest.approx(32_000, abs=1)


@needs_av
@pytest.mark.parametrize("kind", ["ogg", "oga"])
def test_flac_in_ogg_is_heard_whole_or_refused(tmp_path, kind):
    data = encode_by_ffmpeg(tmp_path / "a.ogg", kind, "flac", sample_rate=16_000)
    expected = np.round(sweep(2.0) * 32767) / 32768
    assert np.array_equal(audio.read_audio(tmp_path / "a.ogg"), expected.astype(np.float32))
    assert len(audio.read_audio(tmp_path / "a.ogg", 0.5)) == 8_000
    (tmp_path / "chained.ogg").write_bytes(data + data)
    assert len(audio.read_audio(tmp_path / "chained.ogg")) == 64_000
    whole = pages(data)
    damages = {
        "truncated": data[: len(data) * 8 // 10],
        "damaged": b"".join([*whole[:-2], whole[-1]]),
    }
    for reason, damaged in damages.items():
        (tmp_path / "b.ogg").write_bytes(damaged)
        with pytest.raises(AudioError, match=reason):
            audio.read_audio(tmp_path / "b.ogg")


def test_two_bytes_or_a_size_beyond_the_end_are_no_file():
    frame = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)  # ADTS: 16 bytes
    assert formats.is_file(4 * frame, 0) and not formats.is_file(frame + bytes(99), 0)
    box = b"\0\0\0\x10ftypM4A "
    assert formats.is_file(box + bytes(99), 0) and not formats.is_file(box, 0)
    assert formats.foreign_name(b"\x0bw\0\0", 0) == "ac3" and not formats.is_file(b"\x0bw\0\0", 0)
