"""The layouts in which people have the corpora, whatever part of them they have."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_corpora import prepared, raw_folder, rejected, settings, sound, write

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora import audiocaps, preparation, vggsound, xacle
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
    write(tmp_path / version / "train.csv", AUDIOCAPS + "7,abc,30,A dog\n")
    sound(tmp_path / "audio/train/abc_30.wav")
    corpus = audiocaps.read_audiocaps(tmp_path, 100)
    assert paths(corpus) == {"audiocaps/abc_30": tmp_path / "audio/train/abc_30.wav"}


def test_two_versions_of_audiocaps_are_refused(tmp_path):
    write(tmp_path / "dataset/train.csv", AUDIOCAPS)
    write(tmp_path / "dataset2.0/val.csv", AUDIOCAPS)
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
    write(tmp_path / "val.csv", AUDIOCAPS + "7,abc,30,A dog\n8,abc,30,Some dog\n")
    sound(tmp_path / file)
    corpus = audiocaps.read_audiocaps(tmp_path, 100)
    assert paths(corpus) == {"audiocaps/abc_30": tmp_path / file}
    assert len(corpus.captions) == 2


def vggsound_with_auto_acd(folder: Path) -> Path:
    write(folder / "vggsound.csv", 'one,30,"dog, barking",train\nYtwo,7,rain,test\n')
    write(
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
    write(folder / vggsound.CAPTIONS, "id,caption\none_000030,Barking.\n")
    captions = vggsound.read_vggsound(folder, 100).captions
    assert captions["caption_id"].tolist() == [
        "vggsound/one_000030", "vggsound/one_000030#1", "vggsound/Ytwo_000007",
    ]  # fmt: skip
    assert captions["text"].tolist() == ["Barking.", "A dog barks, in a yard.", "Rain falls."]


def test_vggsound_may_lie_in_folders_by_split(tmp_path):
    folder = vggsound_with_auto_acd(tmp_path)
    sound(folder / "audio/train/one_000030.flac")
    sound(folder / "audio/test/Ytwo_000007.mp3")
    assert paths(vggsound.read_vggsound(folder, 100)) == {
        "vggsound/one_000030": folder / "audio/train/one_000030.flac",
        "vggsound/Ytwo_000007": folder / "audio/test/Ytwo_000007.mp3",
    }


def unpacked(folder: Path, root: str, test_root: str) -> Path:
    """XACLE as its archives unpack: training and validation in one folder, test in another."""
    rated = {"train": "0.wav", "validation": "1.wav"}
    for split, name in rated.items():
        write(folder / root / f"meta_data/{split}.csv", RATINGS + f"{name},x,5,a\n{name},x,7,b\n")
        sound(folder / root / "wav" / split / name)
    write(folder / test_root / "meta_data/test.csv", "wav_file_name,text\n2.wav,x\n")
    sound(folder / test_root / "wav/test/2.wav")
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
    read = xacle.read_xacle(unpacked(tmp_path, root, test_root))
    assert paths(read.corpus) == {
        "xacle/0.wav": tmp_path / root / "wav/train/0.wav",
        "xacle/1.wav": tmp_path / root / "wav/validation/1.wav",
        "xacle/2.wav": tmp_path / test_root / "wav/test/2.wav",
    }
    assert read.rated["split"].tolist() == ["train", "validation", "test"]
    assert read.ratings["score"].tolist() == [5.0, 7.0, 5.0, 7.0]


def test_the_sounds_of_the_test_archive_may_lie_without_a_folder_for_the_split(tmp_path):
    folder = unpacked(tmp_path, "XACLE_dataset", "XACLE_test_data")
    (folder / "XACLE_test_data/wav/test/2.wav").rename(folder / "XACLE_test_data/wav/2.wav")
    found = paths(xacle.read_xacle(folder).corpus)
    assert found["xacle/2.wav"] == folder / "XACLE_test_data/wav/2.wav"


def test_two_datasets_in_one_folder_are_refused(tmp_path):
    folder = unpacked(tmp_path, "XACLE_dataset", "XACLE_test_data")
    unpacked(tmp_path, "XACLE_Challenge_2027_development_dataset", "XACLE_test_data")
    with pytest.raises(SoundjudgeError, match=r"2027.*train\.csv and .*XACLE_dataset.*: keep one"):
        xacle.read_xacle(folder)


@pytest.mark.parametrize("name", ["test.csv", "test_with_score.csv"])
def test_ratings_of_the_test_split_are_found_under_either_name(tmp_path, name):
    folder = unpacked(tmp_path, "XACLE_dataset", "XACLE_test_data")
    lists = folder / "XACLE_test_data/meta_data"
    write(lists / name, "wav_file_name,text,score,listener_id,model_id\n2.wav,x,4,c,m1\n")
    write(lists / "test_average.csv", "wav_file_name,text,average_score\n2.wav,x,9\n")
    read = xacle.read_xacle(folder)
    test = read.ratings[read.ratings["split"] == "test"]
    assert test[["score", "listener_id", "model_id"]].values.tolist() == [[4.0, "c", "m1"]]
    assert read.rated["model_id"].tolist()[2] == "m1"


@pytest.mark.parametrize("name", ["test_average.csv", "test_with_score.csv"])
def test_averages_of_the_test_split_count_as_one_rating_a_pair(tmp_path, name):
    folder = unpacked(tmp_path, "XACLE_dataset", "XACLE_test_data")
    averages = "wav_file_name,text,average_score\n2.wav,x,6.125\n"
    write(folder / "XACLE_test_data/meta_data" / name, averages)
    read = xacle.read_xacle(folder)
    test = read.ratings[read.ratings["split"] == "test"]
    assert test[["score", "listener_id"]].values.tolist() == [[6.125, "average"]]


def test_test_lists_that_contradict_each_other_are_refused(tmp_path):
    folder = unpacked(tmp_path, "XACLE_dataset", "XACLE_test_data")
    for split in ("test", "test_with_score"):  # the development set's own, of another year
        write(folder / f"XACLE_dataset/meta_data/{split}.csv", RATINGS + "9.wav,x,4,c\n")
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
    write(raw / "audiocaps/train.csv", AUDIOCAPS + "".join(rows))
    prepared()
    clips = ClipStore(Path("out"))
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(6_400) / 16_000)
    for name in formats:
        wave = clips.wave(f"audiocaps/{Path(name).stem}_0")
        assert len(wave) == 6_400
        assert np.abs(wave - expected)[500:-500].max() < 0.02, name


def test_any_subset_of_a_corpus_will_do(raw):
    write(raw / "audiocaps/test.csv", AUDIOCAPS + "8,a,1,x\n9,b,1,x\n10,c,1,x\n")
    for name in ("train.csv", "val.csv"):
        (raw / "audiocaps" / name).unlink()
    sound(raw / "audiocaps/audio/b_1.wav")
    (raw / "vggsound/audio/Yone_000030.wav").unlink()
    coverage = prepared()
    assert (coverage["audiocaps"]["listed"], coverage["audiocaps"]["found"]) == (3, 1)
    assert (coverage["vggsound"]["listed"], coverage["vggsound"]["kept"]) == (2, 1)
    assert rejected()["audio/test/a_1"] == "missing"
    captions = tables.read_table(Path("out/captions.parquet"), tables.CAPTIONS)
    assert captions["caption_id"].tolist() == [
        "audiocaps/9", "vggsound/two_000007", "vggsound/two_000007#1",
    ]  # fmt: skip


def test_published_averages_become_the_quarantined_labels(raw):
    write(raw / "xacle/meta_data/test.csv", "wav_file_name,text\n00003.wav,a car\n")
    averages = "wav_file_name,text,average_score\n00003.wav,a car,6.5\n"
    write(raw / "xacle/meta_data/test_average.csv", averages)
    prepared()
    corpora = preparation.list_corpora(settings())
    held = preparation.test_ratings(corpora, ClipStore(Path("out")).ids())
    assert held[["wav_file_name", "score"]].values.tolist() == [["00003.wav", 6.5]]
    assert "test" not in set(
        tables.read_table(Path("out/ratings.parquet"), tables.RATINGS)["split"]
    )
