"""What is stored is read, what is not is encoded, and no item gets another's row."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_clips import write_clips

from soundjudge.data.arrays.array_store import write_rows
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora.clip_writer import Clip
from soundjudge.data.encodings.stored_encodings import StoredEncodings, clip_finder, same_text
from soundjudge.data.tables import tables

CPU = torch.device("cpu")


class Lengths:
    """Encodes a text as twice its length; records what it is given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, texts):
        self.seen += texts
        return torch.tensor([[2.0 * len(text)] for text in texts])


def texts(folder: Path) -> StoredEncodings:
    write_rows(folder, ["a", "bb"], [np.array([[100.0], [200.0]], np.float32)])
    return StoredEncodings(folder, same_text)


def test_stored_items_are_read_and_the_others_encoded_in_the_order_asked_for(tmp_path):
    stored, encode = texts(tmp_path / "rows"), Lengths()
    rows = stored.encode(["ccc", "bb", "a", "dddd", "bb"], encode, CPU)
    assert rows.tolist() == [[6.0], [200.0], [100.0], [8.0], [200.0]]
    assert encode.seen == ["ccc", "dddd"]


def test_where_all_is_stored_nothing_is_encoded(tmp_path):
    encode = Lengths()
    assert texts(tmp_path / "rows").encode(["bb", "a"], encode, CPU).tolist() == [[200.0], [100.0]]
    assert not encode.seen


def test_a_folder_without_rows_has_none_of_any_item(tmp_path):
    (tmp_path / "README.md").write_text("nothing\n")
    for folder in (tmp_path, tmp_path / "not there"):
        encode = Lengths()
        stored = StoredEncodings(folder, same_text)
        assert stored.encode(["a", "bb"], encode, CPU).tolist() == [[2.0], [4.0]]
        assert encode.seen == ["a", "bb"]


def clips(folder: Path) -> ClipStore:
    rng = np.random.default_rng(0)
    sounds = [
        Clip(
            clip_id=name,
            corpus="xacle",
            split="train",
            pcm=rng.integers(-32_768, 32_768, size=50 + number).astype(np.int16),
        )
        for number, name in enumerate(("xacle/a.wav", "xacle/b.wav"))
    ]
    tables.write_table(write_clips(folder, sounds, 100_000), folder / "clips.parquet", tables.CLIPS)
    return ClipStore(folder)


def test_a_waveform_is_the_clip_that_has_all_of_its_samples(tmp_path):
    store = clips(tmp_path / "prepared")
    find = clip_finder(store)
    wave = store.wave("xacle/b.wav")
    assert find(wave) == "xacle/b.wav"
    assert find(store.wave("xacle/a.wav")) == "xacle/a.wav"
    assert find(wave[:-1]) is None


@pytest.mark.parametrize("change", [2.0**-17, 0.5, 4.0])
def test_a_waveform_with_one_other_sample_is_no_clip(change, tmp_path):
    """Not even if it rounds to the clip's, or is cut to it."""
    store = clips(tmp_path / "prepared")
    wave = store.wave("xacle/b.wav")
    wave[7] += np.float32(change)
    assert clip_finder(store)(wave) is None
