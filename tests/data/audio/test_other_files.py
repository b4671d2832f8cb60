"""Files as people have them: odd chunks, other formats inside, before and behind, and no sounds."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError

RATE = 16_000
WAVE = np.sin(np.arange(RATE) * np.linspace(0.05, 0.4, RATE)) / 2  # a second
PCM = (WAVE * 2**15).round().astype("<i2")
MONO = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
TAG = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)
JOINED = "another file is joined behind its samples, split them"


def wav(content: bytes = PCM.tobytes(), before: bytes = b"", behind: bytes = b"") -> bytes:
    """A WAV file with other chunks."""
    body = b"WAVE" + before + b"fmt \x10\0\0\0" + MONO + b"data"
    body += struct.pack("<I", len(content)) + content + behind
    return b"RIFF" + struct.pack("<I", len(body)) + body


def encode(kind: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, WAVE, RATE, format=kind, subtype=subtype)
    return buffer.getvalue()


FLAC, MP3 = encode("FLAC", "PCM_16"), encode("MP3", "MPEG_LAYER_III")
VORBIS, AIFF = encode("OGG", "VORBIS"), encode("AIFF", "PCM_16")


def read(folder: Path, content: bytes) -> np.ndarray:
    path = folder / "a.wav"
    path.write_bytes(content)
    return audio.read_audio(path)


def refusal(folder: Path, content: bytes) -> AudioError:
    with pytest.raises(AudioError) as error:
        read(folder, content)
    return error.value


@pytest.mark.parametrize("name", [b"LIST", b"JUNK", b"bext", b"id3 ", b"iXML", b"fact"])
@pytest.mark.parametrize("padding", [b"", b"\0"])
def test_a_chunk_of_odd_length_may_lack_its_padding(tmp_path, name, padding):
    chunk = name + struct.pack("<I", 9) + b"INFOabcde" + padding
    if name != b"LIST" or not padding:  # libsndfile is told the rest of such a list
        wave = read(tmp_path, wav(before=chunk))
        assert wave.tolist() == (PCM / 2**15).astype(np.float32).tolist()
    odd = wav(content=PCM.tobytes()[:-1], behind=padding + chunk)
    assert len(read(tmp_path, odd)) == len(PCM) - 1


@pytest.mark.parametrize("content", [wav(), AIFF, encode("RF64", "PCM_16")])
@pytest.mark.parametrize("tags", [1, 2])
def test_a_tag_of_id3_before_a_file_of_chunks_is_skipped(tmp_path, content, tags):
    assert read(tmp_path, tags * TAG + content).tolist() == read(tmp_path, content).tolist()


@pytest.mark.parametrize("inside", [FLAC, VORBIS, MP3, TAG + MP3, wav(), AIFF])
def test_a_file_that_someone_called_samples_is_no_noise(tmp_path, inside):
    error = refusal(tmp_path, wav(content=inside))
    assert (error.reason, error.detail) == (
        "undecodable", "its samples are a file of another format, save them as such"
    )  # fmt: skip


@pytest.mark.parametrize("first", [wav(), AIFF, FLAC, VORBIS])
@pytest.mark.parametrize("second", [wav(), AIFF, FLAC, VORBIS, MP3, TAG + MP3])
def test_no_file_behind_one_of_another_format_is_left_out_in_silence(tmp_path, first, second):
    if first == second:
        return  # of FLAC and Ogg it is played, of the others it is refused elsewhere
    if first == FLAC and second in (MP3, TAG + MP3):
        return  # nothing tells MP3 from the end of a frame
    assert refusal(tmp_path, first + second).detail == JOINED


def test_the_head_of_the_encoded_wav_in_a_flac_file_is_no_joined_file(tmp_path):
    block = b"riff" + wav()[:12]
    kept = b"\x02" + len(block).to_bytes(3, "big") + block  # an application block
    content = FLAC[:4] + bytes([FLAC[4] & 0x7F]) + FLAC[5:42]
    rest = FLAC[42:] if not FLAC[4] & 0x80 else b""
    assert len(read(tmp_path, content + kept + rest)) == len(PCM)


def test_zeros_behind_all_frames_that_an_mp3_states_are_no_damage(tmp_path):
    assert len(read(tmp_path, MP3 + bytes(len(MP3)))) == len(read(tmp_path, MP3))
    assert "not end with frames" in refusal(tmp_path, MP3 + b"\x55" * len(MP3)).detail
    cut = MP3[: len(MP3) // 2]
    assert refusal(tmp_path, cut + bytes(len(MP3) - len(cut))).reason in ("damaged", "truncated")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS, run git lfs pu"),
        (b"../../.git/annex/objects/a/b/c.wav\n", "git-annex, run git annex get"),
        (b"/annex/objects/SHA256E-s123--00.wav\n", "git-annex, run git annex get"),
        (b"outs:\n- md5: 00\n  path: a.wav\n", "a pointer of DVC, run dvc pull"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(99), "its sound is in the file without ._"),
        (b"\n<!doctype html>\n<html>404</html>", "a page of the web, download the sound again"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "a page of the web, download the sound"),
        (b'{"error": "Repository not found"}', "JSON such as a server's error"),
        (b"PK\3\4" + bytes(99), "an archive, unpack it"),
        (b"\x1f\x8b\x08" + bytes(99), "an archive, unpack it"),
        (b"\x93NUMPY\1\0" + bytes(99), "an array of numpy, load it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "a file of a file browser, remove it"),
        (b"\0\0\0\1Bud1" + bytes(99), "a file of a file browser, remove it"),
        (b"%PDF-1.7\n", "a document or a picture"),
        (b"wav_file_name,text\na.wav,rain\n", "no sound but text"),
        (bytes(100_000), "nothing but zeros, download the sound again"),
        (bytes(600) + b"\1" + bytes(99), "it is no WAV, AIFF, FLAC, Ogg or MP3 file"),
        (b"\xff" * 999, "it is no WAV, AIFF, FLAC, Ogg or MP3 file"),
        (b".snd\0\0\0\x18" + bytes(99), "convert it (ffmpeg -i a.wav a.wav)"),
    ],
)
def test_what_is_no_sound_is_told_with_what_to_do(tmp_path, content, words):
    error = refusal(tmp_path, content)
    assert error.reason == "undecodable"
    assert words in error.detail


def test_what_libsndfile_says_comes_with_a_remedy(tmp_path):
    no_data = refusal(tmp_path, b"RIFF\x04\0\0\0WAVE")
    assert no_data.detail.endswith("; get it again or convert it (ffmpeg -i a.wav a.wav)")


def test_layers_that_do_not_say_how_long_they_are_are_refused_with_the_remedy(tmp_path):
    header = 0xFFFC_A004  # MPEG 1, layer 2, 192 kbit/s, 44.1 kHz
    frame = header.to_bytes(4, "big") + bytes(144 * 192_000 // 44_100 - 4)
    error = refusal(tmp_path, 20 * frame)
    assert (
        error.detail
        == "MPEG layers 1 and 2 do not say how long they are, convert it to wav or flac"
    )


def test_a_tag_of_any_size_behind_the_samples_is_no_joined_file(tmp_path):
    tag = b"ID3\3\0\0\0\0\x7f\x7f" + bytes(16_383)
    assert len(read(tmp_path, wav() + tag)) == len(PCM)
    assert refusal(tmp_path, wav() + tag + MP3).detail == JOINED
