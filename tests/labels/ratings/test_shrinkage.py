"""Empirical Bayes of listener statistics: by hand, by plain loops, on listeners of known scale."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import listeners, shrinkage
from soundjudge.labels.ratings.config import parse_shrinkage
from soundjudge.labels.ratings.rating_arrays import rating_arrays
from soundjudge.labels.ratings.shrinkage import Moments


def table(*scores):
    """One row of scores per listener."""
    rows = [(f"{i}.wav", f"l{who}", s) for who, own in enumerate(scores) for i, s in enumerate(own)]
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    return frame.assign(text="t", score=frame["score"].astype(float))


def moments(*scores):
    return shrinkage.listener_moments(rating_arrays(table(*scores)))


PANELS = st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=8), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(PANELS)
def test_moments_are_those_of_a_plain_loop(panel):
    estimated = moments(*panel)
    for who, own in enumerate(panel):
        mean = sum(own) / len(own)
        assert estimated.ratings[who] == len(own)
        assert estimated.mean[who] == pytest.approx(mean)
        assert estimated.squares[who] == pytest.approx(sum((s - mean) ** 2 for s in own))
        assert estimated.fourths[who] == pytest.approx(sum((s - mean) ** 4 for s in own))
        variance = np.var(own, ddof=1) if len(own) > 1 else 0.0
        assert estimated.variance[who] == pytest.approx(variance)


def naive_strength(panel):
    """Within over between variance, from the expectations of the mean squares."""
    total = sum(len(own) for own in panel)
    groups = len(panel)
    if groups < 2 or total == groups:
        return math.inf
    grand = sum(sum(own) for own in panel) / total
    within = sum(sum((s - np.mean(own)) ** 2 for s in own) for own in panel) / (total - groups)
    between = sum(len(own) * (np.mean(own) - grand) ** 2 for own in panel) / (groups - 1)
    # E[between] = within + c * bias variance; with equal counts c is that count.
    c = (total - sum(len(own) ** 2 for own in panel) / total) / (groups - 1)
    bias = (between - within) / c
    return within / bias if bias > 1e-12 else math.inf


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(PANELS)
def test_the_strength_of_the_mean_is_that_of_the_analysis_of_variance(panel):
    assert shrinkage.mean_strength(moments(*panel)) == pytest.approx(naive_strength(panel))


def test_excess_kurtosis_uses_unbiased_cumulants():
    rng = np.random.default_rng(0)
    own = rng.integers(0, 11, 12).astype(float)
    # With one listener the ratio is of k-statistics as scipy has them.
    k2, k4 = stats.kstat(own, 2), stats.kstat(own, 4)
    squared = (k2**2 - k4 / 12) * 11 / 13
    assert shrinkage.excess_kurtosis(moments(own)) == pytest.approx(k4 / squared)
    assert shrinkage.excess_kurtosis(moments([1, 2, 3])) == 0.0
    # Uniform on whole points 0 to 10: -6/5 (n^2 + 1) / (n^2 - 1) with n = 11.
    many = moments(*rng.integers(0, 11, (3000, 13)))
    assert shrinkage.excess_kurtosis(many) == pytest.approx(-1.22, abs=0.03)


def test_a_sample_variance_is_worth_its_degrees_of_freedom():
    count = np.array([1.0, 2.0, 13.0])
    assert shrinkage.effective_dof(count, 0.0).tolist() == [0, 1, 12]
    rng = np.random.default_rng(1)
    variance = rng.integers(0, 11, (20_000, 13)).var(axis=1, ddof=1)
    # A variance of d degrees of freedom has the relative variance 2 / d.
    worth = 2 * variance.mean() ** 2 / variance.var()
    assert shrinkage.effective_dof(np.array([13.0]), -1.22)[0] == pytest.approx(worth, rel=0.05)


@pytest.mark.parametrize("dof", [3.0, 10.0])
def test_the_prior_of_the_variance_is_found_again(dof):
    rng = np.random.default_rng(2)
    true = dof * 2.5 / rng.chisquare(dof, 40_000)
    d = rng.integers(4, 20, 40_000).astype(float)
    sample = true * rng.chisquare(d) / d
    estimate, scale = shrinkage.variance_prior(sample, d)
    assert estimate == pytest.approx(dof, rel=0.05)
    assert scale == pytest.approx(2.5, rel=0.05)


def test_without_differences_beyond_chance_the_pull_is_full():
    rng = np.random.default_rng(3)
    panel = moments(*np.clip(np.rint(rng.normal(5, 1.5, (400, 5))), 0, 10))
    alike = Moments(
        ratings=panel.ratings,
        mean=np.full(400, 5.0),  # nearer to each other than chance allows
        squares=np.full(400, 4 * 2.25),
        fourths=panel.fourths,
    )
    prior = shrinkage.estimate_prior(alike, mean=5.0)
    assert prior.ratings == prior.dof == math.inf
    mean, variance = shrinkage.shrink(alike, prior)
    assert set(mean) == {5.0}
    assert variance == pytest.approx(np.full(400, 2.25))


@pytest.mark.parametrize(
    "panel",
    [[[5, 7, 9]], [[5]], [[5], [6], [9]], [[4, 4, 4], [4, 4]], [[2, 2, 2], [9, 9, 9]]],
    ids=["one listener", "one rating", "one rating each", "all equal", "one opinion each"],
)
def test_small_panels_get_a_usable_scale(panel):
    scales = listeners.listener_scales(table(*panel), "empirical_bayes")
    assert np.isfinite(scales.listeners["mean"]).all()
    assert (scales.listeners["std"] > 0).all()


def test_two_listeners_of_one_opinion_each_keep_their_means():
    scales = listeners.listener_scales(table([2, 2, 2], [9, 9, 9]), "empirical_bayes")
    assert scales.listeners["mean"].tolist() == [2, 9]  # no noise within, so no doubt


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(PANELS, st.sampled_from([0.5, 2.0, 50.0]))
def test_a_chosen_strength_counts_as_so_many_more_ratings(panel, strength):
    frame = table(*panel)
    scales = listeners.listener_scales(frame, strength)
    for who, own in enumerate(panel):
        row = scales.listeners.set_index("listener_id").loc[f"l{who}"]
        n = len(own)
        mean = (sum(own) + strength * scales.overall.mean) / (n + strength)
        assert row["mean"] == pytest.approx(mean)
        if n == 1:
            assert row["std"] == pytest.approx(scales.overall.std)
            continue
        squares = sum((s - np.mean(own)) ** 2 for s in own)
        variance = (squares + strength * scales.overall.std**2) / (n - 1 + strength)
        assert row["std"] == pytest.approx(math.sqrt(variance))


def known_listeners(*, count=300, pairs=2000, ratings=12, spread=0.2, ends=True):
    """(ratings, true mean and std of every listener over all pairs)."""
    rng = np.random.default_rng(4)
    quality = rng.beta(0.6, 0.6, pairs) * 10 if ends else rng.normal(6.5, 1.5, pairs)
    bias = rng.normal(0, 0.9, count)
    scale, noise = np.exp(rng.normal(0, spread, count)), 1.3 * np.exp(rng.normal(0, 0.3, count))
    clean = 5 + bias[:, None] + scale[:, None] * (quality - 5)
    felt = clean + noise[:, None] * rng.normal(size=(count, pairs))
    all_ratings = np.clip(np.rint(felt), 0, 10)
    rated = np.argsort(rng.random((count, pairs)), axis=1)[:, :ratings]
    frame = table(*np.take_along_axis(all_ratings, rated, axis=1))
    return frame, all_ratings.mean(axis=1), all_ratings.std(axis=1)


@pytest.mark.parametrize("ends", [True, False], ids=["both ends", "middle"])
@pytest.mark.parametrize("ratings", [6, 12, 30])
def test_shrunken_statistics_are_nearer_to_the_truth(ends, ratings):
    frame, mean, std = known_listeners(ratings=ratings, ends=ends)

    def errors(strength):
        scales = listeners.listener_scales(frame, strength).listeners
        scales = scales.set_index("listener_id").loc[[f"l{who}" for who in range(len(mean))]]
        return ((scales["mean"] - mean) ** 2).mean(), ((scales["std"] - std) ** 2).mean()

    published, shrunken = errors(0.0), errors("empirical_bayes")
    limit = 0.8 if ratings < 30 else 0.95
    assert shrunken[0] < limit * published[0]
    assert shrunken[1] < limit * published[1]


@pytest.mark.parametrize("text", ["bayes", "-1", "nan", ""])
def test_a_wrong_strength_is_a_sentence(text):
    with pytest.raises(SoundjudgeError, match="choose empirical_bayes or a number of ratings"):
        parse_shrinkage(text)


def test_strengths_are_read():
    assert parse_shrinkage("empirical_bayes") == "empirical_bayes"
    assert parse_shrinkage("2.5") == 2.5
