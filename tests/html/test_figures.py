"""Positions in the pictures of a report."""

import numpy as np
import pytest

from soundjudge.html import figures
from soundjudge.scoring.evaluation.systems import Estimate


def test_an_axis_holds_its_intervals_between_round_ticks():
    axis = figures.interval_axis([Estimate(value=6.2, lo=5.3, hi=7.1)])
    assert axis.ticks == pytest.approx([5, 5.5, 6, 6.5, 7, 7.5])
    assert [axis.percent(value) for value in (5, 6.25, 7.5)] == pytest.approx([0, 50, 100])
    assert [axis.label(tick) for tick in axis.ticks[:2]] == ["5.0", "5.5"]


def test_an_axis_of_differences_holds_zero():
    axis = figures.interval_axis([Estimate(value=2.0, lo=1.5, hi=2.5)], zero=True)
    assert axis.low <= 0 and axis.percent(0) >= 0


def test_an_interval_of_no_width_has_an_axis():
    axis = figures.interval_axis([Estimate(value=3.0, lo=3.0, hi=3.0)])
    assert axis.low < 3 < axis.high


def test_scores_are_shown_from_0_to_10_and_others_where_they_are():
    axis = figures.score_axis(np.array([[0.0, 9.9]]))
    assert (axis.low, axis.high) == (0, 10)
    assert figures.score_axis(np.array([[-3.0, 42.0]])).high >= 42


def test_a_histogram_counts_every_value_once_also_at_the_ends():
    axis = figures.score_axis(np.array([0.0, 10.0]))
    counts = figures.histogram(np.array([0.0, 0.1, 5.1, 10.0]), axis)
    assert (counts[0], counts[10], counts[-1], sum(counts)) == (2, 1, 1, 4)


UNIT, TEN = (figures.Axis(low=0.0, high=high, ticks=[0.0, high]) for high in (1.0, 10.0))


@pytest.mark.parametrize(
    ("scores", "ratings", "across", "inside"),
    [
        ((2.0, 8.0), (3.0, 9.0), TEN, ((2.0, 8.0), (3.0, 9.0))),
        ((0.0, 10.0), (-5.0, 15.0), TEN, ((2.5, 7.5), (0.0, 10.0))),  # slope 2 stays 2
        ((0.0, 10.0), (0.0, 10.0), UNIT, ((0.0, 1.0), (0.0, 1.0))),
        ((0.0, 10.0), (15.0, -5.0), TEN, ((2.5, 7.5), (10.0, 0.0))),
        ((0.0, 10.0), (4.0, 4.0), TEN, ((0.0, 10.0), (4.0, 4.0))),
        ((0.0, 10.0), (11.0, 11.0), TEN, None),
        ((-5.0, -1.0), (0.0, 10.0), TEN, None),
    ],
)
def test_a_line_keeps_its_slope_where_a_picture_ends(scores, ratings, across, inside):
    clipped = figures.clip_segment(scores, ratings, across, TEN)
    if inside is None:
        assert clipped is None
    else:
        assert clipped[0] == pytest.approx(inside[0])
        assert clipped[1] == pytest.approx(inside[1])
