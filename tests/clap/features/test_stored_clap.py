"""A CLAP that reads its features embeds as one that hears, without hearing."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_m2d
import tiny_towers
import tiny_tuning
import torch

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.features import stored_clap
from soundjudge.clap.features.stored_clap import StoredClap, StoredTowers
from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.training.tune_clap import tune_clap

CPU, TEXTS = torch.device("cpu"), ["a dog barks", "rain falls"]
IDS = [f"xacle/{number:05}.wav" for number in range(4)]


def write_features(root, claps, clips) -> None:
    """What the stage writes of some clips and texts."""
    items = {"clips": IDS, "texts": TEXTS}
    with torch.no_grad():
        for folder, encode in stored_clap.clap_encoders(claps, clips).items():
            keys = items[Path(folder).name]
            write_rows(root / folder, keys, [encode(keys).numpy()])


def deaf(clap):
    """The same CLAP, whose towers must not run."""

    def fail(*_):
        raise AssertionError("it was encoded again")

    for name in ("pool_mels", "pool_texts", "embed_sounds", "embed_texts"):
        object.__setattr__(clap, name, fail)
    return clap


@pytest.mark.parametrize("make", [tiny_clap.clap, tiny_towers.clap])
def test_embeddings_of_stored_towers_are_those_of_the_whole_clap(make, tmp_path):
    clips = tiny_tuning.write_store(tmp_path / "prepared")
    waves, clap = [clips.wave(clip_id) for clip_id in IDS], make()
    write_features(tmp_path / "features", [clap], clips)
    with torch.no_grad():
        sounds, texts = clap.embed_sounds(waves[1:3]), clap.embed_texts(TEXTS[:1])
        stored = StoredClap(clap, CPU, clips, tmp_path / "features")
        deaf(clap)
        torch.testing.assert_close(stored.embed_sounds(waves[1:3]), sounds, atol=1e-6, rtol=0)
        torch.testing.assert_close(stored.embed_texts(TEXTS[:1]), texts, atol=1e-6, rtol=0)
    assert sounds.std() > 0.01


def test_what_is_not_stored_is_heard(tmp_path):
    clips, clap = tiny_tuning.write_store(tmp_path / "prepared"), tiny_clap.clap()
    write_features(tmp_path / "features", [clap], clips)
    stored = StoredClap(clap, CPU, clips, tmp_path / "features")
    waves = [clips.wave(IDS[0]), clips.wave("xacle/00009.wav"), clips.wave(IDS[1])[:2_000]]
    with torch.no_grad():
        expected = clap.embed_sounds(waves)
        torch.testing.assert_close(stored.embed_sounds(waves), expected, atol=1e-6, rtol=0)
        words = ["a bell rings", "rain falls"]
        expected = clap.embed_texts(words)
        torch.testing.assert_close(stored.embed_texts(words), expected, atol=1e-6, rtol=0)


def test_a_clap_of_other_weights_reads_nothing_of_the_first(tmp_path):
    clips = tiny_tuning.write_store(tmp_path / "prepared")
    write_features(tmp_path / "features", [tiny_clap.clap()], clips)
    other = tiny_clap.clap(seed=1)
    stored = StoredClap(other, CPU, clips, tmp_path / "features")
    with torch.no_grad():
        expected = other.embed_sounds([clips.wave(IDS[0])])
        assert torch.equal(stored.embed_sounds([clips.wave(IDS[0])]), expected)


def test_the_first_clap_has_a_place_of_its_own_and_equal_ones_are_one(tmp_path):
    clips = tiny_tuning.write_store(tmp_path / "prepared")
    first, extra = tiny_clap.clap(), tiny_clap.clap(seed=1)
    folders = list(stored_clap.clap_encoders([first, extra, extra, tiny_clap.clap()], clips))
    assert sorted(folders) == [
        f"{extra_or_first}/{kind}"
        for extra_or_first in (f"extra/{extra.name()}", f"first/{first.name()}")
        for kind in ("clips", "texts")
    ]


def test_of_m2d_clap_the_embeddings_are_stored_and_tuning_runs_its_towers(tmp_path):
    clips = tiny_tuning.write_store(tmp_path / "prepared")
    folder = tiny_m2d.write(tmp_path / "m2d")
    clap = checkpoints.load_tunable(ClapSource(folder), "cpu")
    write_features(tmp_path / "features", [clap], clips)
    waves = [clips.wave(clip_id) for clip_id in IDS]
    with torch.no_grad():
        towers = StoredTowers(clap, CPU, clips, tmp_path / "features")
        assert torch.equal(towers.pool_sounds(waves), clap.pool_mels(clap.log_mel(waves)))
        expected = clap.embed_sounds(waves)
        rows = ArrayStore(tmp_path / "features/first" / clap.name() / "clips").gather(IDS)
        np.testing.assert_array_equal(rows, expected.numpy())
        deaf(clap)
        stored = StoredClap(clap, CPU, clips, tmp_path / "features")
        assert torch.equal(stored.embed_sounds(waves), expected)


def test_tuning_reads_the_outputs_of_frozen_towers(tmp_path):
    clips = tiny_tuning.write_store(tmp_path / "prepared")
    clap, config = tiny_clap.clap(), tiny_tuning.tuning(trainable="projections")
    pairs = tune_clap.rated_pairs(tiny_tuning.targets(0, 2), "spo", 7.0, 3.0)
    write_features(tmp_path / "features", [clap], clips)

    def inputs(name: str, features: Path) -> tuple:
        model = tune_clap.ClapScore(clap, 7.0, 3.0)
        work = tmp_path / name
        read = tune_clap.TuneInputs(model, [pairs], clips, config, work, features)
        return read.read(pairs, np.arange(2))

    heard = inputs("heard", tmp_path / "none")
    deaf(clap)
    for one, other in zip(inputs("stored", tmp_path / "features"), heard, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
