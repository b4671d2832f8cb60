"""Files that were cut, flipped or overwritten are heard almost whole or refused, never in part.

`SOUND_MUTATIONS=2000` makes more of them. A mutation of linear samples, or one that a header does
not contradict (a rate), can't be noticed: those that change the rate are flagged.
"""

import math
import os

import numpy as np
import pytest
from tiny_sounds import encode, mpeg_frames, sweep

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError

COUNT = int(os.environ.get("SOUND_MUTATIONS", "240"))
KINDS = [
    ("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None),
    ("AIFF", "PCM_16"), ("RF64", "PCM_16"), ("bare MP3", None),
]  # fmt: skip
# Where no length is stated, a cut between two frames can't be noticed; AIFF says its rate once,
# which may become another usual one (16 to 32 kHz).
UNPROTECTED = {"bare MP3": 0.03, "AIFF": 0.005}
BLOCK = 320  # samples


def whole(kind, subtype):
    if kind == "bare MP3":
        return b"".join(mpeg_frames(encode(sweep(2.0), "MP3"))[1:])
    return encode(sweep(2.0), kind, subtype)


def mutated(data, rng):
    """One of: cut off; up to three bits flipped; one bit of the first 120 bytes flipped."""
    data, kind = bytearray(data), rng.integers(3)
    if kind == 0:
        return bytes(data[: rng.integers(1, len(data))])
    for _ in range(rng.integers(1, 4) if kind == 1 else 1):
        data[rng.integers(len(data) if kind == 1 else 120)] ^= 1 << rng.integers(8)
    return bytes(data)


def share_that_is_right(wave, expected):
    """The share of blocks of 20 ms whose difference has less than a fifth of their power."""
    right = 0
    count = len(expected) // BLOCK
    for start in range(0, count * BLOCK, BLOCK):
        block, other = expected[start : start + BLOCK], wave[start : start + BLOCK]
        if len(other) == BLOCK:
            difference = block - other
            right += np.dot(difference, difference) < 0.2 * np.dot(block, block) + 1e-6
    return right / count


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_a_mutated_file_is_heard_almost_whole_or_refused(tmp_path, kind, subtype):
    path = tmp_path / "a"
    data = whole(kind, subtype)
    path.write_bytes(data)
    expected = audio.read_audio(path)
    rng = np.random.default_rng(11)
    partly, wrong, heard = 0, 0, 0
    for _ in range(COUNT // len(KINDS)):
        path.write_bytes(mutated(data, rng))
        try:
            sound = audio.read_sound(path)  # no other error than an AudioError
        except AudioError:
            continue
        heard += 1
        if sound.flags.unusual_rate:
            continue
        partly += len(sound.wave) < 0.9 * len(expected)
        wrong += share_that_is_right(sound.wave, expected) < 0.89
    made = COUNT // len(KINDS)
    assert partly <= math.ceil(UNPROTECTED.get(kind, 0.0) * made)  # one file, if any
    assert wrong - partly <= 0.1 * made  # of a header's fields that nothing checks
    assert heard or kind == "OGG"
