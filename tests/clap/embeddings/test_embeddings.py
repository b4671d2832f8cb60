"""Everything distinct is embedded once, and a killed run goes on where it was."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import pytest
import tiny_clap
import torch
from torch import Tensor

from soundjudge.clap.embeddings import embeddings
from soundjudge.clap.embeddings.embeddings import DistinctItems, EmbeddingConfig
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.jobs import chunks
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

CONFIG = {
    "batch_size": 4,
    "precision": "fp32",
    "dtype": "float32",
    "engine": "local",
    "workers": None,
}
CPU = torch.device("cpu")


def config(**changes: object) -> EmbeddingConfig:
    return EmbeddingConfig(**(CONFIG | changes))


class Encoder:
    """Vectors that depend on the item alone; records its items, and dies at one of them."""

    def __init__(self, dies_at: str | None = None, size: int = 6) -> None:
        self.seen: list[str] = []
        self.dies_at, self.size = dies_at, size

    def __call__(self, items: Sequence[str]) -> Tensor:
        if self.dies_at in items:
            raise KeyboardInterrupt
        self.seen += items
        rngs = [np.random.default_rng(list(item.encode())) for item in items]
        rows = np.array([rng.normal(size=self.size) for rng in rngs])
        return torch.nn.functional.normalize(torch.tensor(rows), dim=1).float()


def distinct_items(count: int = 11) -> DistinctItems:
    """Two keys per item."""
    items = [f"item{number:02}" for number in range(count)]
    keys = [f"key{number:02}" for number in range(2 * count)]
    return DistinctItems(keys=keys, items=items, rows=np.arange(2 * count) // 2)


def write(folder, distinct, encode, embedding, work, count=chunks.MAX_CHUNK_ITEMS):
    """Chunks of `count` items below `work`, those that are missing, then the folder of rows."""
    writer = partial(
        embeddings.write_embedding_chunk, encode=encode, embedding=embedding, device=CPU
    )
    parts = chunks.split_chunks("items", distinct.items, work, count)
    chunks.make_chunks(parts, lambda device: {"items": writer}, "local", None, "cpu")
    chunks.gather_chunks(folder, parts, distinct.keys, distinct.rows)


def texts_of(captions: pd.DataFrame) -> DistinctItems:
    return embeddings.distinct_texts(captions["caption_id"], captions["text"])


def test_captions_of_equal_text_are_read_once_and_short_ones_first():
    captions = pd.DataFrame(
        {"caption_id": list("dcba"), "text": ["rain", "a long caption", "rain", "wind"]}
    )
    distinct = texts_of(captions)
    assert distinct.items == ["rain", "wind", "a long caption"]
    assert dict(zip(distinct.keys, distinct.rows.tolist(), strict=True)) == {
        "b": 0,
        "d": 0,
        "a": 1,
        "c": 2,
    }
    again = texts_of(captions.sample(frac=1, random_state=1))
    assert (again.keys, again.items) == (distinct.keys, distinct.items)


def test_clips_of_equal_samples_are_heard_once_and_those_without_caption_not():
    clips = pd.DataFrame({"clip_id": list("cabd"), "sha256": ["1", "2", "1", "3"]})
    captions = pd.DataFrame({"clip_id": ["c", "b", "a", "a"]})
    distinct = embeddings.distinct_clips(captions["clip_id"], clips)
    assert (distinct.keys, distinct.items, distinct.rows.tolist()) == (
        ["a", "b", "c"],
        ["a", "b"],
        [0, 1, 1],
    )


def test_a_caption_of_an_unknown_clip_is_named():
    clips = pd.DataFrame({"clip_id": ["a"], "sha256": ["1"]})
    with pytest.raises(SoundjudgeError, match="clips.parquet has no clip 'x'"):
        embeddings.distinct_clips(["a", "x"], clips)


def test_each_item_is_encoded_once_and_found_by_all_its_keys(tmp_path):
    encoder = Encoder()
    write(tmp_path / "out", distinct_items(), encoder, config(), tmp_path / "work", 4)
    assert encoder.seen == distinct_items().items
    store = ArrayStore(tmp_path / "out")
    assert (len(store), store.shape) == (22, (11, 6))
    expected = Encoder()(distinct_items().items).numpy()
    np.testing.assert_allclose(
        store.gather(["key00", "key01", "key21"]), expected[[0, 0, 10]], 1e-6
    )
    shards = sorted(path.name for path in (tmp_path / "out/shards").iterdir())
    assert shards == ["00000.npy", "00001.npy", "00002.npy"]


@pytest.mark.parametrize("dies_at", ["item00", "item05", "item10"])
def test_a_run_killed_in_the_middle_goes_on_and_ends_with_the_same_bytes(tmp_path, dies_at):
    whole, work = tmp_path / "whole", tmp_path / "work"
    write(whole, distinct_items(), Encoder(), config(), tmp_path / "elsewhere", 4)
    killed = Encoder(dies_at)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "lost", distinct_items(), killed, config(), work, 4)
    (work / "items").mkdir(parents=True, exist_ok=True)  # killed at the first
    (work / "items/.part-00001.npy").write_bytes(b"half a file")  # as a harder kill leaves it
    second = Encoder()
    write(tmp_path / "out", distinct_items(), second, config(), work, 4)
    done = 4 * (int(dies_at[-2:]) // 4)
    assert second.seen == distinct_items().items[done:]
    assert artifacts.sha256(tmp_path / "out") == artifacts.sha256(whole)


def test_float16_is_kept_as_such(tmp_path):
    write(tmp_path / "out", distinct_items(), Encoder(), config(dtype="float16"), tmp_path / "work")
    store = ArrayStore(tmp_path / "out")
    assert store.dtype == np.float16
    np.testing.assert_allclose(store["key00"], Encoder()(["item00"])[0], atol=1e-3)


def test_nothing_to_embed_gives_an_empty_folder(tmp_path):
    nothing = DistinctItems(keys=[], items=[], rows=np.empty(0, np.int64))
    write(tmp_path / "out", nothing, Encoder(), config(), tmp_path / "work")
    assert len(ArrayStore(tmp_path / "out")) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_vector_without_direction_is_an_error_that_names_the_item(tmp_path, value):
    def encode(items: Sequence[str]) -> Tensor:
        vectors = torch.ones(len(items), 3)
        vectors[[item == "item06" for item in items]] = value
        return vectors

    with pytest.raises(SoundjudgeError, match="vector .*for 'item06'"):
        write(tmp_path / "out", distinct_items(), encode, config(), tmp_path / "work")
    assert not list((tmp_path / "work").rglob("*.npy"))


def test_a_clap_embeds_a_caption_of_5000_words_and_one_of_a_single_sign(tmp_path):
    clap = tiny_clap.clap()
    long = " ".join(["a dog barks"] * 1667)
    captions = pd.DataFrame({"caption_id": ["a", "b", "c"], "text": [long, "!", "a dog barks"]})
    distinct = texts_of(captions)
    write(tmp_path / "out", distinct, clap.embed_texts, config(), tmp_path / "work")
    store = ArrayStore(tmp_path / "out")
    np.testing.assert_allclose(np.linalg.norm(store.gather(["a", "b", "c"]), axis=1), 1, 1e-6)
    with torch.no_grad():
        alone = clap.embed_texts(["a dog barks"]).numpy()[0]
    np.testing.assert_allclose(store["c"], alone, atol=1e-5)


def test_bf16_changes_little_and_still_gives_unit_vectors(tmp_path):
    clap = tiny_clap.clap()
    captions = pd.DataFrame({"caption_id": list("abc"), "text": ["a dog", "rain falls", "engine"]})
    for precision in ("fp32", "bf16"):
        write(
            tmp_path / precision,
            texts_of(captions),
            clap.embed_texts,
            config(precision=precision),
            tmp_path / f"work-{precision}",
        )
    full, half = (ArrayStore(tmp_path / name).gather(list("abc")) for name in ("fp32", "bf16"))
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, 1e-6)
    assert 0 < np.abs(full - half).max() < 0.05


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="batch_size is 0"):
        config(batch_size=0)


def test_workers_without_an_engine_that_has_them_are_refused():
    with pytest.raises(ValueError, match="workers is 2 and engine local"):
        config(workers=2)
