"""A killed preparation resumes after its last shard, and ends with the same bytes."""

import os
import re
import shutil
from pathlib import Path

import pytest
from tiny_corpora import prepare_corpora, raw_folder, rejection_reasons, write_sound, write_text

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora import acceptance
from soundjudge.data.corpora.coverage import Coverage, CoverageReport
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts, progress


class Killed(BaseException):
    """An exception that no code catches."""


@pytest.fixture
def raw(in_folder: Path) -> Path:
    return raw_folder()


@pytest.fixture
def read_names(monkeypatch) -> list[str]:
    """The names of the sounds that are read from now on."""
    names: list[str] = []
    read_audio = acceptance.audio.read_audio

    def record(path, first_seconds):
        names.append(path.name)
        return read_audio(path, first_seconds)

    monkeypatch.setattr(acceptance.audio, "read_audio", record)
    return names


def kill_at(name: str, monkeypatch) -> None:
    """Prepares until it reads this sound."""
    read_audio = acceptance.audio.read_audio

    def kill(path, first_seconds):
        if path.name == name:
            raise Killed
        return read_audio(path, first_seconds)

    with monkeypatch.context() as patch:
        patch.setattr(acceptance.audio, "read_audio", kill)
        with pytest.raises(Killed):
            prepare_corpora(workers=1)


# In the order of clip ids, three per shard of 12,000 samples.
ORDER = [
    "-x_y_0.flac", "abc_30.wav", "val.ogg",
    "Yone_000030.wav", "two_000007.wav", "00000.wav",
    "00001.wav", "00002.wav", "00003.wav",
]  # fmt: skip


@pytest.mark.parametrize("at", [0, 2, 3, 5, 8])
@pytest.mark.slow
def test_killed_and_run_again_the_bytes_are_the_same(raw, monkeypatch, read_names, at):
    whole = prepare_corpora("whole")
    shutil.rmtree("work")
    kill_at(ORDER[at], monkeypatch)
    assert not Path("out").exists()
    read_names.clear()
    assert prepare_corpora("out", workers=1) == whole
    assert artifacts.sha256(Path("out")) == artifacts.sha256(Path("whole"))
    # A shard is complete, and not read again, when the sound before the killed one began the next.
    assert read_names == ORDER[max(at - 1, 0) // 3 * 3 :]


@pytest.mark.slow
def test_a_rejected_sound_is_named_once_however_often_the_run_was_killed(raw, monkeypatch):
    (raw / "audiocaps/audio/-x_y_0.flac").write_bytes(b"")
    (raw / "vggsound/audio/two_000007.wav").write_bytes(b"")
    kill_at("00001.wav", monkeypatch)
    kill_at("00003.wav", monkeypatch)
    metrics = prepare_corpora()
    assert rejection_reasons()["audio/train/-x_y_0"].startswith("empty")
    assert metrics["vggsound"]["rejected"]["empty"] == 1
    assert metrics["audiocaps"]["rejected"] == {"empty": 1, "missing": 1}


@pytest.mark.parametrize(
    "change",
    [
        "size",
        *(pytest.param(other, marks=pytest.mark.slow) for other in ("time", "gone", "settings")),
    ],
)
def test_what_was_changed_in_between_is_read_again(raw, monkeypatch, read_names, change):
    kill_at("00003.wav", monkeypatch)
    path = raw / "audiocaps/audio/train/abc_30.wav"
    changes = {}
    if change == "size":
        write_sound(path, seconds=0.3)
    elif change == "time":
        os.utime(path, ns=(0, 0))
    elif change == "gone":
        path.unlink()
    else:
        changes = {"min_seconds": 0.04}
    read_names.clear()
    prepare_corpora(**changes)
    assert "-x_y_0.flac" in read_names
    length = {"size": 4_800, "time": 3_200, "settings": 3_200}.get(change)
    clips = ClipStore(Path("out"))
    assert ("audiocaps/abc_30" in clips) == (length is not None)
    if length:
        assert len(clips.wave("audiocaps/abc_30")) == length


def test_a_limit_that_does_not_change_the_shards_keeps_what_was_read(raw, monkeypatch, read_names):
    kill_at("00003.wav", monkeypatch)
    read_names.clear()
    prepare_corpora(max_rejected_fraction=0.9, max_missing_fraction=1.0, max_characters=100)
    assert sorted(read_names) == ["00001.wav", "00002.wav", "00003.wav"]


@pytest.mark.slow
def test_shards_that_cannot_be_linked_are_copied(raw, monkeypatch):
    prepare_corpora("linked")

    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    prepare_corpora("copied")
    assert artifacts.sha256(Path("copied")) == artifacts.sha256(Path("linked"))


def test_sounds_in_two_corpora_or_splits_are_counted_sample_for_sample(raw):
    rated = raw / "xacle/wav/test/00003.wav"
    for number, path in enumerate(sorted(raw.glob("xacle/wav/*/*.wav"))):
        write_sound(path, level=0.1 + 0.1 * number)
    shutil.copy(rated, raw / "audiocaps/audio/train/abc_30.wav")
    shutil.copy(rated, raw / "audiocaps/audio/-x_y_0.wav")
    (raw / "audiocaps/audio/-x_y_0.flac").unlink()
    shutil.copy(rated, raw / "vggsound/audio/two_000007.wav")
    metrics = prepare_corpora()
    assert metrics["overlap"] == {
        "audiocaps/train and vggsound/test": 1,
        "audiocaps/train and xacle/test": 1,
        "vggsound/test and xacle/test": 1,
    }
    assert metrics["audiocaps"]["repeated"] == 1
    assert metrics["xacle"]["repeated"] == 0


def test_the_page_says_what_the_metrics_say():
    table = {
        "audiocaps": Coverage(
            listed=49_838, found=46_231, kept=46_000, cut=3, silent=5, repeated=2, hours=127.5,
            captions=46_100, rejected={"missing": 3_607, "silent": 231},
        )
    }  # fmt: skip
    shared = {"audiocaps/train and xacle/test": 4, "a/train and b/train": 1}
    text = CoverageReport(corpora=table, overlap=shared, recordings={"a and b": 1_002}).page()
    assert "| audiocaps | 49,838 | 46,231 | 46,000 | 3 | 5 | 2 | 127.5 | 46,100 |" in text
    assert "| audiocaps | silent | 231 |" in text
    same = "of the same sounds, sample for sample"
    assert f"- audiocaps/train and xacle/test: 4 {same}, rated for validation or test\n" in text
    assert f"- a/train and b/train: 1 {same}\n" in text
    none = CoverageReport(corpora=table, overlap={}, recordings={})
    assert "No sound is in two corpora or splits." in none.page()
    assert "- a and b: 1,002 recordings of YouTube in both\n" in text


def test_nothing_at_all_to_keep_is_an_empty_folder_and_no_crash(raw):
    for path in raw.glob("*/audio/**/*.*"):
        path.write_bytes(b"")
    for path in raw.glob("xacle/wav/*/*"):
        path.write_bytes(b"")
    write_text(Path("none/README.md"), "without")
    metrics = prepare_corpora(audiocaps="none", vggsound="none", max_rejected_fraction=1.0)
    assert metrics["xacle"]["kept"] == 0
    assert len(ClipStore(Path("out"))) == 0
    assert len(tables.read_table(Path("out/rated.parquet"), tables.RATED)) == 0


@pytest.mark.slow
def test_the_sounds_that_are_read_have_a_rate_and_a_time_left(raw, monkeypatch):
    (raw / "vggsound/audio/two_000007.wav").write_bytes(b"")
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    lines: list[str] = []
    prepare_corpora("whole", workers=1, log=lines.append)
    pattern = r"(\d+) of 10 sounds, (\d) rejected(, \S+ sounds a second, \d:\d\d:\d\d left)?"
    told = [match.groups() for line in lines if (match := re.fullmatch(pattern, line))]
    assert [int(read) for read, _, _ in told] == [*range(1, 11)]
    assert told[-1][1] == "2" and told[-1][2]  # one is missing, too

    shutil.rmtree("work")
    kill_at(ORDER[8], monkeypatch)
    prepare_corpora("out", workers=1, log=lines.append)
    assert lines[10:12] == [
        "8 of 10 sounds were read before: resuming after them",
        "9 of 10 sounds, 2 rejected",
    ]
