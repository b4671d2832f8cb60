"""Files that FFmpeg decodes in part without a word: joined, cut off, or short of a little."""

import importlib.util

import pytest
from tiny_sounds import encode_by_ffmpeg

from soundjudge.data.audio import audio, containers
from soundjudge.errors import AudioError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("av") is None, reason="PyAV is not installed: soundjudge[decode]"
)


def refusal(path, data):
    path.write_bytes(data)
    with pytest.raises(AudioError) as error:
        audio.read_audio(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "aac"), ("mov", "pcm_s16le"), ("3gp", "aac"), ("tta", "tta")]
)
def test_joined_files_are_refused_and_not_heard_in_part(tmp_path, kind, codec):
    data = encode_by_ffmpeg(tmp_path / "a", kind, codec)
    assert len(audio.read_audio(tmp_path / "a")) >= 32_000
    assert "another file is joined behind it, split them" in refusal(tmp_path / "b", data + data)


def test_a_file_in_fragments_is_heard_whole(tmp_path):
    flags = "frag_keyframe+empty_moov+default_base_moof"
    data = encode_by_ffmpeg(tmp_path / "a", "mp4", "aac", movflags=flags, frag_duration="500000")
    assert data.count(b"moof") > 2
    assert 32_000 <= len(audio.read_audio(tmp_path / "a")) <= 34_000


def test_a_live_recording_without_a_length_is_heard_whole_or_refused(tmp_path):
    data = encode_by_ffmpeg(tmp_path / "a.webm", "webm", "libopus", live="1")
    assert len(audio.read_audio(tmp_path / "a.webm")) == pytest.approx(32_000, abs=400)
    for size in (len(data) // 3, len(data) // 2, len(data) - 7):
        assert "ends within a block, or" in refusal(tmp_path / "cut.webm", data[:size])


def test_a_live_recording_whose_length_ffmpeg_guesses_is_not_heard_in_part(tmp_path):
    data = encode_by_ffmpeg(tmp_path / "a.mkv", "matroska", "pcm_s16le", live="1")
    assert len(audio.read_audio(tmp_path / "a.mkv")) == pytest.approx(32_000, abs=10)
    for share in (0.3, 0.6, 0.9):
        words = refusal(tmp_path / "cut.mkv", data[: int(share * len(data))])
        assert "does not say how long it was" in words


@pytest.mark.parametrize(
    ("kind", "codec", "options"), [("webm", "libopus", {"live": "1"}), ("tta", "tta", {})]
)
def test_zeros_in_the_middle_are_no_end_and_no_noise(tmp_path, kind, codec, options):
    data = encode_by_ffmpeg(tmp_path / "a", kind, codec, **options)
    middle, eighth = len(data) // 2, len(data) // 8
    zeros = data[: middle - eighth] + bytes(2 * eighth) + data[middle + eighth :]
    assert "damaged" in refusal(tmp_path / "b", zeros)


def test_a_file_that_lacks_a_little_is_heard_and_flagged(tmp_path):
    data = encode_by_ffmpeg(tmp_path / "a.webm", "webm", "libopus")
    assert audio.read_sound(tmp_path / "a.webm").flags.names() == []
    (tmp_path / "cut.webm").write_bytes(data[: int(0.93 * len(data))])
    cut = audio.read_sound(tmp_path / "cut.webm")
    assert 28_800 < len(cut.wave) < 30_400
    assert cut.flags.names() == ["incomplete"]
    first = audio.read_sound(tmp_path / "cut.webm", 1.0)  # all that was asked for is there
    assert first.flags.names() == []


def test_boxes_of_no_size_or_of_64_bits_are_walked_over():
    wide = b"\0\0\0\1mdat" + (24).to_bytes(8, "big") + bytes(8)
    moov, rest = b"\0\0\0\x08moov", b"\0\0\0\0mdat"
    for boxes, expected in (
        (moov + wide + moov, containers.JOINED),
        (wide + moov + rest + moov, ""),  # the last box holds the rest, whatever its bytes
        (b"\0\0\0\1mdat", ""),
    ):
        assert containers.refusal("mov", boxes, has_length=True) == expected
