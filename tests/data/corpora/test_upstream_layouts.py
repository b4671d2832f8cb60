"""The layouts in which people have the corpora, whatever part of them they have."""

from pathlib import Path

import numpy as np
import pytest
from optional_packages import soundfile
from tiny_corpora import (
    config,
    prepare_corpora,
    raw_folder,
    rejection_reasons,
    write_sound,
    write_text,
)

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora import audiocaps, preparation, vggsound, xacle
from soundjudge.data.corpora.acceptance import check_sound
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError

AUDIOCAPS = "audiocap_id,youtube_id,start_time,caption\n"
RATINGS = "wav_file_name,text,score,listener_id\n"


@pytest.fixture
def raw(in_folder: Path) -> Path:
    return raw_folder()


def paths(corpus) -> dict[str, Path | None]:
    return {sound.clip_id: sound.path for sound in corpus.sounds}


@pytest.mark.parametrize("version", ["dataset", "dataset2.0"])
def test_audiocaps_may_lie_in_the_folders_of_its_repository(tmp_path, version):
    write_text(tmp_path / version / "train.csv", AUDIOCAPS + "7,abc,30,A dog\n")
    write_sound(tmp_path / "audio/train/abc_30.wav")
    corpus = audiocaps.read_audiocaps(tmp_path, 100)
    assert paths(corpus) == {"audiocaps/abc_30": tmp_path / "audio/train/abc_30.wav"}


def test_two_versions_of_audiocaps_are_refused(tmp_path):
    write_text(tmp_path / "dataset/train.csv", AUDIOCAPS)
    write_text(tmp_path / "dataset2.0/val.csv", AUDIOCAPS)
    with pytest.raises(
        SoundjudgeError, match=r"dataset and .*dataset2\.0 both .*: keep one version"
    ):
        audiocaps.read_audiocaps(tmp_path, 100)


@pytest.mark.parametrize(
    "file",
    [
        "audio/val/abc_30.flac", "audio/abc_30.ogg", "val/abc_30.mp3", "audio/val/abc.wav",
        "audio/val/Yabc.wav", "audio/val/7.mp3", "val/8.wav",
    ],
)  # fmt: skip
def test_a_clip_of_audiocaps_is_found_under_the_names_of_the_common_downloaders(tmp_path, file):
    # Two captions of one clip; some downloaders name files by the caption.
    write_text(tmp_path / "val.csv", AUDIOCAPS + "7,abc,30,A dog\n8,abc,30,Some dog\n")
    write_sound(tmp_path / file)
    corpus = audiocaps.read_audiocaps(tmp_path, 100)
    assert paths(corpus) == {"audiocaps/abc_30": tmp_path / file}
    assert len(corpus.captions) == 2


def vggsound_with_auto_acd(folder: Path) -> Path:
    write_text(folder / "vggsound.csv", 'one,30,"dog, barking",train\nYtwo,7,rain,test\n')
    write_text(
        folder / "Auto-ACD/train.csv",
        "youtube_id,caption\n"
        'one_000030,"A dog barks, in a yard."\n'
        "YmAJAqzo-Y_Y,A woman talks quietly.\n"  # of AudioSet
        "Ytwo_000007,Rain falls.\n"
        "other_000001,A bell.\n",
    )
    return folder


def test_vggsound_may_have_the_captions_of_auto_acd(tmp_path):
    corpus = vggsound.read_vggsound(vggsound_with_auto_acd(tmp_path), 100)
    assert corpus.captions[["clip_id", "text", "label"]].values.tolist() == [
        ["vggsound/one_000030", "A dog barks, in a yard.", "dog, barking"],
        ["vggsound/Ytwo_000007", "Rain falls.", "rain"],
    ]
    # The captions of AudioSet are one line of the report, not a million.
    (rejection,) = corpus.rejections
    assert rejection.file == "Auto-ACD/train.csv"
    assert rejection.reason.startswith("caption of no clip: 2 captions")


def test_vggsound_may_have_captions_of_both_kinds(tmp_path):
    folder = vggsound_with_auto_acd(tmp_path)
    write_text(folder / vggsound.CAPTIONS, "id,caption\none_000030,Barking.\n")
    captions = vggsound.read_vggsound(folder, 100).captions
    assert captions["caption_id"].tolist() == [
        "vggsound/one_000030", "vggsound/one_000030#1", "vggsound/Ytwo_000007",
    ]  # fmt: skip
    assert captions["text"].tolist() == ["Barking.", "A dog barks, in a yard.", "Rain falls."]


def test_vggsound_may_lie_in_folders_by_split(tmp_path):
    folder = vggsound_with_auto_acd(tmp_path)
    write_sound(folder / "audio/train/one_000030.flac")
    write_sound(folder / "audio/test/Ytwo_000007.mp3")
    assert paths(vggsound.read_vggsound(folder, 100)) == {
        "vggsound/one_000030": folder / "audio/train/one_000030.flac",
        "vggsound/Ytwo_000007": folder / "audio/test/Ytwo_000007.mp3",
    }


def unpack_xacle(folder: Path, root: str, test_root: str) -> Path:
    """XACLE as its archives unpack: training and validation in one folder, test in another."""
    rated = {"train": "0.wav", "validation": "1.wav"}
    for split, name in rated.items():
        write_text(
            folder / root / f"meta_data/{split}.csv", RATINGS + f"{name},x,5,a\n{name},x,7,b\n"
        )
        write_sound(folder / root / "wav" / split / name)
    write_text(folder / test_root / "meta_data/test.csv", "wav_file_name,text\n2.wav,x\n")
    write_sound(folder / test_root / "wav/test/2.wav")
    return folder


@pytest.mark.parametrize(
    ("root", "test_root"),
    [
        (".", "."),
        ("XACLE_dataset", "XACLE_test_data"),
        (".", "XACLE_test_data"),
        ("XACLE_dataset", "XACLE_test_data/XACLE_test_data"),
        ("XACLE_Challenge_2027_development_dataset", "XACLE_Challenge_2027_development_dataset"),
    ],
)
def test_xacle_is_read_as_its_archives_unpack(tmp_path, root, test_root):
    corpus = xacle.read_xacle(unpack_xacle(tmp_path, root, test_root))
    assert paths(corpus.corpus) == {
        "xacle/0.wav": tmp_path / root / "wav/train/0.wav",
        "xacle/1.wav": tmp_path / root / "wav/validation/1.wav",
        "xacle/2.wav": tmp_path / test_root / "wav/test/2.wav",
    }
    assert corpus.rated["split"].tolist() == ["train", "validation", "test"]
    assert corpus.ratings["score"].tolist() == [5.0, 7.0, 5.0, 7.0]


def test_the_sounds_of_the_test_archive_may_lie_without_a_folder_for_the_split(tmp_path):
    folder = unpack_xacle(tmp_path, "XACLE_dataset", "XACLE_test_data")
    (folder / "XACLE_test_data/wav/test/2.wav").rename(folder / "XACLE_test_data/wav/2.wav")
    sound_paths = paths(xacle.read_xacle(folder).corpus)
    assert sound_paths["xacle/2.wav"] == folder / "XACLE_test_data/wav/2.wav"


def test_two_datasets_in_one_folder_are_refused(tmp_path):
    folder = unpack_xacle(tmp_path, "XACLE_dataset", "XACLE_test_data")
    unpack_xacle(tmp_path, "XACLE_Challenge_2027_development_dataset", "XACLE_test_data")
    with pytest.raises(SoundjudgeError, match=r"2027.*train\.csv and .*XACLE_dataset.*: keep one"):
        xacle.read_xacle(folder)


@pytest.mark.parametrize("name", ["test.csv", "test_with_score.csv"])
def test_ratings_of_the_test_split_are_found_under_either_name(tmp_path, name):
    folder = unpack_xacle(tmp_path, "XACLE_dataset", "XACLE_test_data")
    lists = folder / "XACLE_test_data/meta_data"
    write_text(lists / name, "wav_file_name,text,score,listener_id,model_id\n2.wav,x,4,c,m1\n")
    write_text(lists / "test_average.csv", "wav_file_name,text,average_score\n2.wav,x,9\n")
    corpus = xacle.read_xacle(folder)
    test = corpus.ratings[corpus.ratings["split"] == "test"]
    assert test[["score", "listener_id", "model_id"]].values.tolist() == [[4.0, "c", "m1"]]
    assert corpus.rated["model_id"].tolist()[2] == "m1"


@pytest.mark.parametrize("name", ["test_average.csv", "test_with_score.csv"])
def test_averages_of_the_test_split_count_as_one_rating_a_pair(tmp_path, name):
    folder = unpack_xacle(tmp_path, "XACLE_dataset", "XACLE_test_data")
    averages = "wav_file_name,text,average_score\n2.wav,x,6.125\n"
    write_text(folder / "XACLE_test_data/meta_data" / name, averages)
    corpus = xacle.read_xacle(folder)
    test = corpus.ratings[corpus.ratings["split"] == "test"]
    assert test[["score", "listener_id"]].values.tolist() == [[6.125, "average"]]


def test_test_lists_that_contradict_each_other_are_refused(tmp_path):
    folder = unpack_xacle(tmp_path, "XACLE_dataset", "XACLE_test_data")
    for split in ("test", "test_with_score"):  # the development set's own, of another year
        write_text(folder / f"XACLE_dataset/meta_data/{split}.csv", RATINGS + "9.wav,x,4,c\n")
    with pytest.raises(SoundjudgeError, match="both hold ratings of test: keep one"):
        xacle.read_xacle(folder)
    (folder / "XACLE_dataset/meta_data/test_with_score.csv").unlink()
    with pytest.raises(SoundjudgeError, match="list different sounds: keep one test set"):
        xacle.read_xacle(folder)


def test_any_format_rate_and_number_of_channels_makes_the_same_clip(raw):
    formats = {
        "one.wav": (16_000, 1), "two.flac": (44_100, 2), "three.ogg": (48_000, 1),
        "four.mp3": (32_000, 2), "five.wav": (192_000, 8), "six.wav": (8_000, 1),
    }  # fmt: skip
    rows = []
    for number, (name, (rate, channels)) in enumerate(formats.items()):
        time = np.arange(round(0.4 * rate)) / rate
        wave = np.tile(0.3 * np.sin(2 * np.pi * 440 * time)[:, np.newaxis], channels)
        soundfile.write(raw / "audiocaps/audio" / name, wave, rate)
        rows.append(f"{number},{Path(name).stem},0,A tone\n")
    write_text(raw / "audiocaps/train.csv", AUDIOCAPS + "".join(rows))
    prepare_corpora()
    clips = ClipStore(Path("out"))
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(6_400) / 16_000)
    for name in formats:
        wave = clips.wave(f"audiocaps/{Path(name).stem}_0")
        assert len(wave) == 6_400
        assert np.abs(wave - expected)[500:-500].max() < 0.02, name


def test_any_subset_of_a_corpus_will_do(raw):
    write_text(raw / "audiocaps/test.csv", AUDIOCAPS + "8,a,1,x\n9,b,1,x\n10,c,1,x\n")
    for name in ("train.csv", "val.csv"):
        (raw / "audiocaps" / name).unlink()
    write_sound(raw / "audiocaps/audio/b_1.wav")
    (raw / "vggsound/audio/Yone_000030.wav").unlink()
    metrics = prepare_corpora()
    assert (metrics["audiocaps"]["listed"], metrics["audiocaps"]["found"]) == (3, 1)
    assert (metrics["vggsound"]["listed"], metrics["vggsound"]["kept"]) == (2, 1)
    assert rejection_reasons()["audio/test/a_1"] == "missing"
    captions = tables.read_table(Path("out/captions.parquet"), tables.CAPTIONS)
    assert captions["caption_id"].tolist() == [
        "audiocaps/9", "vggsound/two_000007", "vggsound/two_000007#1",
    ]  # fmt: skip


def test_published_averages_become_the_quarantined_labels(raw):
    write_text(raw / "xacle/meta_data/test.csv", "wav_file_name,text\n00003.wav,a car\n")
    averages = "wav_file_name,text,average_score\n00003.wav,a car,6.5\n"
    write_text(raw / "xacle/meta_data/test_average.csv", averages)
    prepare_corpora()
    corpora = preparation.list_corpora(config())
    labels = preparation.test_ratings(corpora, ClipStore(Path("out")).ids())
    assert labels[["wav_file_name", "score"]].values.tolist() == [["00003.wav", 6.5]]
    assert "test" not in set(
        tables.read_table(Path("out/ratings.parquet"), tables.RATINGS)["split"]
    )


CUT_NAMES = [
    "abc_30_40", "abc_30.0_40.0", "abc_30.000_40.000", "abc_30.0", "abc_000030", "Yabc_30_40",
    "abc_000030_000040", "abc_30000_40000", "Yabc_30.000_39.5",
]  # fmt: skip


@pytest.mark.parametrize("name", CUT_NAMES)
@pytest.mark.parametrize("start", ["30", "30.0", "30.000"])
def test_clips_named_by_start_and_end_are_found(tmp_path, name, start):
    sound = tmp_path / f"audio/{name}.wav"
    write_sound(sound)
    write_sound(tmp_path / "audio/abcd_30_40.wav")
    write_sound(tmp_path / "audio/abc_31_41.wav")
    write_text(tmp_path / "train.csv", AUDIOCAPS + f"7,abc,{start},A dog\n")
    assert paths(audiocaps.read_audiocaps(tmp_path, 100)) == {"audiocaps/abc_30": sound}
    write_text(tmp_path / "vggsound.csv", f"abc,{start},dog,train\n")
    write_text(tmp_path / vggsound.CAPTIONS, "id,caption\nabc_000030,A dog\n")
    assert paths(vggsound.read_vggsound(tmp_path, 100)) == {"vggsound/abc_000030": sound}


def test_an_id_with_digits_behind_an_underscore_is_not_mistaken_for_a_time(tmp_path):
    for name in ("a_1_30_40", "a_1_7_17"):
        write_sound(tmp_path / f"audio/{name}.wav")
    write_text(tmp_path / "train.csv", AUDIOCAPS + "7,a_1,30,A dog\n8,a_1,7,Rain\n9,a,7,Bell\n")
    found = paths(audiocaps.read_audiocaps(tmp_path, 100))
    assert found["audiocaps/a_1_30"] == tmp_path / "audio/a_1_30_40.wav"
    assert found["audiocaps/a_1_7"] == tmp_path / "audio/a_1_7_17.wav"
    assert found["audiocaps/a_7"] is None


def test_two_files_of_one_clip_are_ambiguous_and_listed(tmp_path):
    for name in ("abc_30_40", "abc_000030"):
        write_sound(tmp_path / f"audio/{name}.wav")
    write_text(tmp_path / "train.csv", AUDIOCAPS + "7,abc,30,A dog\n")
    (sound,) = audiocaps.read_audiocaps(tmp_path, 100).sounds
    assert (sound.path, sound.reason) == (None, "ambiguous: abc_000030 and abc_30_40")
    assert check_sound(sound, config()).reason == sound.reason


def test_captions_with_line_breaks_are_joined(tmp_path):
    text = (
        AUDIOCAPS
        + "7,abc,30,A dog and\na voice, far\naway\n8,def,0,Rain\n\n"
        + '9,ghi,0,"A bell,\r\nthen ""steps"""\n10,jkl,0,Wind \nat night'
    )
    write_text(tmp_path / "train.csv", text)
    captions = audiocaps.read_audiocaps(tmp_path, 100).captions
    assert dict(zip(captions["caption_id"], captions["text"], strict=True)) == {
        "audiocaps/7": "A dog and a voice, far away",
        "audiocaps/8": "Rain",
        "audiocaps/9": 'A bell, then "steps"',
        "audiocaps/10": "Wind at night",
    }


@pytest.mark.parametrize("line", ["8,def,0", "8", "A, B, C, D, E"])
def test_a_line_that_is_no_rest_of_a_caption_is_refused(tmp_path, line):
    write_text(tmp_path / "train.csv", AUDIOCAPS + f"7,abc,30,A dog\n{line}\n9,ghi,0,Bell\n")
    with pytest.raises(SoundjudgeError, match="row 2: . fields? where 4 are needed"):
        audiocaps.read_audiocaps(tmp_path, 100)


@pytest.mark.parametrize(
    ("listed", "file"), [("0.wav", "0.WAV"), ("A.WAV", "a.wav"), ("cafe\u0301.wav", "caf\xe9.Wav")]
)
def test_sounds_of_xacle_are_found_in_capitals_or_not(tmp_path, listed, file):
    for split in ("train", "validation"):
        name = f"{split}{listed}"
        write_text(tmp_path / f"meta_data/{split}.csv", RATINGS + f"{name},a dog,5,l1\n")
        write_sound(tmp_path / "x.wav")
        (tmp_path / f"wav/{split}").mkdir(parents=True)
        (tmp_path / "x.wav").rename(tmp_path / f"wav/{split}/{split}{file}")
    found = paths(xacle.read_xacle(tmp_path).corpus)
    assert found[f"xacle/train{listed}"] == tmp_path / f"wav/train/train{file}"


def test_two_sounds_of_xacle_that_differ_by_case_are_told_apart_or_listed(tmp_path):
    for split, name in (("train", "a.wav"), ("validation", "B.wav")):
        write_text(tmp_path / f"meta_data/{split}.csv", RATINGS + f"{name},a dog,5,l1\n")
    for name in ("train/a.wav", "train/A.wav", "validation/b.wav", "validation/b.WAV"):
        write_sound(tmp_path / "wav" / "x.wav")
        (tmp_path / "wav" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "wav/x.wav").rename(tmp_path / "wav" / name)
    a, b = xacle.read_xacle(tmp_path).corpus.sounds[::-1]
    assert a.path == tmp_path / "wav/train/a.wav"
    assert (b.path, b.reason) == (None, "ambiguous: b.WAV and b.wav")


@pytest.mark.parametrize("start", ["\u0663\u0660", "1_0", "30.5", "-1", ""])
def test_starts_of_vggsound_are_whole_seconds_in_plain_digits(tmp_path, start):
    write_text(tmp_path / "vggsound.csv", f"abc,{start},dog,train\n")
    with pytest.raises(SoundjudgeError, match="row 1: .*start in whole seconds"):
        list(vggsound.list_entries(tmp_path / "vggsound.csv"))


@pytest.mark.parametrize("split", ["Train", " train", "val", "training", ""])
def test_a_clip_of_a_split_that_no_training_names_is_not_lost_in_silence(raw, split):
    write_text(raw / "vggsound/vggsound.csv", f"Yone,30,x,train\ntwo,7,x,{split}\n")
    told = rf"vggsound\.csv, row 2: the split '{split}' is none .*: write one of train, validation"
    with pytest.raises(SoundjudgeError, match=told):
        vggsound.read_vggsound(raw / "vggsound", 100)


def test_blanks_around_ids_of_vggsound_lose_no_caption(raw):
    write_text(raw / "vggsound/vggsound.csv", " Yone,30,x,train\ntwo\u00a0,7,x,test\n")
    captions = "id,caption\nYone_000030 ,A dog barks\n Ytwo_000007,Rain\n"
    write_text(raw / "vggsound/VGGSound_AudioSetCaps_caption.csv", captions)
    corpus = vggsound.read_vggsound(raw / "vggsound", 100)
    assert corpus.captions["text"].tolist() == ["A dog barks", "Rain"]
    assert not corpus.rejections and None not in paths(corpus).values()


def test_a_list_of_audiocaps_without_rows_is_an_incomplete_download(raw):
    write_text(raw / "audiocaps/train.csv", AUDIOCAPS)
    with pytest.raises(SoundjudgeError, match=r"train\.csv has no rows: download it again, or rem"):
        audiocaps.read_audiocaps(raw / "audiocaps", 100)
