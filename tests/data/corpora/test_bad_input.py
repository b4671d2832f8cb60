"""What is bad is named with its reason, before hours are spent on it and never after."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from optional_packages import soundfile
from privileges import without_privileges
from tiny_corpora import (
    config,
    prepare_corpora,
    raw_folder,
    rejection_reasons,
    write_sound,
    write_text,
)

from soundjudge.data.audio import audio
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora import acceptance, corpus, preparation
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError

AUDIOCAPS = "audiocap_id,youtube_id,start_time,caption\n"


@pytest.fixture
def raw(in_folder: Path) -> Path:
    return raw_folder()


def list_clips(raw: Path, *names: str) -> Path:
    """AudioCaps lists these clips and nothing else; their sounds belong in the folder."""
    rows = "".join(f"{number},{name},0,A caption\n" for number, name in enumerate(names))
    shutil.rmtree(raw / "audiocaps")
    write_text(raw / "audiocaps/train.csv", AUDIOCAPS + rows)
    (raw / "audiocaps/audio/train").mkdir(parents=True)
    return raw / "audiocaps/audio/train"


def test_every_kind_of_bad_file_is_rejected_with_its_reason_and_the_others_are_kept(raw):
    folder = list_clips(
        raw, "truncated", "empty", "zero", "silent", "nan", "loud", "named", "wide", "fast",
        "video", "folder", "broken", "loop", "pipe", "gone", "short", "good",
    )  # fmt: skip
    write_sound(folder / "truncated.wav", seconds=0.4)
    os.truncate(folder / "truncated.wav", 6_000)
    (folder / "empty.flac").touch()
    soundfile.write(folder / "zero.wav", np.empty(0), 16_000)
    write_sound(folder / "silent.wav", level=0.0)
    soundfile.write(folder / "nan.wav", np.full(3_200, np.nan), 16_000, subtype="FLOAT")
    soundfile.write(folder / "loud.wav", np.full(3_200, 1e4), 16_000, subtype="FLOAT")
    write_sound(folder / "mp3.mp3")
    (folder / "mp3.mp3").rename(folder / "named.wav")  # read by content
    soundfile.write(folder / "wide.wav", np.full((3_200, 8), 0.5), 16_000)
    write_sound(folder / "fast.wav", rate=192_000)
    (folder / "video.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    (folder / "folder.wav").mkdir()
    (folder / "broken.wav").symlink_to("nowhere.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    os.mkfifo(folder / "pipe.wav")
    write_sound(folder / "short.wav", seconds=0.01)
    write_sound(folder / "good.wav")
    metrics = prepare_corpora(max_rejected_fraction=1.0)["audiocaps"]
    expected = {
        "truncated": "truncated: 0.19 s of 0.40 s are there",
        "empty": "empty: the file has no bytes",
        "zero": "empty: it holds no samples",
        "silent": "silent",
        "nan": "non-finite: some samples are NaN or infinite",
        "loud": "out of range: a peak of 10000, scale it to -1 to 1",
        "video": "undecodable: ",
        "folder": "no file: it is a folder",
        "broken": "missing: there is no such file",
        "loop": "unreadable: Too many levels of symbolic links",
        "pipe": "no file: it is a device or a pipe",
        "gone": "missing",
        "short": "too short: 0.010 s",
    }
    reasons = rejection_reasons()
    for name, reason in expected.items():
        assert reasons.pop(f"audio/train/{name}_0").startswith(reason), name
    assert not [name for name in reasons if name.startswith("audio/")]
    kept = [name for name in ClipStore(Path("out")).ids() if name.startswith("audiocaps/")]
    assert kept == [f"audiocaps/{name}_0" for name in ("fast", "good", "named", "wide")]
    assert (metrics["listed"], metrics["found"], metrics["kept"]) == (17, 16, 4)
    assert sum(metrics["rejected"].values()) == 13


def test_a_folder_named_like_a_sound_does_not_hide_the_sound(tmp_path):
    (tmp_path / "a.wav").mkdir()
    write_sound(tmp_path / "a.mp3")
    assert corpus.audio_files(tmp_path) == {"a": tmp_path / "a.mp3"}


def test_which_of_two_equal_names_counts_does_not_depend_on_the_disk(tmp_path, monkeypatch):
    for name in ("a.WAV", "a.wav", "a.Wav"):
        (tmp_path / name).touch()
    orders = []
    for backwards in (False, True):
        entries = sorted(corpus.list_folder(tmp_path), key=lambda e: e.name, reverse=backwards)
        with monkeypatch.context() as patch:
            patch.setattr(corpus, "list_folder", lambda folder, entries=entries: entries)
            orders.append(corpus.audio_files(tmp_path))
    assert orders[0] == orders[1]


def test_links_in_a_circle_end_the_search_of_no_folder(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/again").symlink_to(tmp_path / "audio")
    write_sound(tmp_path / "audio/a.wav")
    assert list(corpus.audio_files(tmp_path / "audio")) == ["a"]
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert corpus.audio_files(tmp_path / "circle") == {}


def test_a_folder_that_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "audio"
        folder.mkdir(mode=0)
        Path(name).chmod(0o755)
        with without_privileges():
            with pytest.raises(SoundjudgeError, match=r"audio cannot be read: Permission denied"):
                corpus.audio_files(folder)
            with pytest.raises(SoundjudgeError, match=r"audio cannot be read: Permission denied"):
                corpus.is_omitted(folder, "prepare.xacle")
        folder.chmod(0o755)


def test_empty_and_endless_captions_are_rejected_with_their_reason(raw):
    endless = "word " * 5_000
    write_text(
        raw / "audiocaps/train.csv",
        AUDIOCAPS + f'1,abc,30,{endless}\n2,abc,30,"  "\n3,abc,30,\n14,abc,30,{"x" * 200}\n',
    )
    metrics = prepare_corpora(max_rejected_fraction=1.0)
    reasons = rejection_reasons()
    assert reasons["audiocaps/1"] == "caption too long: 24999 characters"
    assert reasons["audiocaps/2"] == reasons["audiocaps/3"] == "empty caption"
    assert "audiocaps/14" not in reasons
    assert metrics["audiocaps"]["rejected"] == {"caption too long": 1, "empty caption": 2}


def test_a_sound_whose_captions_are_all_bad_is_not_read(raw):
    write_text(raw / "audiocaps/train.csv", AUDIOCAPS + "1,abc,30,\n2,-x_y,0,Rain\n")
    prepare_corpora(max_rejected_fraction=1.0)
    assert "audiocaps/abc_30" not in ClipStore(Path("out"))


@pytest.mark.parametrize(
    "file",
    [
        "audiocaps/train.csv",
        "vggsound/VGGSound_AudioSetCaps_caption.csv",
        "xacle/meta_data/train.csv",
    ],
)
def test_a_list_that_is_not_utf_8_is_named_with_its_line(raw, file):
    path = raw / file
    path.write_bytes(path.read_bytes().replace(b"A dog", b"Un ch\xe9").replace(b"a dog", b"\xe9"))
    with pytest.raises(SoundjudgeError, match=rf"{path.name}, line 2 is not UTF-8"):
        preparation.list_corpora(config())


def test_what_the_lists_alone_show_stops_before_any_sound_is_read(raw, monkeypatch):
    monkeypatch.setattr(audio, "read_audio", None)
    write_text(raw / "audiocaps/train.csv", AUDIOCAPS + "1,abc,30,\n2,-x_y,0,\n3,abc,30,A dog\n")
    with pytest.raises(SoundjudgeError, match=r"audiocaps: too many.*\n +2  empty caption"):
        preparation.list_corpora(config(max_rejected_fraction=0.3))


@pytest.mark.slow
def test_a_corpus_too_bad_stops_at_once_and_goes_on_when_the_limit_is_raised(raw, monkeypatch):
    names = [f"n{number:03d}" for number in range(60)]
    folder = list_clips(raw, *names)
    for name in names:
        write_sound(folder / f"{name}.wav", level=0.0 if name < "n010" else 0.5)
    names_read = []
    read_audio = audio.read_audio

    def record(path, first_seconds):
        names_read.append(path.name)
        return read_audio(path, first_seconds)

    monkeypatch.setattr(acceptance.audio, "read_audio", record)
    with pytest.raises(SoundjudgeError, match=r"audiocaps: too many.*\n +10  silent"):
        prepare_corpora(max_rejected_fraction=0.1, workers=1)
    # A shard of 12,000 samples holds three clips: the next sixty-odd sounds are not read any more.
    assert len(names_read) < 30
    first = set(names_read[:13])
    names_read.clear()
    prepare_corpora(max_rejected_fraction=0.5, workers=1)
    assert not first & set(names_read)
    assert (ClipStore(Path("out")).table["corpus"] == "audiocaps").sum() == 50


def test_a_missing_clip_of_a_list_is_named_and_its_captions_are_gone(raw):
    prepare_corpora()
    assert rejection_reasons()["audio/train/gone_5"] == "missing"
    captions = tables.read_table(Path("out/captions.parquet"), tables.CAPTIONS)
    assert "audiocaps/3" not in set(captions["caption_id"])
