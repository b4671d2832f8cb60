"""The member that is a CLAP as it is compares by all that the CLAP has."""

import numpy as np
import pytest
import tiny_clap
import tiny_towers
import torch

from soundjudge.scoring.members.encodings import RegressorMember, ZeroshotMember
from soundjudge.scoring.members.shared_clap import SharedClap

WAVES = [np.random.default_rng(n).normal(size=30_000).astype(np.float32) for n in range(3)]
TEXTS = ["a dog", "rain falls", "a bell rings then a cat"]


def zeroshot_scores(clap) -> np.ndarray:
    member = ZeroshotMember(SharedClap(clap))
    with torch.inference_mode():
        return member.scores(member.encode_sounds(WAVES), member.encode_texts(TEXTS))


def test_towers_are_compared_by_projections_and_categories_together():
    clap = tiny_towers.clap(with_categories=True)
    with torch.inference_mode():
        sounds = clap.match_sounds(clap.encode_sounds(WAVES))
        expected = 10 * (sounds * clap.match_texts(clap.encode_texts(TEXTS))).sum(dim=1)
    np.testing.assert_allclose(zeroshot_scores(clap), expected, atol=1e-5)
    clap.categories = None  # of the projections alone
    assert not np.allclose(zeroshot_scores(clap), expected, atol=0.1)


@pytest.mark.parametrize("clap", [tiny_towers.clap(), tiny_clap.clap()], ids=["towers", "clap"])
def test_a_clap_of_embeddings_alone_is_compared_by_them(clap):
    with torch.inference_mode():
        expected = 10 * (clap.embed_sounds(WAVES) * clap.embed_texts(TEXTS)).sum(dim=1)
    np.testing.assert_allclose(zeroshot_scores(clap), expected, atol=1e-5)


def test_a_batch_runs_through_the_towers_once_for_features_and_for_comparing(monkeypatch):
    clap = tiny_towers.clap(with_categories=True)
    shared, runs = SharedClap(clap), []
    pool = clap.pool_mels
    monkeypatch.setattr(clap, "pool_mels", lambda mels: runs.append(len(mels)) or pool(mels))
    with torch.inference_mode():
        embedded = shared.embed_sounds(WAVES)
        matched = shared.match_sounds(WAVES)
        assert runs == [3]
        assert embedded.shape == (3, clap.dimensions) and matched.shape == (3, clap.dimensions + 3)
        assert torch.equal(embedded, clap.embed_sounds(WAVES))


def test_features_of_a_regressor_are_embeddings_without_categories():
    clap = tiny_towers.clap(with_categories=True)

    class Machine:
        claps = (SharedClap(clap),)

    with torch.inference_mode():
        features = RegressorMember(Machine()).encode_sounds(WAVES)
    assert [len(row) for row in features] == [clap.dimensions] * 3
