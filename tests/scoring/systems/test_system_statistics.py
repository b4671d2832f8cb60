"""Systems over the same prompts: means, shares, and tests that hold their level."""

import numpy as np
import pytest
from scipy import stats

from soundjudge.errors import SoundjudgeError
from soundjudge.reporting import resampling
from soundjudge.scoring.systems import system_statistics as statistics

# Five prompts; b beats a on two of them, a beats b on one, and two are ties, by .004 either way.
VALUES = np.array([[1.0, 3.0], [5.0, 5.004], [8.0, 7.0], [2.0, 6.0], [4.004, 4.0]])


def summaries(values: np.ndarray) -> list[statistics.SystemSummary]:
    names = ["a", "b", "c"][: values.shape[1]]
    return statistics.summarize_systems(names, values, resamples=500, seed=0)


def test_wins_ties_and_losses_are_counted_by_hand():
    (test,) = statistics.compare_systems(["a", "b"], VALUES, resamples=500, seed=0)
    assert (test.wins, test.ties, test.losses) == (1, 2, 2)
    assert test.difference.value == pytest.approx((-2 - 0.004 + 1 - 4 + 0.004) / 5)
    first, second = summaries(VALUES)
    assert first.mean.value == pytest.approx(20.004 / 5)
    assert (first.won.value, second.won.value) == (0.2, 0.4)
    assert first.lost == [3, 0]  # by 4 and by 2 points
    assert second.lost == [2]


def test_of_three_systems_one_wins_a_prompt_alone_or_nobody_does():
    values = np.array([[9.0, 9.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [4.0, 4.0, 4.0]])
    assert [summary.won.value for summary in summaries(values)] == [0.25, 0.0, 0.25]
    assert [summary.lost for summary in summaries(values)] == [[2], [1, 2], [0, 1]]


def test_a_system_alone_wins_and_loses_nothing_that_counts():
    (only,) = summaries(VALUES[:, :1])
    assert only.lost == []
    assert statistics.compare_systems(["a"], VALUES[:, :1], resamples=500, seed=0) == []


def test_the_p_of_sign_flips_is_the_share_of_all_sixteen_flips():
    differences = np.array([1.0, 2.0, 3.0, -0.5])
    # |sum| is 5.5; as far from 0 are +++-, ++++ and their mirror images: 4 of 16
    assert statistics.sign_flip_p(differences, seed=0) == pytest.approx(4 / 16)


def test_equal_systems_have_p_1_and_an_interval_of_no_width():
    (test,) = statistics.compare_systems(["a", "b"], VALUES[:, [0, 0]], resamples=500, seed=0)
    assert (test.p, test.p_holm, test.ties) == (1.0, 1.0, 5)
    assert (test.difference.lo, test.difference.hi) == (0, 0)


def test_holms_correction_multiplies_the_smallest_p_by_the_number_of_tests():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 1, (40, 3)) + [0, 0.1, 2]
    tests = statistics.compare_systems(list("abc"), values, resamples=200, seed=0)
    smallest = min(tests, key=lambda test: test.p)
    assert smallest.p_holm == pytest.approx(3 * smallest.p)
    assert all(test.p_holm >= test.p for test in tests)


def test_the_interval_of_a_difference_is_paired():
    rng = np.random.default_rng(1)
    prompts = rng.normal(5, 3, 60)  # how hard each prompt is, which both systems share
    values = np.stack([prompts + rng.normal(0, 0.1, 60), prompts], axis=1)
    (test,) = statistics.compare_systems(["a", "b"], values, resamples=500, seed=0)
    (first, _) = summaries(values)
    assert test.difference.hi - test.difference.lo < 0.1 < first.mean.hi - first.mean.lo


def test_the_level_of_an_interval_is_raised_for_few_prompts_as_students_t_asks():
    # Hesterberg 2015: the z that the level stands for, times sqrt((n - 1) / n), is t's quantile
    z = stats.norm.ppf((1 + statistics.expanded_confidence(10)) / 2)
    assert z * np.sqrt(9 / 10) == pytest.approx(stats.t.ppf(0.975, 9))
    assert statistics.expanded_confidence(100_000) == pytest.approx(0.95, abs=1e-4)


def test_an_interval_of_few_prompts_is_wider_than_the_plain_percentiles():
    draws = np.concatenate(
        [
            resampling.weighted_means(VALUES[:, :1], weights.T.astype(float))
            for weights in resampling.resample_weights(5, 500, seed=0)
        ]
    )
    low, high = resampling.interval(draws[:, 0], 0.95)
    mean = summaries(VALUES)[0].mean
    assert mean.lo < low < high < mean.hi
    level = statistics.expanded_confidence(5)
    assert (mean.lo, mean.hi) == pytest.approx(resampling.interval(draws[:, 0], level))


def test_no_winner_has_an_interval_all_the_same():
    won = summaries(VALUES[:, [0, 0]])[0].won
    # Wilson 1927: z**2 / (n + z**2) for none of n
    z = stats.norm.ppf(0.975)
    assert (won.value, won.lo) == (0, pytest.approx(0))
    assert won.hi == pytest.approx(z**2 / (5 + z**2))


def test_too_few_prompts_are_an_error_and_no_number():
    with pytest.raises(SoundjudgeError, match="3 prompts are too few"):
        summaries(VALUES[:3])


def test_the_same_seed_gives_the_same_numbers():
    again = [statistics.compare_systems(["a", "b"], VALUES, resamples=200, seed=3) for _ in "xy"]
    assert again[0] == again[1]
