"""Agreement with intervals: the same coefficients, and intervals of the right width."""

import warnings
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import agreement_intervals, noise_ceiling, reliability


def table(seed=0, pairs=80, low=1, noise=1.5):
    """One to five ratings per pair."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"{pair}.wav", f"l{who}", float(np.clip(np.rint(truth + rng.normal(0, noise)), 0, 10)))
        for pair, truth in enumerate(rng.uniform(0, 10, pairs))
        for who in rng.choice(9, rng.integers(low, 6), replace=False)
    ]
    return pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])


def test_a_resample_has_the_coefficients_of_a_table_with_those_pairs():
    frame = table()
    pair, score = reliability.pairs_and_scores(frame)
    weights = np.random.default_rng(1).multinomial(80, np.full(80, 1 / 80), size=3)
    draws = reliability.coefficients(pair, score, np.concatenate([np.ones((1, 80)), weights]))
    copies = [np.ones(80, dtype=int), *weights]
    for row, counts in enumerate(copies):
        parts = [
            frame[pair == number].assign(wav_file_name=f"{number}-{copy}")
            for number, count in enumerate(counts)
            for copy in range(count)
        ]
        expected = reliability.agreement(pd.concat(parts))
        for name in ("icc", "icc_mean", "alpha"):
            assert draws[name][row] == pytest.approx(expected[name], abs=1e-10)


@pytest.mark.slow
def test_every_number_lies_in_its_interval_and_is_that_of_reliability():
    frame = table(low=2, pairs=40)
    numbers = agreement_intervals.agreement_intervals(frame, resamples=40, seed=0)
    names = [name for name in numbers if not name.endswith(("_lo", "_hi"))]
    assert len(names) == 4 + 2 * 4
    for name in names:
        assert numbers[f"{name}_lo"] < numbers[name] < numbers[f"{name}_hi"], name
    ceiling = reliability.noise_ceiling(frame, seed=0)
    assert numbers["ceiling_srcc"] == ceiling.srcc
    assert numbers["floor_mse"] == ceiling.mse
    assert numbers["icc"] == reliability.agreement(frame)["icc"]
    again = agreement_intervals.agreement_intervals(frame, resamples=40, seed=0)
    assert numbers == again


def test_the_interval_of_the_icc_holds_other_panels_of_the_same_kind(monkeypatch):
    # Of the ceilings, which take a second, nothing is asked here.
    monkeypatch.setattr(noise_ceiling, "ceiling_range", Mock(side_effect=ReliabilityError))
    values = [reliability.agreement(table(seed, pairs=40, low=3))["icc"] for seed in range(80)]
    numbers = agreement_intervals.agreement_intervals(
        table(100, pairs=40, low=3), resamples=100, seed=0
    )
    width = numbers["icc_hi"] - numbers["icc_lo"]
    assert width == pytest.approx(2 * 1.96 * np.std(values), rel=0.45)


def test_raters_who_agree_by_chance_have_coefficients_and_no_ceiling():
    frame = table(3, low=2)
    frame["score"] = np.random.default_rng(0).integers(0, 11, len(frame)).astype(float)
    while reliability.agreement(frame)["icc"] > 0:
        frame["score"] = np.random.default_rng(len(frame)).permutation(frame["score"])
        frame = frame.iloc[1:]
    numbers = agreement_intervals.agreement_intervals(frame, resamples=60, seed=0)
    assert "ceiling_srcc" not in numbers
    assert numbers["no_ceiling"].startswith("raters agree no better than by chance")
    assert numbers["icc_lo"] <= numbers["icc"] <= numbers["icc_hi"]


@pytest.mark.parametrize(
    "pairs",
    [pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow), 9],
)
def test_of_few_pairs_there_are_numbers_and_a_reason_in_place_of_intervals(pairs):
    rows = [
        (f"{pair}.wav", f"l{who}", float(min(10, 3 * pair + (pair * who) % 3)))
        for pair in range(pairs)
        for who in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    numbers = agreement_intervals.agreement_intervals(frame, resamples=50, seed=0)
    assert numbers["icc"] == reliability.agreement(frame)["icc"]
    assert "ceiling_srcc" in numbers
    assert not [name for name in numbers if name.endswith(("_lo", "_hi"))]
    assert numbers["no_intervals"] == f"{pairs} pairs are too few: give 10 or more"


def test_one_rating_per_pair_is_a_sentence():
    with pytest.raises(ReliabilityError, match="two ratings of one pair"):
        agreement_intervals.agreement_intervals(
            table().drop_duplicates("wav_file_name"), resamples=50, seed=0
        )


def test_listeners_who_always_give_their_own_score_have_numbers_without_a_warning():
    frame = table()
    frame = frame.assign(score=frame["listener_id"].str[1:].astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers = agreement_intervals.agreement_intervals(frame, resamples=50, seed=0)
    assert numbers.pop("no_ceiling").startswith("raters agree no better than by chance")
    assert all(np.isfinite(value) for value in numbers.values())


def test_complete_ratings_without_any_contrast_within_a_listener_warn_of_nothing():
    rows = [(f"{pair}.wav", f"l{who}", float(who)) for pair in range(12) for who in range(6)]
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agreement_intervals.agreement_intervals(frame, resamples=50, seed=0)


@pytest.mark.slow
def test_a_ceiling_of_few_pairs_lies_in_its_interval_though_resamples_repeat_pairs():
    rng = np.random.default_rng(6)
    quality = rng.uniform(1, 9, 20)
    scores = np.clip(np.rint(quality + rng.normal(0, 1, (8, 20))), 0, 10)
    ratings = pd.DataFrame(
        {
            "listener_id": np.repeat([f"l{number}" for number in range(8)], 20),
            "wav_file_name": np.tile([f"{number}.wav" for number in range(20)], 8),
            "text": "a dog",
            "score": scores.ravel(),
        }
    )
    numbers = agreement_intervals.agreement_intervals(ratings, resamples=60, seed=0)
    value = numbers["ceiling_srcc_deconvolved"]
    assert value == pytest.approx(0.969, abs=5e-4)
    assert numbers["ceiling_srcc_deconvolved_lo"] < 0.92
    assert numbers["ceiling_srcc_deconvolved_hi"] == value
