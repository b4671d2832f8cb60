"""Ogg: each link of a chain is heard, and no page that is missing or damaged is passed over."""

import functools
import struct

import numpy as np
import pytest
from tiny_sounds import RATE, encode, pages, sweep, with_checksum, without_end_flag

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError

CODECS = [
    ("VORBIS", RATE),
    pytest.param("OPUS", 48_000, marks=pytest.mark.slow),
    ("OPUS", RATE),
    pytest.param("VORBIS", 44_100, marks=pytest.mark.slow),
]


def read(path, data, first_seconds=None):
    path.write_bytes(data)
    return audio.read_audio(path, first_seconds)


def refusal(path, data):
    with pytest.raises(AudioError) as error:
        read(path, data)
    return error.value


@functools.cache
def ogg(seconds, codec, rate, backwards=False):
    return encode(sweep(seconds, rate)[:: -1 if backwards else 1], "OGG", codec, rate)


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_chained_files_are_heard_one_after_the_other(tmp_path, codec, rate):
    links = [ogg(3.1, codec, rate), ogg(2.0, codec, rate, backwards=True), ogg(1.3, codec, rate)]
    waves = [read(tmp_path / "a.ogg", link) for link in links]
    heard = read(tmp_path / "a.ogg", b"".join(links))
    assert abs(len(heard) - 6.4 * RATE) <= 1
    assert np.abs(heard - np.concatenate(waves)).max() < 0.05  # resampled at once or each
    assert len(read(tmp_path / "a.ogg", b"".join(links), 4.0)) == 4 * RATE
    cut = b"".join(links)[: len(links[0]) + len(links[1]) * 9 // 10]
    assert refusal(tmp_path / "a.ogg", cut).reason == "truncated"
    assert len(read(tmp_path / "a.ogg", cut, 3.0)) == 3 * RATE


def test_links_may_differ_in_codec_rate_and_channels(tmp_path):
    both = np.stack([sweep(1.0, 44_100)] * 2, axis=1)
    data = (
        ogg(2.0, "VORBIS", RATE) + encode(both, "OGG", "VORBIS", 44_100) + ogg(1.0, "OPUS", 48_000)
    )
    assert abs(len(read(tmp_path / "a.ogg", data)) - 4 * RATE) <= 2


def test_a_file_that_is_joined_to_itself_is_heard_twice(tmp_path):
    data = ogg(2.0, "VORBIS", RATE)
    once = read(tmp_path / "a.ogg", data)
    assert np.array_equal(read(tmp_path / "a.ogg", data + data), np.concatenate([once, once]))


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_a_flipped_bit_in_any_page_is_noticed(tmp_path, codec, rate):
    whole = pages(ogg(4.0, codec, rate))
    assert len(whole) >= 5
    for index, page in enumerate(whole):
        for place in (0, 5, 7, 24, 30, len(page) - 1):
            flipped = page[:place] + bytes([page[place] ^ 16]) + page[place + 1 :]
            error = refusal(
                tmp_path / "a.ogg", b"".join([*whole[:index], flipped, *whole[index + 1 :]])
            )
            assert error.reason in ("damaged", "truncated", "undecodable")


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_a_missing_page_is_noticed_where_it_would_be_heard(tmp_path, codec, rate):
    whole = pages(ogg(6.0, codec, rate))
    missing = b"".join([*whole[:-2], whole[-1]])
    assert refusal(tmp_path / "a.ogg", missing).reason == "damaged"
    part = read(tmp_path / "a.ogg", missing, 2.0)
    assert np.array_equal(part, read(tmp_path / "a.ogg", b"".join(whole), 2.0))
    assert len(part) == 2 * RATE


@pytest.mark.parametrize(("codec", "rate"), CODECS)
@pytest.mark.parametrize("seconds", [0.5, 2.01, 5.03])
def test_a_whole_file_whose_last_page_is_not_marked_is_heard(tmp_path, codec, rate, seconds):
    data = ogg(seconds, codec, rate)
    whole = read(tmp_path / "a.ogg", data)
    assert np.array_equal(read(tmp_path / "a.ogg", without_end_flag(data)), whole)
    assert abs(len(whole) - seconds * RATE) <= 1


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_a_file_that_ends_with_a_whole_page_that_is_not_the_last_is_refused(tmp_path, codec, rate):
    whole = pages(ogg(5.0, codec, rate))
    for count in range(3, len(whole)):
        error = refusal(tmp_path / "a.ogg", b"".join(whole[:count]))
        assert (error.reason, "without its last page" in error.detail) == ("truncated", True)


def test_the_sound_beside_other_streams_is_heard(tmp_path):
    sound = pages(ogg(3.0, "VORBIS", RATE))
    video = [
        with_checksum(
            b"OggS\0" + bytes([flags]) + bytes(8) + b"\x01\x02\x03\x04" + bytes([number, 0, 0, 0])
            + bytes(4) + bytes([1, len(text)]) + text
        )
        for number, (flags, text) in enumerate([(2, b"\x80theora"), (0, b"frame"), (4, b"end")])
    ]  # fmt: skip
    mixed = [video[0], sound[0], video[1], *sound[1:3], video[2], *sound[3:]]
    whole = read(tmp_path / "a.ogg", b"".join(sound))
    assert np.array_equal(read(tmp_path / "a.ogg", b"".join(mixed)), whole)


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_the_first_seconds_are_the_same_as_those_of_the_whole(tmp_path, codec, rate):
    data = ogg(6.0, codec, rate)
    whole, part = read(tmp_path / "a.ogg", data), read(tmp_path / "a.ogg", data, 2.0)
    assert len(part) == 2 * RATE
    assert np.allclose(part[:31_800], whole[:31_800], atol=1e-6)


@pytest.mark.parametrize("codec", ["OPUS", "VORBIS"])
@pytest.mark.parametrize("position", [1_000, -1])
def test_a_last_page_that_states_less_than_those_before_it_hides_nothing(tmp_path, codec, position):
    *before, last = pages(encode(sweep(4.0), "OGG", codec))
    last = with_checksum(last[:6] + struct.pack("<q", position) + last[14:])
    (tmp_path / "a.ogg").write_bytes(b"".join([*before, last]))
    with pytest.raises(AudioError, match="damaged: its pages state positions that go back"):
        audio.read_audio(tmp_path / "a.ogg")
    assert len(audio.read_audio(tmp_path / "a.ogg", 0.3)) == 4_800


@pytest.mark.parametrize("codec", ["OPUS", "VORBIS"])
def test_positions_of_a_broadcast_that_was_joined_late_are_those_of_its_sound(tmp_path, codec):
    data = encode(sweep(4.0), "OGG", codec)
    (tmp_path / "a.ogg").write_bytes(data)
    late = []
    for page in pages(data):
        (position,) = struct.unpack_from("<q", page, 6)
        position += 3600 * 48_000 * (position > 0)
        late.append(with_checksum(page[:6] + struct.pack("<q", position) + page[14:]))
    (tmp_path / "b.ogg").write_bytes(b"".join(late))
    waves = [audio.read_audio(tmp_path / name) for name in ("a.ogg", "b.ogg")]
    assert len(waves[1]) == pytest.approx(len(waves[0]), abs=1_000)
