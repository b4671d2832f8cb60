"""Standardization by hand, and next to plain loops over listeners and pairs."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import run_stage, write_params

from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import check_table
from soundjudge.data.tables.target_scale import TargetScale
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import latent, listeners, rating_arrays, standardization
from soundjudge.labels.ratings.config import LatentConfig, Standardization
from soundjudge.runtime import artifacts

PUBLISHED = Standardization(shrinkage=0.0)


def ratings(*rows, split="train"):
    """(wav, listener, score) rows as a RATINGS table."""
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    frame = frame.assign(text="t", split=split, model_id=None, score=frame["score"].astype(float))
    return frame[list(tables.RATINGS.columns)].astype({"model_id": "object"})


VALIDATION = ratings(("v.wav", "l1", 10), ("v.wav", "l4", 9), split="validation")
TRAIN = ratings(
    ("a.wav", "l1", 2), ("b.wav", "l1", 6),  # mean 4, std sqrt(8)
    ("a.wav", "l2", 7), ("b.wav", "l2", 7), ("c.wav", "l2", 7),  # one opinion: std 1
    ("c.wav", "l3", 10),  # one rating: std 1
)  # fmt: skip


def test_listener_statistics_by_hand():
    table = listeners.listener_statistics(TRAIN)
    check_table(table, tables.LISTENERS, "test")
    assert table["listener_id"].tolist() == ["l1", "l2", "l3"]
    assert table["mean"].tolist() == [4, 7, 10]
    assert table["std"].tolist() == pytest.approx([8**0.5, 1, 1])
    assert table["ratings"].tolist() == [2, 3, 1]
    overall = listeners.global_statistics(table)
    assert overall.mean == pytest.approx(7)
    assert overall.std == pytest.approx(((8 + 1 + 1) / 3) ** 0.5)


def test_one_opinion_that_is_no_binary_fraction_has_no_tiny_std():
    table = listeners.listener_statistics(ratings(*[(f"{i}.wav", "l", 0.1) for i in range(7)]))
    assert table["std"].tolist() == [1.0]


def naive_targets(frame, scales, overall):
    """The published code's loops: {(wav, text): (mean, standardized mean, count)}."""
    ratings_of_pair = {}
    for row in frame.itertuples():
        mean, std = scales.get(row.listener_id, (overall.mean, overall.std))
        pair = ratings_of_pair.setdefault((row.wav_file_name, row.text), [])
        pair.append((row.score, (row.score - mean) / std))
    return {
        pair: (
            sum(a for a, _ in values) / len(values),
            sum(b for _, b in values) / len(values),
            len(values),
        )
        for pair, values in ratings_of_pair.items()
    }


def naive_statistics(frame):
    """{listener: (mean, std)}."""
    statistics = {}
    for who in dict.fromkeys(frame["listener_id"]):
        own = [row.score for row in frame.itertuples() if row.listener_id == who]
        mean = sum(own) / len(own)
        std = 1.0
        if len(set(own)) > 1:
            std = math.sqrt(sum((score - mean) ** 2 for score in own) / (len(own) - 1))
        statistics[who] = (mean, std)
    return statistics


ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(0, 40)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:2],
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(ROWS, ROWS, st.booleans())
def test_statistics_and_targets_are_those_of_plain_loops(train, new, categorical):
    frames = [ratings(*[(w, who, n / 4) for w, who, n in rows]) for rows in (train, new)]
    if categorical:
        ids = ["wav_file_name", "text", "listener_id", "split"]
        frames = [frame.astype(dict.fromkeys(ids, "category")) for frame in frames]
    train_frame, new_frame = frames
    table = listeners.listener_statistics(train_frame)
    expected = naive_statistics(train_frame)
    assert table["listener_id"].tolist() == sorted(expected)
    for row in table.itertuples():
        assert (row.mean, row.std) == pytest.approx(expected[row.listener_id])
    overall = listeners.global_statistics(table)
    for frame in (train_frame, new_frame):
        targets = listeners.build_targets(frame, table, overall)
        expected_targets = naive_targets(frame, expected, overall)
        assert list(zip(targets["wav_file_name"], targets["text"], strict=True)) == list(
            expected_targets
        )
        numbers = targets[["mean_score", "spo_score", "ratings"]].to_numpy()
        np.testing.assert_allclose(numbers, list(expected_targets.values()), atol=1e-9)


def test_validation_takes_the_training_panels_pair_whoever_listened():
    result = standardization.standardize_splits(pd.concat([TRAIN, VALIDATION]), PUBLISHED)
    train, validation = result.targets["train"], result.targets["validation"]
    check_table(train, tables.TARGETS, "test")
    assert train["wav_file_name"].tolist() == ["a.wav", "b.wav", "c.wav"]
    assert train["mean_score"].tolist() == [4.5, 6.5, 8.5]
    assert train["spo_score"].tolist() == pytest.approx([-1 / 8**0.5, 1 / 8**0.5, 0])
    assert train["ratings"].tolist() == [2, 2, 2]
    # l1 is known from train, and validation takes the global pair all the same.
    assert validation["spo_score"].tolist() == pytest.approx([2.5 / (10 / 3) ** 0.5])


def test_the_latent_model_sees_one_split_at_a_time():
    both = pd.concat([TRAIN, VALIDATION])
    result = standardization.standardize_splits(both, PUBLISHED)
    alone = latent.fit_latent(TRAIN, LatentConfig())
    assert result.targets["train"]["latent_score"].tolist() == alone.pairs["latent_score"].tolist()
    assert result.targets["train"]["latent_se"].tolist() == alone.pairs["latent_se"].tolist()
    habits = standardization.latent_listeners(result)
    check_table(habits, standardization.LATENT_LISTENERS, "test")
    assert habits["split"].tolist() == ["train"] * 3 + ["validation"] * 2
    numbers = standardization.summarize_targets(result)
    assert numbers["train_latent"]["log_likelihood"] == alone.log_likelihood[-1]


def test_an_unknown_listener_takes_the_global_pair_and_a_known_one_its_own():
    scales = pd.DataFrame({"listener_id": ["l1"], "mean": [4.0], "std": [2.0], "ratings": [9]})
    frame = ratings(("a.wav", "l1", 8), ("a.wav", "new", 8))
    scores = listeners.standardize_ratings(frame, scales, TargetScale(mean=5.0, std=3.0))
    assert scores.tolist() == [2.0, 1.0]
    pairs = listeners.build_targets(frame.drop(columns="split"), scales, TargetScale(mean=5, std=3))
    assert set(pairs.columns) == {"wav_file_name", "text", "mean_score", "spo_score", "ratings"}


def test_with_strength_zero_nothing_is_pulled_and_the_global_pair_is_never():
    published = listeners.listener_scales(TRAIN, 0.0)
    assert published.prior is None
    pd.testing.assert_frame_equal(published.listeners, listeners.listener_statistics(TRAIN))
    for strength in (2.0, "empirical_bayes"):
        assert listeners.listener_scales(TRAIN, strength).overall == published.overall


def test_listeners_of_other_rows_leave_no_trace():
    everybody = rating_arrays.rating_arrays(TRAIN)
    part = everybody.where(everybody.listener != 1)
    for strength in (0.0, 2.0, "empirical_bayes"):
        frame = TRAIN[TRAIN["listener_id"] != "l2"]
        pd.testing.assert_frame_equal(
            listeners.listener_scales(part, strength).listeners,
            listeners.listener_scales(frame, strength).listeners,
        )


def test_without_training_ratings_there_is_no_standard():
    with pytest.raises(SoundjudgeError, match="no training listener"):
        standardization.standardize_splits(VALIDATION, PUBLISHED)


@pytest.mark.parametrize(
    "shrinkage", [0.0, pytest.param(2.0, marks=pytest.mark.slow), "empirical_bayes"]
)
def test_the_stage_writes_its_tables_and_the_same_bytes_again(in_folder, shrinkage):
    rng = np.random.default_rng(0)
    rows = [(f"{p}.wav", f"l{k}", rng.integers(0, 11)) for p in range(30) for k in range(4)]
    valid = ratings(*[(f"v{w}", f"v{k}", s) for w, k, s in rows], split="validation")
    table = pd.concat([ratings(*rows), valid], ignore_index=True)
    tables.write_table(table, Path("data/screened/ratings.parquet"), tables.RATINGS)
    write_params(in_folder, standardize__shrinkage=shrinkage)
    outs = [Path("data/targets"), Path("metrics")]
    sums = []
    for _ in range(2):
        run_stage("standardize")
        sums.append([artifacts.sha256(out) for out in outs])
    assert sums[0] == sums[1]

    for split in ("train", "validation"):
        targets = tables.read_table(Path(f"data/targets/{split}.csv"), tables.TARGETS)
        assert len(targets) == 30
        assert targets["latent_se"].gt(0).all()
    assert len(tables.read_table(Path("data/targets/listeners.csv"), tables.LISTENERS)) == 4
    habits = Path("data/targets/latent_listeners.csv")
    assert len(tables.read_table(habits, standardization.LATENT_LISTENERS)) == 8
    assert set(artifacts.read_json(Path("data/targets/global.json"))) == {"mean", "std"}
    prior = artifacts.read_json(Path("data/targets/shrinkage.json"))
    if shrinkage == "empirical_bayes":
        assert prior["ratings"] is None or prior["ratings"] > 0
    else:
        assert prior["ratings"] == prior["dof"] == shrinkage
    numbers = artifacts.read_json(Path("metrics/details/standardize.json"))
    assert numbers["note"] == "simulated ratings"
    assert numbers["train_latent"]["converged"]
