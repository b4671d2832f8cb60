"""The recovery study: its simulations are as described, and its page shows the measurements."""

import numpy as np
import pandas as pd
import pytest
from repository import ROOT, load_benchmark

from soundjudge import params
from soundjudge.labels.ratings.config import LatentConfig, Screening

tables = load_benchmark("recovery_tables")
study = load_benchmark("listener_recovery")


def condition(**changes):
    values = {"per_pair": 4, "per_listener": 10, "careless": 0.3, "spread": "medium"}
    return study.Condition(**{**values, "manner": "at random", **changes})


def settings():
    path = ROOT / "params.yaml"
    return study.Settings(
        screen=params.load("screen", Screening, path),
        latent=params.load("standardize.latent", LatentConfig, path),
    )


def simulate(**changes):
    return study.simulate(condition(**changes), 80, np.random.default_rng(0))


def test_the_grid_has_every_condition_once_and_those_without_careless_listeners_once():
    conditions = list(study.grid())
    assert len(set(conditions)) == len(conditions) == 27 * (1 + 2 * 3)
    assert sum(one.manner == "all attentive" for one in conditions) == 27
    assert all((one.careless == 0) == (one.manner == "all attentive") for one in conditions)
    assert conditions[0].factors()["spread"] == "small"


def test_only_careless_listeners_rate_otherwise_than_the_simulator_lets_them():
    honest = simulate(careless=0.0, manner="all attentive")
    for manner in ("at random", "constant"):
        truth, frame, careless = simulate(manner=manner)
        assert np.array_equal(truth, honest[0])
        assert 0 < len(careless) < frame["listener_id"].nunique()
        spoiled = frame["listener_id"].isin(careless)
        assert frame[~spoiled].equals(honest[1][~spoiled])
        assert not frame["score"][spoiled].equals(honest[1]["score"][spoiled])
        opinions = frame[spoiled].groupby("listener_id")["score"].nunique()
        assert (opinions == 1).all() == (manner == "constant")
        assert frame["score"].isin(range(11)).all()


def test_lapses_are_everybodys_and_nobody_is_careless():
    _, honest, _ = simulate(careless=0.0, manner="all attentive")
    _, frame, careless = simulate(careless=0.2, manner="lapses")
    assert not careless
    changed = frame["score"] != honest["score"]
    assert 0.08 < changed.mean() < 0.25  # one in eleven lapses hits the same point
    assert frame["listener_id"][changed].nunique() > 0.7 * frame["listener_id"].nunique()


def test_a_listener_is_found_when_more_than_half_of_the_ratings_went():
    rows = [
        ("a", 1, 0),
        ("a", 2, 0),
        ("b", 1, 0),
        ("b", 3, 1),
        ("c", 2, 1),
        ("c", 3, 0),
        ("c", 4, 0),
    ]
    frame = pd.DataFrame(rows, columns=["listener_id", "pair", "kept"])
    numbers = study.detection(frame["kept"].to_numpy(dtype=bool), frame, {"a", "b"})
    assert numbers["precision"] == 0.5  # a and c are named, b lost only half
    assert numbers["recall"] == 0.5
    assert numbers["attentive listeners lost"] == 1
    assert numbers["ratings lost"] == pytest.approx(5 / 7)
    assert numbers["pairs lost"] == pytest.approx(2 / 4)
    nobody = study.detection(np.ones(len(frame), dtype=bool), frame, set())
    assert np.isnan(nobody["precision"])
    assert np.isnan(nobody["recall"])
    assert nobody["attentive listeners lost"] == 0


def test_a_lost_pair_counts_with_the_mean_target():
    names = ["00000.wav", "00002.wav"]
    table = pd.DataFrame({target: [1.0, 5.0] for target in tables.TARGETS}, index=names)
    kept = np.array([True, False, True])
    for row in study.correlations(np.array([0.0, 6.0, 8.0]), table, kept):
        assert row["lcc"] == pytest.approx(np.corrcoef([1, 3, 5], [0, 6, 8])[0, 1])
        assert row["srcc kept"] == pytest.approx(1)


def test_a_correct_error_has_ratio_one_on_any_scale():
    rng = np.random.default_rng(0)
    truth, error = rng.normal(5, 2, 20000), rng.uniform(0.2, 1, 20000)
    latent_score = 1 + truth / 2
    seen = truth + error * rng.normal(size=20000)
    table = pd.DataFrame({"latent": latent_score, "error": error / 2})
    assert study.error_ratio(seen, table) == pytest.approx(1, abs=0.03)
    assert study.error_ratio(seen, table.assign(error=error)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.slow
def test_each_simulation_measures_every_target_under_every_screening():
    correlations, detections = study.measure(condition(), settings(), 80, [3, 0])
    correlations = pd.DataFrame(correlations)
    cells = set(zip(correlations["screening"], correlations["target"], strict=True))
    assert cells == {(s, t) for s in tables.SCREENINGS for t in tables.TARGETS}
    assert correlations["srcc"].between(0.2, 1).all()
    assert (correlations["seed"] == 3).all()
    detections = pd.DataFrame(detections).set_index("screening")
    assert detections.loc["none", ["ratings lost", "pairs lost", "recall"]].tolist() == [0, 0, 0]
    assert detections.loc["listener", "recall"] > 0
    assert 0.3 < detections.loc["none", "error / se"] < 4
    again, _ = study.measure(condition(), settings(), 80, [3, 0])
    assert pd.DataFrame(again).equals(correlations)


def rows(scores):
    """Two seeds, two conditions; scores[target, screening] plus 0.1 in the second condition."""
    for seed in (1, 2):
        for number, careless in enumerate((0.0, 0.2)):
            factors = {"ratings per pair": 4, "ratings per listener": 13, "careless": careless}
            factors |= {"spread": "medium", "manner": ["all attentive", "at random"][number]}
            for (target, screen), score in scores.items():
                wins = 0.3 * number if (target, screen) == ("SPO", "rating") else 0
                score_here = score + 0.1 * number + 0.01 * seed + wins
                yield {**factors, "seed": seed, "target": target, "screening": screen} | {
                    "srcc": score_here,
                    "lcc": score_here,
                    "srcc kept": score_here,
                }


def test_the_conclusion_names_the_best_and_counts_seeds_and_conditions():
    scores = {(t, s): 0.5 for t in tables.TARGETS for s in tables.SCREENINGS}
    scores["latent", "both"] = 0.7
    lines = tables.conclusion(pd.DataFrame(rows(scores)), "here").splitlines()
    assert lines[0] == "Simulated listeners, here: latent with screening both comes nearest, by"
    assert lines[2].startswith("- +0.2000 ± 0.0000 SRCC to mean with screening none; it is better")
    assert "in 100% of" in lines[2]
    # Better by 0.2 in one condition, worse by 0.1 in the other.
    assert lines[3].startswith("- +0.0500 ± 0.0000 SRCC to SPO with screening rating; it is better")
    assert "in 50% of" in lines[3]
    assert len(lines) == 7


def test_the_page_says_simulated_and_holds_every_condition():
    scores = {(t, s): 0.5 for t in tables.TARGETS for s in tables.SCREENINGS}
    correlations = pd.DataFrame(rows(scores))
    detections = correlations.drop(columns=["target", "srcc", "lcc", "srcc kept"]).drop_duplicates(
        ignore_index=True
    )
    detections = detections.assign(precision=0.25, recall=np.nan, **{"error / se": 1.125})
    priors = pd.DataFrame({"srcc": [0.75]}, index=pd.Index(["as set"], name="prior"))
    text, whole = tables.page(correlations, detections, priors, pairs=80)
    assert text.startswith("# How well targets recover the truth (simulated)")
    assert "80 pairs per simulation, 2 conditions, seeds 1, 2" in text
    assert "| none | 0.565 ± 0.0071 |" in text
    assert "| careless: 0.2 | 0.615 | 0.615 | 0.615 | 0.615 | 1.125 |" in text
    assert "| at random | 13 | rating | 0.250 |  |" in text
    assert "| medium | 13 | +0.000 |" in text
    assert "| as set | 0.750 |" in text
    assert whole.count("\n| 4 | 13 |") == 2
