"""Targets of all rated pairs: every split as train is, and nobody taken for somebody else."""

import numpy as np
import pandas as pd
import pytest

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.last_fit import pooling
from soundjudge.labels.ratings import standardization
from soundjudge.labels.ratings.config import Screening, Standardization

UNSCREENED = Screening(method="none")
PUBLISHED = Standardization(shrinkage=0.0)


def ratings(split, scores, first=0):
    """Ratings of pairs x listeners; listeners are a, b, ... in every split."""
    rows = [
        (f"{first + pair:05}.wav", f"text {first + pair}", "abcdef"[listener], score, split)
        for pair, row in enumerate(scores)
        for listener, score in enumerate(row)
    ]
    columns = ["wav_file_name", "text", "listener_id", "score", "split"]
    return pd.DataFrame(rows, columns=columns).assign(model_id=None)


TRAIN = ratings("train", [[2, 4], [4, 8], [6, 6]])
TEST = ratings("test", [[8, 9], [9, 7], [10, 5]], first=3)
BOTH = pd.concat([TRAIN, TEST], ignore_index=True)


def test_every_split_is_in_and_counts_as_train():
    pooled = pooling.pool_targets(BOTH, UNSCREENED, PUBLISHED)
    assert list(pooled.targets["wav_file_name"]) == [f"{n:05}.wav" for n in range(6)]
    assert set(pooled.targets["split"]) == {"train"}
    assert pooled.pairs == {"test": 3, "train": 3}
    np.testing.assert_allclose(pooled.targets["mean_score"], [3, 6, 6, 8.5, 8, 7.5])


def test_a_listener_of_test_has_a_scale_of_their_own_though_the_id_is_one_of_train():
    pooled = pooling.pool_targets(BOTH, UNSCREENED, PUBLISHED)
    # Of test: a rates 8, 9, 10 (mean 9, std 1), b 9, 7, 5 (mean 7, std 2).
    np.testing.assert_allclose(pooled.targets["spo_score"][3:], [0, 0, 0], atol=1e-12)
    # Of train: a rates 2, 4, 6 (4, 2), b 4, 8, 6 (6, 2).
    np.testing.assert_allclose(pooled.targets["spo_score"][:3], [-1, 0.5, 0.5])
    assert pooled.overall.mean == (9 + 7 + 4 + 6) / 4


def test_train_alone_gives_the_targets_of_the_pipeline():
    rng = np.random.default_rng(0)
    train = ratings("train", rng.uniform(0, 10, size=(12, 4)).round(1))
    validation = ratings("validation", rng.uniform(0, 10, size=(5, 3)).round(1), first=12)
    config = Standardization()
    pooled = pooling.pool_targets(train, UNSCREENED, config)
    selection = standardization.standardize_splits(pd.concat([train, validation]), config)
    pd.testing.assert_frame_equal(pooled.targets, selection.targets["train"])
    assert pooled.overall == selection.scales.overall
    tables.check_table(pooled.targets, tables.TARGETS, "targets")


def careless(split, first):
    """Eight pairs on which three listeners agree, and one who always says 5."""
    truth = np.array([0, 1, 2, 3, 7, 8, 9, 10.0])
    return ratings(split, np.stack([truth, truth, truth, np.full(8, 5.0)], axis=1), first)


@pytest.mark.parametrize(("splits", "mean"), [(("train",), 0), ((), 1.25)])
def test_test_is_screened_if_train_is(splits, mean):
    rules = Screening(method="listener", splits=splits)
    both = pd.concat([careless("train", 0), careless("test", 8)], ignore_index=True)
    pooled = pooling.pool_targets(both, rules, PUBLISHED)
    # The pair that three listeners rate 0 and the straightliner 5.
    assert list(pooled.targets["mean_score"][[0, 8]]) == [mean, mean]


def test_validation_is_screened_as_train_whatever_the_selection_run_did():
    rules = Screening(method="listener", splits=("train", "validation"))
    both = pd.concat([careless("train", 0), careless("validation", 8)], ignore_index=True)
    assert pooling.pool_targets(both, rules, PUBLISHED).targets["mean_score"][8] == 0


def test_published_averages_are_kept_and_standardized_by_the_global_statistics():
    averages = TEST[TEST["listener_id"] == "a"].assign(listener_id="average")
    both = pd.concat([TRAIN, averages], ignore_index=True)
    rules = Screening(method="rating", tolerance=5.0)  # drops what no second rating confirms
    pooled = pooling.pool_targets(both, rules, PUBLISHED)
    assert pooled.pairs == {"test": 3, "train": 3}
    # Train alone: means 4 and 6, stds 2 and 2.
    assert (pooled.overall.mean, pooled.overall.std) == (5, 2)
    np.testing.assert_allclose(pooled.targets["spo_score"][3:], [1.5, 2, 2.5])


def test_ratings_whose_listeners_are_all_different_are_refused():
    single = BOTH.assign(listener_id=[str(n) for n in range(len(BOTH))])
    with pytest.raises(SoundjudgeError, match="rated pairs: each of the 12 ratings"):
        pooling.pool_targets(single, UNSCREENED, PUBLISHED)
