"""Clips and rows come back by name, exactly, and their bytes do not depend on chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundjudge.data import shards, tables
from soundjudge.data.shards import Clip, Clips, Rows, RowWriter, ShardError


def clip(name: str, *pcm: int, split: str = "train") -> Clip:
    corpus = name.split("/")[0]
    return Clip(clip_id=name, corpus=corpus, split=split, pcm=np.array(pcm, np.int16))


def written(folder, clips, shard_samples):
    frame = shards.write_clips(folder, clips, shard_samples)
    tables.write(frame, folder / "clips.parquet", tables.CLIPS)
    return Clips(folder)


def test_clips_come_back_by_id_and_fill_shards_end_to_end(tmp_path):
    some = [clip("a/1", 1, 2, 3), clip("a/2", 4), clip("b/1", -32768, 32767, split="test")]
    clips = written(tmp_path / "p", some, shard_samples=4)
    assert np.load(tmp_path / "p/shards/00000.npy").tolist() == [1, 2, 3, 4]
    assert np.load(tmp_path / "p/shards/00001.npy").tolist() == [-32768, 32767]
    assert (clips.wave("a/2") * 32768).tolist() == [4.0]
    assert (clips.wave("b/1") * 32768).tolist() == [-32768.0, 32767.0]
    assert clips.wave("a/1").dtype == np.float32
    assert len(clips) == 3
    assert "a/1" in clips
    assert "a/3" not in clips
    assert clips.ids() == ["a/1", "a/2", "b/1"]
    assert clips.ids(corpus="a") == ["a/1", "a/2"]
    assert clips.ids(split="test") == ["b/1"]
    assert clips.ids(corpus="a", split="test") == []


def test_no_clips_are_an_empty_folder(tmp_path):
    clips = written(tmp_path / "p", [], shard_samples=4)
    assert len(clips) == 0
    assert list((tmp_path / "p/shards").iterdir()) == []


def test_a_missing_clip_and_a_short_shard_are_named(tmp_path):
    clips = written(tmp_path / "p", [clip("a/1", 1, 2, 3)], shard_samples=4)
    with pytest.raises(ShardError, match=r"has no clip 'a/2': see rejected\.csv"):
        clips.wave("a/2")
    np.save(tmp_path / "p/shards/00000.npy", np.array([1], np.int16))
    with pytest.raises(ShardError, match=r"00000\.npy ends before 'a/1'"):
        clips.wave("a/1")
    (tmp_path / "p/shards/00000.npy").unlink()
    with pytest.raises(ShardError, match=r"00000\.npy cannot be read"):
        Clips(tmp_path / "p").wave("a/1")


@given(st.integers(-32768, 32767))
def test_every_16_bit_sample_survives_the_way_through_float(value):
    wave = np.array([value], np.float32) / np.float32(32768)
    assert shards.to_pcm(wave).tolist() == [value]


def test_full_scale_is_cut_off_and_does_not_wrap():
    assert shards.to_pcm(np.array([1.0, -1.0], np.float32)).tolist() == [32767, -32768]


def test_rows_come_back_by_key_in_any_order(tmp_path):
    blocks = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
    with RowWriter(tmp_path / "r", (2, 2), np.float16, 3) as writer:
        writer.write(["x", "y"], blocks[:2])
        writer.write(["z"], blocks[2:])
    rows = Rows(tmp_path / "r")
    assert rows.keys == ["x", "y", "z"]
    assert rows["y"].tolist() == [[4.0, 5.0], [6.0, 7.0]]
    assert rows.gather(["z", "x", "z"]).shape == (3, 2, 2)
    assert np.array_equal(rows.gather(["z", "x"]), blocks[[2, 0]])
    assert rows.index("z") == 2
    assert rows["x"].dtype == np.float16
    assert ("x" in rows, "w" in rows, len(rows)) == (True, False, 3)
    with pytest.raises(ShardError, match="has no row 'w'"):
        rows.gather(["w"])


def test_rows_are_read_only(tmp_path):
    shards.write_rows(tmp_path / "r", ["x"], [np.ones((1, 2), np.float32)])
    with pytest.raises(ValueError, match="read-only"):
        Rows(tmp_path / "r")["x"][0] = 5.0


def test_blocks_tell_the_shape_themselves(tmp_path):
    blocks = [np.full((2, 3), 1.0, np.float32), np.full((1, 3), 2.0, np.float32)]
    shards.write_rows(tmp_path / "r", ["x", "y", "z"], iter(blocks))
    assert Rows(tmp_path / "r")["z"].tolist() == [2.0, 2.0, 2.0]


def test_no_rows_come_back_as_no_rows(tmp_path):
    with RowWriter(tmp_path / "r", (3,), np.float32, 0):
        pass
    assert len(Rows(tmp_path / "r")) == 0


def test_rows_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ShardError, match="1 of 2 rows written"):  # noqa: SIM117
        with RowWriter(tmp_path / "a", (2,), np.float32, 2) as writer:
            writer.write(["x"], np.ones((1, 2), np.float32))
    assert not (tmp_path / "a/keys.parquet").exists()
    with RowWriter(tmp_path / "b", (2,), np.float32, 1) as writer:
        with pytest.raises(ShardError, match=r"1 keys for a block of shape \(1, 3\)"):
            writer.write(["x"], np.ones((1, 3), np.float32))
        with pytest.raises(ShardError, match="2 keys for a block"):
            writer.write(["x", "y"], np.ones((1, 2), np.float32))
        writer.write(["x"], np.ones((1, 2), np.float32))
        with pytest.raises(ShardError, match="row 2 of 1"):
            writer.write(["y"], np.ones((1, 2), np.float32))
    with pytest.raises(tables.TableError, match="a second time"):
        shards.write_rows(tmp_path / "c", ["x", "x"], [np.ones((2, 2), np.float32)])
