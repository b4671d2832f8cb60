"""Predictions and mean ratings of other scales are told, and those of 0 to 10 are not."""

import numpy as np
import pandas as pd
import pytest

import soundjudge
from soundjudge.scoring.evaluation.score_scales import scale_remark


def spread(low: float, high: float, count: int = 30) -> "pd.Series[float]":
    return pd.Series(np.linspace(low, high, count))


@pytest.mark.parametrize(
    ("scores", "told", "remedy"),
    [
        ((0, 1), "all pred_score lie within -1 to 1", "calibrate them to 0 to 10"),
        ((-1, 1), "all pred_score lie within -1 to 1", "calibrate them to 0 to 10"),
        ((0, 5), "all 30 pred_score lie within 0 to 5", "multiply by 2, which brings them"),
        ((1, 5), "all 30 pred_score lie within 1 to 5", "subtract 1 and multiply by 2.5, which"),
        ((0, 100), "pred_score runs to 100", "calibrate them to 0 to 10"),
    ],
)
def test_scores_of_another_scale_than_the_ratings_are_told_with_both_ranges(scores, told, remedy):
    remark = scale_remark(spread(*scores), spread(0.5, 9.5))
    assert remark is not None and remark.startswith(told) and remedy in remark
    low, high = scores
    assert (
        f"; pred_score runs from {low} to {high} and the mean ratings from 0.5 to 9.5; srcc, lcc "
        "and ktau do not depend on the scale, mse and bias do"
    ) in remark


@pytest.mark.parametrize(
    ("ratings", "told", "remedy"),
    [
        ((0, 1), "within 0 to 1", "multiply by 10, which"),
        ((0, 5), "within 0 to 5", "multiply by 2, which"),
        ((1, 5), "within 1 to 5", "subtract 1 and multiply by 2.5, which"),
    ],
)
def test_mean_ratings_of_another_scale_than_the_scores_are_told(ratings, told, remedy):
    remark = scale_remark(spread(0, 10), spread(*ratings))
    assert remark is not None and remark.startswith(f"all 30 mean ratings lie {told}: if that is")
    assert remedy in remark
    assert f"`soundjudge standardize --scale {ratings[0]}-{ratings[1]}` does" in remark
    assert f"pred_score runs from 0 to 10 and the mean ratings from {ratings[0]} to " in remark


@pytest.mark.parametrize(
    ("scores", "ratings"),
    [
        (spread(0, 10), spread(0, 10)),
        (spread(2, 5.1), spread(0, 10)),  # a careful judge
        (spread(1, 5, 19), spread(0, 10, 19)),  # few
        (spread(0, 4), spread(0, 5)),  # one scale, whatever it is
        # Two of 30 ratings above 5 are less than a tenth.
        (spread(1, 5), pd.Series([*np.linspace(0, 5, 28), 6, 7])),
    ],
)
def test_scores_and_ratings_that_may_be_of_one_scale_are_not_complained_of(scores, ratings):
    assert scale_remark(scores, ratings) is None


def test_the_remark_stands_beside_the_numbers():
    clips = pd.DataFrame({"wav_file_name": [f"{n}.wav" for n in range(30)]})
    scores, mean = clips.assign(pred_score=spread(1, 5)), clips.assign(mean_score=spread(0, 10))
    numbers = soundjudge.evaluate(scores, mean, resamples=100)
    assert numbers["srcc"] == pytest.approx(1)
    assert numbers["mse_of_another_scale"] == scale_remark(spread(1, 5), spread(0, 10))
