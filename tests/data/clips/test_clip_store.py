"""Clips and rows come back by name, exactly, and their bytes are deterministic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_clips import write_clips

from soundjudge.data.arrays import array_store
from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora.clip_writer import Clip, to_pcm
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError


def clip(name: str, *pcm: int, split: str = "train") -> Clip:
    corpus = name.split("/")[0]
    return Clip(clip_id=name, corpus=corpus, split=split, pcm=np.array(pcm, np.int16))


def write_store(folder, clips, shard_samples):
    frame = write_clips(folder, clips, shard_samples)
    tables.write_table(frame, folder / "clips.parquet", tables.CLIPS)
    return ClipStore(folder)


def test_clips_come_back_by_id_and_fill_shards_end_to_end(tmp_path):
    three = [clip("a/1", 1, 2, 3), clip("a/2", 4), clip("b/1", -32768, 32767, split="test")]
    clips = write_store(tmp_path / "p", three, shard_samples=4)
    assert np.load(tmp_path / "p/shards/00000.npy").tolist() == [1, 2, 3, 4]
    assert np.load(tmp_path / "p/shards/00001.npy").tolist() == [-32768, 32767]
    assert (clips.wave("a/2") * 32768).tolist() == [4.0]
    assert (clips.wave("b/1") * 32768).tolist() == [-32768.0, 32767.0]
    assert clips.wave("a/1").dtype == np.float32
    assert len(clips) == 3
    assert "a/1" in clips
    assert "a/3" not in clips
    assert clips.ids() == ["a/1", "a/2", "b/1"]


def test_no_clips_are_an_empty_folder(tmp_path):
    clips = write_store(tmp_path / "p", [], shard_samples=4)
    assert len(clips) == 0
    assert list((tmp_path / "p/shards").iterdir()) == []


def test_a_missing_clip_and_a_short_shard_are_named(tmp_path):
    clips = write_store(tmp_path / "p", [clip("a/1", 1, 2, 3)], shard_samples=4)
    with pytest.raises(SoundjudgeError, match=r"has no clip 'a/2': see rejected\.csv"):
        clips.wave("a/2")
    np.save(tmp_path / "p/shards/00000.npy", np.array([1], np.int16))
    with pytest.raises(SoundjudgeError, match=r"00000\.npy ends before 'a/1'"):
        clips.wave("a/1")
    (tmp_path / "p/shards/00000.npy").unlink()
    with pytest.raises(SoundjudgeError, match=r"00000\.npy cannot be read"):
        ClipStore(tmp_path / "p").wave("a/1")


@given(st.integers(-32768, 32767))
def test_every_16_bit_sample_survives_the_way_through_float(value):
    wave = np.array([value], np.float32) / np.float32(32768)
    assert to_pcm(wave).tolist() == [value]


def test_full_scale_is_cut_off_and_does_not_wrap():
    assert to_pcm(np.array([1.0, -1.0], np.float32)).tolist() == [32767, -32768]


def test_rows_come_back_by_key_in_any_order(tmp_path):
    blocks = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
    write_rows(tmp_path / "r", ["x", "y", "z"], [blocks[:2], blocks[2:]])
    store = ArrayStore(tmp_path / "r")
    assert store.keys == ["x", "y", "z"]
    assert store["y"].tolist() == [[4.0, 5.0], [6.0, 7.0]]
    assert store.gather(["z", "x", "z"]).shape == (3, 2, 2)
    assert np.array_equal(store.gather(["z", "x"]), blocks[[2, 0]])
    assert store.row_indices(["z", "y"]).tolist() == [2, 1]
    assert (store.shape, store["x"].dtype) == ((3, 2, 2), np.float16)
    assert ("x" in store, "w" in store, len(store)) == (True, False, 3)
    with pytest.raises(SoundjudgeError, match="has no row 'w'"):
        store.gather(["x", "w"])


def test_keys_of_equal_content_share_a_row(tmp_path):
    block = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    write_rows(tmp_path / "r", ["a", "b", "c"], [block], rows=[1, 0, 1])
    store = ArrayStore(tmp_path / "r")
    assert store.gather(["a", "b", "c"]).tolist() == [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    assert (len(store), store.shape) == (3, (2, 2))
    assert (store.key(0), store.key(1)) == ("b", "a")
    assert np.load(tmp_path / "r/shards/00000.npy").tolist() == block.tolist()


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=6), st.integers(1, 5), st.randoms())
def test_rows_do_not_depend_on_blocks_nor_on_where_shards_end(tmp_path_factory, sizes, each, luck):
    folder = tmp_path_factory.mktemp("rows")
    total = sum(sizes)
    block = np.arange(2 * total, dtype=np.float32).reshape(total, 2)
    keys = [f"k{number}" for number in range(total)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_store, "SHARD_BYTES", 8 * each)  # two float32 a row
        write_rows(folder / "a", keys, np.split(block, np.cumsum(sizes)))
        write_rows(folder / "b", keys, [block])
    names = [path.name for path in sorted((folder / "a/shards").iterdir())]
    assert len(names) == max(1, -(-total // each))
    for name in names:
        one, other = ((folder / part / "shards" / name).read_bytes() for part in "ab")
        assert one == other
    store = ArrayStore(folder / "a")
    rows = luck.choices(range(total), k=7) if total else []
    assert np.array_equal(store.gather([keys[row] for row in rows]), block[rows])
    assert sum(map(len, store.blocks())) == total


def test_rows_are_read_only(tmp_path):
    write_rows(tmp_path / "r", ["x"], [np.ones((1, 2), np.float32)])
    store = ArrayStore(tmp_path / "r")
    with pytest.raises(ValueError, match="read-only"):
        next(iter(store.blocks()))[0] = 5.0
    store["x"][0] = 5.0
    assert store["x"].tolist() == [1.0, 1.0]


def test_no_rows_come_back_as_no_rows(tmp_path):
    write_rows(tmp_path / "r", [], [])
    store = ArrayStore(tmp_path / "r")
    assert (len(store), len(store.gather([]))) == (0, 0)


def test_rows_that_do_not_fit_are_refused(tmp_path):
    one, two = np.ones((1, 2), np.float32), np.ones((2, 2), np.float32)
    for keys, blocks, rows in (
        (["x", "y"], [one], None),
        (["x"], [two], None),
        (["x", "y"], [two], [0, 0]),
        (["x", "y"], [two], [0, 2]),
        (["x", "y"], [two], [0]),
    ):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        with pytest.raises(SoundjudgeError, match="do not fit its"):
            write_rows(folder, keys, blocks, rows)
        assert not (folder / "keys.parquet").exists()
    with pytest.raises(
        SoundjudgeError, match=r"a block of float32 \(3,\) among rows of float32 \(2,\)"
    ):
        write_rows(tmp_path / "b", ["x", "y"], [one, np.ones((1, 3), np.float32)])
    with pytest.raises(SoundjudgeError, match="a block of float16"):
        write_rows(tmp_path / "c", ["x", "y"], [one, one.astype(np.float16)])
    with pytest.raises(SoundjudgeError, match="a second time"):
        write_rows(tmp_path / "d", ["x", "x"], [two])


def test_a_missing_or_short_shard_of_rows_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(array_store, "SHARD_BYTES", 8)
    write_rows(tmp_path / "r", ["x", "y", "z"], [np.ones((3, 2), np.float32)])
    last = tmp_path / "r/shards/00002.npy"
    np.save(last, np.ones((2, 2), np.float32))
    with pytest.raises(SoundjudgeError, match="has 4 rows, and its keys name 3"):
        ArrayStore(tmp_path / "r")
    last.unlink()
    with pytest.raises(SoundjudgeError, match=r"00002\.npy cannot be read"):
        ArrayStore(tmp_path / "r")
