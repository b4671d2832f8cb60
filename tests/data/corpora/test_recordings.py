"""A recording that both captioned corpora have is told, and none is trained on and validated on."""

from pathlib import Path

import pandas as pd
import pytest
from tiny_corpora import prepare_corpora, raw_folder, rejection_reasons, write_sound

from soundjudge.data.corpora import recordings
from soundjudge.data.corpora.corpus import Corpus, Sound
from soundjudge.data.tables import tables


@pytest.fixture
def raw(in_folder: Path) -> Path:
    return raw_folder()


def add_to_vggsound(raw: Path, youtube_id: str, start: int, split: str) -> None:
    """A clip with a caption, which sounds unlike every other."""
    name = f"{youtube_id}_{start:06d}"
    for file, line in (
        ("vggsound.csv", f"{youtube_id},{start},x,{split}\n"),
        ("VGGSound_AudioSetCaps_caption.csv", f"Y{name},Something {name}\n"),
    ):
        with (raw / "vggsound" / file).open("a") as lists:
            lists.write(line)
    write_sound(raw / f"vggsound/audio/{name}.wav", seconds=0.3)


def test_a_recording_of_validation_is_in_no_train_split_of_the_other_corpus(raw):
    for start in (10, 77):  # val_10 is a clip of AudioCaps' validation: at any start it is the same
        add_to_vggsound(raw, "val", start, "train")
    metrics = prepare_corpora(max_rejected_fraction=0.0)  # no faults of a download
    clips = tables.read_table(Path("out/clips.parquet"), tables.CLIPS)["clip_id"].tolist()
    captions = tables.read_table(Path("out/captions.parquet"), tables.CAPTIONS)
    assert "audiocaps/val_10" in clips and "vggsound/Yone_000030" in clips
    assert not {"vggsound/val_000010", "vggsound/val_000077"} & {*clips, *captions["clip_id"]}
    told = "same recording: audiocaps/val_10 of validation"
    reasons = rejection_reasons()
    assert reasons["vggsound/val_000010"] == reasons["vggsound/val_000077"] == told
    assert metrics["vggsound"]["rejected"]["same recording"] == 2
    assert metrics["vggsound"]["captions"] == 3
    assert "same_recordings" not in metrics


@pytest.mark.parametrize(
    ("split", "youtube_id"), [("test", "val"), ("train", "abc"), ("test", "abc")]
)
def test_recordings_of_other_splits_are_kept_and_told(raw, split, youtube_id):
    add_to_vggsound(raw, youtube_id, 30, split)
    metrics = prepare_corpora()
    clips = tables.read_table(Path("out/clips.parquet"), tables.CLIPS)["clip_id"].tolist()
    assert f"vggsound/{youtube_id}_000030" in clips
    there = {"val": "validation", "abc": "train"}[youtube_id]
    assert metrics["same_recordings"] == {f"audiocaps/{there} and vggsound/{split}": 1}
    assert not [splits for splits in metrics["overlap"] if "vggsound" in splits]  # not by samples


def corpus(name: str, clips: dict[str, str]) -> Corpus:
    sounds = [
        Sound(clip_id=f"{name}/{clip}", corpus=name, split=split, file=clip, path=None)
        for clip, split in clips.items()
    ]
    return Corpus(name=name, sounds=sounds, captions=pd.DataFrame({"clip_id": []}))


def test_recordings_are_counted_once_per_pair_of_splits_and_not_inside_a_corpus():
    one = corpus("a", {"x_1": "train", "x_2": "train", "y-_z_3": "validation", "x_9": "test"})
    other = corpus("b", {"x_000001": "train", "y-_z_000400": "test", "q_0": "train"})
    assert recordings.shared_recordings([one, other]) == {
        "a/test and b/train": 1, "a/train and b/train": 1, "a/validation and b/test": 1,
    }  # fmt: skip
    assert recordings.shared_recordings([one]) == {}
