"""The learning curve over rated pairs: what a doubling adds, worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import repository
from repository import load_benchmark
from scipy import stats

from soundjudge.scoring.evaluation import systems
from soundjudge.scoring.evaluation.systems import EvaluationConfig

last_fit = load_benchmark("last_fit")


def test_what_a_doubling_adds_is_the_slope_over_the_logarithm_of_pairs(capsys):
    rng = np.random.default_rng(0)
    rating = rng.uniform(0, 10, 200)
    noises = {"100-0": 8.0, "100-1": 8.0, "200-0": 4.0, "200-1": 4.0, "400-0": 2.0}
    names = ("clapscore", *last_fit.MACHINES, last_fit.ENSEMBLE)
    frame = pd.DataFrame({"average_score": rating})
    for name in names:
        for run, noise in noises.items():
            frame[f"{name} {run}"] = rating + noise * rng.normal(size=200)
    columns = {
        (name, size): [c for c in frame if str(c).startswith(f"{name} {size}-")]
        for name in names
        for size in (100, 200, 400)
    }
    scored = [c for some in columns.values() for c in some]
    comparison = systems.compare_systems(frame, scored, EvaluationConfig(resamples=50, seed=0))
    last_fit.print_sizes(comparison, columns, (100, 200, 400))
    rows = capsys.readouterr().out.strip().splitlines()
    assert rows[0] == "| member | 100 | 200 | 400 | per doubling |"
    for name, row in zip(names, rows[2:], strict=True):
        cells = row.strip("| ").split(" | ")
        values = [
            [stats.spearmanr(frame[c], rating).statistic for c in columns[name, size]]
            for size in (100, 200, 400)
        ]
        first, second, third = (float(np.mean(some)) for some in values)
        assert cells[:2] == [name, f"{first:.3f} ± {np.std(values[0], ddof=1):.3f}"]
        assert cells[3] == f"{third:.3f}"  # one draw has no spread
        # The slope of a line through three equally spaced points is half of last minus first.
        slope, low, high = (
            float(x) for x in cells[4].replace("[", "").rstrip("]").replace(",", "").split()
        )
        assert slope == pytest.approx((third - first) / 2, abs=6e-4)
        assert low < slope < high and second > first


def test_every_member_that_learns_ratings_can_be_fitted_again(tmp_path):
    members = repository.params()["ensemble"]["members"]
    assert set(last_fit.NOT_LEARNED) < set(members)
    for name in members.keys() - set(last_fit.NOT_LEARNED):
        script = last_fit.refits.fit_command(members[name], tmp_path)[0]
        assert (repository.ROOT / script).is_file()
