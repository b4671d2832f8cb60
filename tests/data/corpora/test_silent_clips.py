"""Silent and faint sounds: kept where they are rated, rejected where they are captioned."""

from pathlib import Path

import numpy as np
import pytest
from tiny_corpora import config, prepare_corpora, raw_folder, rejection_reasons, write_sound

from soundjudge.data.clips import clip_levels
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora import preparation
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError

RATED = "xacle/00003.wav"  # of the test split


@pytest.fixture
def raw(in_folder: Path) -> Path:
    raw = raw_folder()
    write_sound(raw / "xacle/wav/test/00003.wav", level=0.0)
    write_sound(raw / "vggsound/audio/two_000007.wav", level=1e-4)
    return raw


def test_a_silent_sound_is_kept_if_rated_and_rejected_if_captioned(raw):
    metrics = prepare_corpora()
    rated = tables.read_table(Path("out/rated.parquet"), tables.RATED)
    assert "00003.wav" in set(rated["wav_file_name"])
    clips = ClipStore(Path("out"))
    assert not clips.wave(RATED).any()
    labels = preparation.test_ratings(preparation.list_corpora(config()), clips.ids())
    assert labels["wav_file_name"].tolist() == ["00003.wav"] * 2
    assert rejection_reasons()["audio/two_000007"] == "silent"
    assert (metrics["xacle"]["kept"], metrics["xacle"]["silent"]) == (4, 1)
    assert metrics["vggsound"]["silent"] == 0
    assert metrics["vggsound"]["rejected"]["silent"] == 1


def test_the_prepared_folder_says_which_clips_are_silent_and_at_which_level_the_others_are(raw):
    prepare_corpora(level_dbfs=-20.0)
    expected = clip_levels.ClipLevels(silence_dbfs=-70.0, level_dbfs=-20.0, silent=(RATED,))
    assert clip_levels.read_levels(Path("out")) == expected
    clips = ClipStore(Path("out"))
    for clip_id in set(clips.ids()) - {RATED}:
        assert np.sqrt(np.mean(clips.wave(clip_id) ** 2)) == pytest.approx(0.1, rel=1e-3)
    assert not clips.wave(RATED).any()


def test_without_a_level_the_samples_are_those_of_the_file(raw):
    prepare_corpora(level_dbfs=None)
    wave = ClipStore(Path("out")).wave("xacle/00000.wav")
    assert np.abs(wave).max() == pytest.approx(0.5, abs=1e-3)
    assert clip_levels.read_levels(Path("out")).level_dbfs is None


def test_silent_clips_that_are_made_lie_below_the_level_of_silence_and_in_a_shard_of_their_own(raw):
    prepare_corpora("none")
    prepare_corpora("some", num_silent=3)
    clips, before = ClipStore(Path("some")), ClipStore(Path("none"))
    of_corpus = clips.table["corpus"] == tables.SILENCE_CORPUS
    made = list(clips.table.loc[of_corpus, "clip_id"])
    assert made == ["silence/0", "silence/1", "silence/2"]
    assert set(clips.table.loc[of_corpus, "split"]) == {"train"}
    assert sorted(clips.ids()) == clips.ids()
    peaks = [np.abs(clips.wave(clip_id)).max() for clip_id in made]
    assert peaks[0] == 0 < peaks[2] < peaks[1] < 10 ** (-70 / 20)
    for clip_id in before.ids():
        assert np.array_equal(clips.wave(clip_id), before.wave(clip_id))


def test_a_folder_of_an_older_preparation_is_named(tmp_path):
    with pytest.raises(SoundjudgeError, match=r"levels\.json does not exist: run"):
        clip_levels.read_levels(tmp_path)
