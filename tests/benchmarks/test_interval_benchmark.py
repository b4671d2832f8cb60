"""The latent standard error by the shape of the truth: the page is what the code measures."""

import re

import numpy as np
import pytest
from repository import ROOT, load_benchmark

from soundjudge.labels.ratings import latent, rating_arrays
from soundjudge.labels.ratings.config import LatentConfig

intervals = load_benchmark("intervals")
NUMBER = re.compile(r"\d\.\d{3}")
PAGE = (ROOT / "benchmarks/intervals.md").read_text(encoding="utf-8")


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


def test_the_local_factor_is_one_on_average_and_larger_where_residuals_are():
    condition = intervals.Condition(
        per_pair=4, per_listener=13, careless=0, spread="small", manner="all attentive"
    )
    _, ratings, _ = intervals.simulate(condition, 200, np.random.default_rng(0))
    arrays = rating_arrays.rating_arrays(ratings)
    estimate = latent.estimate_latent(arrays, LatentConfig())
    factor = intervals.local_factor(arrays, estimate)
    # The simulated scale cuts ratings at 10, so residuals are larger in the middle than there.
    middle, top = estimate.score < 7, estimate.score > 9
    assert factor[middle].mean() > 1 > factor[top].mean()


@pytest.mark.slow
def test_the_page_holds_what_the_code_measures_of_the_latent_standard_error():
    measured = "\n".join(intervals.latent_by_truth(1, pairs=1000))
    stated = "### By" + PAGE.split("### By")[1].split("## Coverage")[0]
    assert NUMBER.sub("", stated).strip() == NUMBER.sub("", measured).strip()
    # Shares of 6,000 pairs: a pair at the edge of its interval may fall on either side.
    assert numbers(stated) == pytest.approx(numbers(measured), abs=0.002)
