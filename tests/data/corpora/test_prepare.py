"""From folders as downloaded to a prepared folder: nothing lost, nothing invented."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from optional_packages import soundfile
from repository import run_stage, write_params
from tiny_corpora import (
    CONFIG,
    config,
    prepare_corpora,
    raw_folder,
    rejection_reasons,
    write_sound,
    write_text,
)

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora import audiocaps, corpus, preparation, vggsound, xacle
from soundjudge.data.tables import tables
from soundjudge.data.user_files import delimited
from soundjudge.doctor import consistency
from soundjudge.errors import ParamsError, SoundjudgeError
from soundjudge.runtime import artifacts


@pytest.fixture
def raw(in_folder: Path) -> Path:
    return raw_folder()


def test_all_three_corpora_are_read_to_the_letter(raw):
    metrics = prepare_corpora()
    clips = ClipStore(Path("out"))
    assert clips.ids() == [
        "audiocaps/-x_y_0",
        "audiocaps/abc_30",
        "audiocaps/val_10",
        "vggsound/Yone_000030",
        "vggsound/two_000007",
        "xacle/00000.wav",
        "xacle/00001.wav",
        "xacle/00002.wav",
        "xacle/00003.wav",
    ]
    validation = clips.table.loc[clips.table["split"] == "validation", "clip_id"]
    assert list(validation) == ["audiocaps/val_10", "xacle/00002.wav"]
    assert all(len(clips.wave(clip_id)) == 3_200 for clip_id in clips.ids())
    captions = tables.read_table(Path("out/captions.parquet"), tables.CAPTIONS)
    assert list(
        zip(captions["caption_id"], captions["clip_id"], captions["text"], strict=True)
    ) == [
        ("audiocaps/1", "audiocaps/abc_30", "A dog barks"),
        ("audiocaps/2", "audiocaps/-x_y_0", "Rain falls"),
        ("audiocaps/4", "audiocaps/val_10", "A bell rings"),
        ("audiocaps/5", "audiocaps/val_10", "A bell"),
        ("vggsound/Yone_000030", "vggsound/Yone_000030", "A dog barks"),
        ("vggsound/two_000007", "vggsound/two_000007", "Rain"),
        ("vggsound/two_000007#1", "vggsound/two_000007", "It rains"),
    ]
    assert rejection_reasons() == {
        "audio/train/gone_5": "missing",
        "mute_000000": "no caption",
        "no_000001": "caption of no clip",
    }
    assert metrics["audiocaps"] == {
        "listed": 4,
        "found": 3,
        "kept": 3,
        "cut": 0,
        "silent": 0,
        "repeated": 0,
        "hours": 0.0,
        "captions": 4,
        "rejected": {"missing": 1},
    }


def test_the_samples_are_those_of_the_file(raw):
    prepare_corpora()
    expected, _ = soundfile.read("raw/xacle/wav/train/00001.wav", dtype="int16")
    assert np.array_equal(ClipStore(Path("out")).wave("xacle/00001.wav") * 32768, expected)


def test_ratings_keep_their_order_of_magnitude_and_test_labels_are_apart(raw):
    prepare_corpora()
    ratings = tables.read_table(Path("out/ratings.parquet"), tables.RATINGS)
    assert set(ratings["split"]) == {"train", "validation"}
    rated = tables.read_table(Path("out/rated.parquet"), tables.RATED)
    assert rated["wav_file_name"].tolist() == [f"0000{i}.wav" for i in range(4)]
    assert rated["text"].tolist() == ["a dog barks", "rain, heavy", "a bell", "a car"]
    assert rated["model_id"].tolist() == ["m1", "m2", "m1", "m3"]
    corpora = preparation.list_corpora(config())
    labels = preparation.test_ratings(corpora, ClipStore(Path("out")).ids())
    assert labels["wav_file_name"].tolist() == ["00003.wav"] * 2
    assert labels["score"].tolist() == [3.0, 8.0]


@pytest.mark.parametrize("test_list", ["wav_file_name,text\n00003.wav,a car\n", None])
def test_an_unlabeled_or_absent_test_split_has_no_test_labels(raw, test_list):
    path = raw / "xacle/meta_data/test.csv"
    if test_list:
        write_text(path, test_list)
    else:
        path.unlink()
    prepare_corpora()
    rated = tables.read_table(Path("out/rated.parquet"), tables.RATED)
    assert len(rated) == (4 if test_list else 3)
    corpora = preparation.list_corpora(config())
    assert len(preparation.test_ratings(corpora, ClipStore(Path("out")).ids())) == 0
    assert len(corpora.xacle.ratings) == 6


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_workers(raw):
    one, four = prepare_corpora("one", workers=1), prepare_corpora("four", workers=4)
    assert one == four
    assert artifacts.sha256(Path("one")) == artifacts.sha256(Path("four"))


def test_every_bad_sound_is_listed_with_its_reason_and_its_rows_are_gone(raw):
    folder = raw / "xacle/wav/train"
    header = "wav_file_name,text,score,listener_id\n"
    bad = {
        "b0.wav": "missing",
        "b1.wav": "empty: the file has no bytes",
        "b2.wav": "undecodable: ",
        "b3.wav": "non-finite: some samples are NaN or infinite",
        "b4.wav": "too short: 0.010 s",
        "b6.wav": "empty: it holds no samples",
    }
    (folder / "b1.wav").write_bytes(b"")
    (folder / "b2.wav").write_text("<html>404</html>")
    soundfile.write(folder / "b3.wav", np.array([np.nan] * 3_200), 16_000, subtype="FLOAT")
    write_sound(folder / "b4.wav", seconds=0.01)
    soundfile.write(folder / "b6.wav", np.empty(0), 16_000)
    write_sound(folder / "long.wav", seconds=0.7)
    good = "".join(f"{name},x,5,s\n" for name in ("00000.wav", "00001.wav", "long.wav"))
    write_text(
        raw / "xacle/meta_data/train.csv", header + good + "".join(f"{n},x,5,s\n" for n in bad)
    )
    metrics = prepare_corpora(max_rejected_fraction=0.7)
    reasons = {name.split("/")[-1]: reason for name, reason in rejection_reasons().items()}
    for name, reason in bad.items():
        assert reasons[name].startswith(reason)
    ratings = tables.read_table(Path("out/ratings.parquet"), tables.RATINGS)
    rated = tables.read_table(Path("out/rated.parquet"), tables.RATED)
    assert not set(bad) & (set(ratings["wav_file_name"]) | set(rated["wav_file_name"]))
    assert "long.wav" in set(rated["wav_file_name"])
    assert len(ClipStore(Path("out")).wave("xacle/long.wav")) == 8_000
    assert metrics["xacle"]["cut"] == 1
    assert metrics["xacle"]["rejected"] == {
        "empty": 2,
        "missing": 1,
        "non-finite": 1,
        "too short": 1,
        "undecodable": 1,
    }


def test_too_many_bad_sounds_stop_with_a_table_and_no_output(raw):
    for name in ("00000.wav", "00001.wav"):
        (raw / "xacle/wav/train" / name).write_bytes(b"")
    with pytest.raises(SoundjudgeError, match=r"xacle: too many of its 4.*\n +2  empty"):
        prepare_corpora(max_rejected_fraction=0.4)
    assert not Path("out").exists()
    prepare_corpora(max_rejected_fraction=0.5)


def test_missing_rated_sounds_stop_before_anything_is_read(raw):
    shutil.rmtree(raw / "xacle/wav/train")
    with pytest.raises(
        SoundjudgeError, match=r"prepare\.max_rejected_fraction is 0\.4.*\n +2  missing"
    ):
        preparation.list_corpora(config(max_rejected_fraction=0.4))


def test_a_captioned_corpus_may_be_incomplete_but_not_absent(raw):
    (raw / "audiocaps/audio/train/abc_30.wav").unlink()
    prepare_corpora(max_rejected_fraction=0.0, max_missing_fraction=0.5)
    with pytest.raises(
        SoundjudgeError, match=r"audiocaps: .*prepare\.max_missing_fraction is 0\.4"
    ):
        preparation.list_corpora(config(max_missing_fraction=0.4))
    shutil.rmtree(raw / "audiocaps/audio")
    with pytest.raises(
        SoundjudgeError, match="audiocaps: .* 4 sounds or their captions cannot be used"
    ):
        preparation.list_corpora(config(max_missing_fraction=1.0))


def test_a_folder_with_a_readme_alone_means_without_this_corpus(raw):
    write_text(Path("none/README.md"), "without")
    metrics = prepare_corpora(audiocaps="none", vggsound="none")
    assert list(metrics) == ["xacle", "overlap"]
    assert len(tables.read_table(Path("out/captions.parquet"), tables.CAPTIONS)) == 0
    with pytest.raises(SoundjudgeError, match=r"prepare\.xacle: none holds only"):
        preparation.list_corpora(config(xacle="none"))
    Path("void").mkdir()
    with pytest.raises(SoundjudgeError, match=r"prepare\.audiocaps: void is empty"):
        preparation.list_corpora(config(audiocaps="void"))
    with pytest.raises(SoundjudgeError, match=r"prepare\.vggsound: nowhere does not exist"):
        preparation.list_corpora(config(vggsound="nowhere"))


def test_repeated_ids_and_empty_captions_are_listed(raw):
    write_text(
        raw / "audiocaps/val.csv",
        "audiocap_id,youtube_id,start_time,caption\n"
        "1,val,10,again\n6,abc,30,in train already\n7,val,10,\n8,val,10,good\n",
    )
    write_text(raw / "vggsound/vggsound.csv", "Yone,30,x,train\nYone,30,x,train\ntwo,7,x,test\n")
    prepare_corpora(max_rejected_fraction=1.0)
    reasons = rejection_reasons()
    assert reasons["audiocaps/1"] == "duplicate id"
    assert reasons["audiocaps/6"] == "duplicate id: audiocaps/abc_30 is in train too"
    assert reasons["audiocaps/7"] == "empty caption"
    assert reasons["Yone_000030"] == "duplicate id"
    captions = tables.read_table(Path("out/captions.parquet"), tables.CAPTIONS)
    of_audiocaps = captions.loc[captions["corpus"] == "audiocaps", "caption_id"]
    assert of_audiocaps.tolist() == ["audiocaps/1", "audiocaps/2", "audiocaps/8"]


def test_of_two_files_of_one_name_the_lossless_one_counts(tmp_path):
    for name in ("a.mp3", "a.flac", "a.txt", "b.ogg"):
        (tmp_path / name).touch()
    files = corpus.audio_files(tmp_path / "none", tmp_path)
    assert files == {"a": tmp_path / "a.flac", "b": tmp_path / "b.ogg"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("00000.wav,a dog,5,new,m1", r"train\.csv, row 5: .*'a dog', but 'a dog barks' in row 1"),
        ("00000.wav,a dog barks,5,3sa,m1", r"train\.csv, row 5: .* a second time"),
        (
            "00000.wav,a dog barks,5,new,m2",
            r"train\.csv, row 5: .* model_id 'm2', but 'm1' in row 1",
        ),
        ("../x.wav,a dog,5,new,m1", r"train\.csv, row 5: wav_file_name '\.\./x\.wav' must be"),
        ("x.wav,a dog,12,new,m1", r"train\.csv, row 5: score 12\.0 lies outside 0 to 10"),
        ("x.wav,a dog,5,,m1", r"train\.csv, row 5: listener_id is empty"),
        ("00002.wav,a bell,5,new,m1", r"'00002\.wav' stands in the lists of train and validation"),
    ],
)
def test_a_bad_rating_is_named_with_file_and_row(raw, change, message):
    path = raw / "xacle/meta_data/train.csv"
    path.write_text(path.read_text() + change + "\n")
    with pytest.raises(SoundjudgeError, match=message):
        xacle.read_xacle(raw / "xacle")


def test_a_missing_list_is_named(raw):
    (raw / "vggsound/VGGSound_AudioSetCaps_caption.csv").unlink()
    with pytest.raises(SoundjudgeError, match=r"VGGSound_AudioSetCaps_caption\.csv does not exist"):
        vggsound.read_vggsound(raw / "vggsound", 200)
    write_text(raw / "vggsound/vggsound.csv", "one,thirty,x,train\n")
    with pytest.raises(SoundjudgeError, match=r"vggsound\.csv, row 1: 'one', 'thirty'"):
        vggsound.read_vggsound(raw / "vggsound", 200)
    (raw / "vggsound/vggsound.csv").unlink()
    with pytest.raises(SoundjudgeError, match=r"vggsound\.csv does not exist"):
        vggsound.read_vggsound(raw / "vggsound", 200)
    (raw / "xacle/meta_data/validation.csv").unlink()
    with pytest.raises(SoundjudgeError, match=r"validation\.csv does not exist"):
        xacle.read_xacle(raw / "xacle")
    for name in ("train.csv", "val.csv"):
        (raw / "audiocaps" / name).unlink()
    with pytest.raises(SoundjudgeError, match="holds none of train.csv"):
        audiocaps.read_audiocaps(raw / "audiocaps", 200)


def test_labels_of_vggsound_are_readable(raw):
    entries = list(vggsound.list_entries(raw / "vggsound/vggsound.csv"))
    assert entries[0] == vggsound.ListedClip(
        name="Yone_000030",
        youtube_id="Yone",
        start="30",
        label="dog, barking",
        split="train",
    )


def test_a_headerless_list_with_a_wrong_line_is_named(tmp_path):
    write_text(tmp_path / "x.csv", "a,b\n\na\n")
    rows = delimited.check_width(delimited.iter_rows(tmp_path / "x.csv"), 2, tmp_path / "x.csv")
    with pytest.raises(SoundjudgeError, match=r"x\.csv, row 2: 1 fields where 2"):
        list(rows)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ParamsError, match="min_seconds must be above 0"):
        config(min_seconds=1.0)
    with pytest.raises(ParamsError, match="shard_samples must hold"):
        config(shard_samples=100)
    with pytest.raises(ParamsError, match="max_rejected_fraction is 1.5: it must be 0 to 1"):
        config(max_rejected_fraction=1.5)
    with pytest.raises(ParamsError, match="silence_dbfs is .*: it must be .*below 0, full scale"):
        config(silence_dbfs=70.0)
    with pytest.raises(ParamsError, match="level_dbfs must lie between silence_dbfs and 0"):
        config(level_dbfs=26.0)
    with pytest.raises(ParamsError, match="num_silent is -1: it must be 0 to"):
        config(num_silent=-1)


@pytest.mark.slow
def test_the_stage_writes_its_three_outputs_twice_the_same(raw, monkeypatch):
    # A Python of its own, for seconds; tests/doctor see that the stage begins with it.
    monkeypatch.setattr(consistency, "check_params", lambda: None)
    more = "".join(f"{pair}.wav,a bell,3,sc,m1\n" for pair in range(5, 8))
    with (raw / "xacle/meta_data/validation.csv").open("a") as lists:
        lists.write(more)  # pairs enough for two folds
    for pair in range(5, 8):
        write_sound(raw / f"xacle/wav/validation/{pair}.wav")
    write_params(Path(), prepare=CONFIG, ensemble={"folds": 2})
    hashes = []
    for _ in range(2):
        run_stage("prepare")
        hashes.append([artifacts.sha256(Path(f)) for f in ("data", "metrics")])
    assert hashes[0] == hashes[1]
    assert sorted(path.name for path in Path("data/prepared").iterdir()) == [
        "captions.parquet",
        "clips.parquet",
        "levels.json",
        "rated.parquet",
        "ratings.parquet",
        "rejected.csv",
        "shards",
    ]
    labels = tables.read_table(Path("data/test_labels/ratings.parquet"), tables.RATINGS)
    assert set(labels["split"]) == {"test"}
    assert json.loads(Path("metrics/prepare.json").read_text())["xacle"]["kept"] == 7
