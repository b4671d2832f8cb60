"""The study of targets: right where the truth is known, silent where ratings show nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.ratings.rating_arrays import rating_arrays
from soundjudge.labels.study import candidates, held_out, study
from soundjudge.labels.study.candidates import Candidate
from soundjudge.labels.study.held_out import Settings, StudyConfig

SETTINGS = Settings(screening=Screening(), standardization=Standardization())
MEAN = Candidate(screening="none", target="mean")
SPO = Candidate(screening="none", target="spo")
SHRUNKEN = Candidate(screening="none", target="mean_shrunken")
LATENT = Candidate(screening="none", target="latent")


def panel(seed, *, bias, scales, noise, counts=(40,), listeners=45, pairs=120):
    """Ratings without ends of the scale, whose truth is standard normal."""
    rng = np.random.default_rng(seed)
    truth, rows = rng.normal(size=pairs), []
    for who in range(listeners):
        level, scale = rng.normal(5, bias), scales[who % len(scales)]
        for pair in rng.choice(pairs, counts[who % len(counts)], replace=False):
            score = level + scale * (truth[pair] + rng.normal(0, noise))
            rows.append((f"{pair}.wav", f"l{who}", score))
    return pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])


def run(frame, candidates=(MEAN, SPO, LATENT), default=MEAN, settings=SETTINGS, **config):
    size = {"splits": 8, "resamples": 40, **config}
    return study.study_ratings(
        rating_arrays(frame), settings, StudyConfig(**size), candidates=candidates, default=default
    )


@pytest.mark.slow
def test_where_listeners_use_very_different_scales_the_mean_is_not_chosen():
    frame = panel(0, bias=2.0, scales=(0.3, 1.0, 2.5), noise=0.7, counts=(10, 40), listeners=150)
    result = run(frame, splits=16)
    gain = result.table["difference"]
    assert result.chosen in (SPO, LATENT)
    assert gain[1] > 0.03 and gain[2] > 0.03
    assert (result.table["difference_lo"][1:] > 0).all()
    assert "agrees better with held-out listeners than the default" in result.verdict


def test_without_listener_effects_the_mean_is_not_worse_and_stays():
    frame = panel(1, bias=0.0, scales=(1.0,), noise=1.5, counts=(12,), listeners=60)
    result = run(frame)
    assert result.chosen == MEAN
    assert result.table["difference"][1] < 0  # z-scores of 12 ratings add noise
    assert result.table["difference_lo"][2] < 0.01
    assert "stays" in result.verdict


def test_the_default_stays_where_nothing_can_be_shown_whichever_it_is():
    frame = panel(2, bias=0.3, scales=(1.0,), noise=3.0, counts=(15,), listeners=16, pairs=40)
    for default in (MEAN, LATENT):
        assert run(frame, default=default).chosen == default


def test_with_unequal_counts_shrunken_means_beat_means():
    rng = np.random.default_rng(3)
    truth, rows = rng.normal(size=300), []
    for pair, count in enumerate(rng.choice([2, 25], 300)):
        for who in rng.choice(60, count, replace=False):
            rows.append((f"{pair}.wav", f"l{who}", truth[pair] + rng.normal(0, 2.5)))
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    result = run(frame, candidates=(MEAN, SHRUNKEN))
    assert result.table["difference"][1] > 0.02


def test_a_study_is_decided_by_its_seed():
    frame = panel(4, bias=1.0, scales=(1.0, 2.0), noise=1.0, listeners=12)
    first, again, other = run(frame), run(frame), run(frame, seed=1)
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)
    assert first.as_json() == again.as_json()
    assert not first.table["srcc"].equals(other.table["srcc"])


def test_the_order_of_rows_changes_nothing_but_which_listeners_are_drawn():
    frame = panel(5, bias=1.0, scales=(1.0,), noise=1.0, listeners=12)
    renamed = frame.assign(listener_id=frame["listener_id"] + "x", text="same")
    pd.testing.assert_frame_equal(run(frame).table, run(renamed).table)


def test_one_split_is_that_of_plain_loops_and_held_out_listeners_are_not_screened():
    """Own listeners are screened among themselves; the reference is everybody else's plain mean."""
    frame = panel(6, bias=0.5, scales=(1.0,), noise=1.0, counts=(30,), listeners=14, pairs=60)
    careless = frame["listener_id"].isin(["l0", "l1", "l2", "l3"])
    spoiled = np.random.default_rng(0).uniform(0, 10, len(frame))
    frame = frame.assign(score=np.where(careless, spoiled, frame["score"]))
    rules = Screening(method="rating", tolerance=0.4)
    choice = (MEAN, Candidate(screening="rating", target="mean"))
    settings = replace(SETTINGS, screening=rules)
    arrays = rating_arrays(frame)
    found = held_out.correlate_splits(
        arrays, choice, settings, StudyConfig(splits=2, held_out=0.4, resamples=2, seed=9)
    )
    others = np.random.default_rng(9).choice(14, round(0.4 * 14), replace=False)
    is_other = frame["listener_id"].isin(arrays.listener_ids[others])
    own, reference = frame[~is_other], frame[is_other].groupby("wav_file_name")["score"].mean()
    confirmed = [
        any(
            abs(row.score - other.score) <= rules.tolerance
            for other in own[own["wav_file_name"] == row.wav_file_name].itertuples()
            if other.Index != row.Index
        )
        for row in own.itertuples()
    ]
    assert 0.1 < np.mean(confirmed) < 0.95  # else the screening does nothing here
    kept = own[confirmed].groupby("wav_file_name")["score"].mean()
    every = own.groupby("wav_file_name")["score"].mean()
    common = kept.index.intersection(reference.index)
    for column, target in enumerate((every, kept)):
        expected = stats.spearmanr(target[common], reference[common]).statistic
        assert found.srcc[0, column] == pytest.approx(expected, abs=1e-12)
        expected = stats.pearsonr(target[common], reference[common]).statistic
        assert found.lcc[0, column] == pytest.approx(expected, abs=1e-12)
    assert found.pairs[0] == len(common)
    assert found.share_dropped[0].tolist() == pytest.approx([0, 1 - np.mean(confirmed)])


def test_resamples_of_pairs_spread_as_the_theory_of_a_correlation_says():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = x + rng.normal(size=400)
    srcc, lcc = held_out._draws(x[:, None], y, np.arange(400), 400, StudyConfig(resamples=400))
    expected = (1 - lcc[0, 0] ** 2) / 400**0.5  # of a normal correlation
    assert lcc[1:].std() == pytest.approx(expected, rel=0.15)
    assert srcc[1:].std() == pytest.approx(expected, rel=0.25)


def test_the_standard_error_is_the_larger_of_pairs_and_listeners():
    points = np.array([[0.5, 0.5], [0.7, 0.5]])  # (S=2, C=2), variances .02 and 0
    draws = np.array([[[0.0, 1.0], [0.0, 3.0]], [[0.0, 1.0], [0.0, 3.0]]])  # over pairs 0 and 2
    errors = study.standard_errors(points, draws, held_out=0.5)
    assert errors.tolist() == pytest.approx([(0.02 * 1.5) ** 0.5, 2**0.5])


def test_equal_candidates_have_no_difference_and_p_of_one():
    frame = panel(7, bias=0.5, scales=(1.0,), noise=1.0, counts=(60,), listeners=12, pairs=60)
    same = run(frame, candidates=(MEAN, SHRUNKEN)).table  # equal counts: the same order of pairs
    assert same["srcc"][0] == pytest.approx(same["srcc"][1])
    assert same["p_holm"][1] == 1.0
    assert np.isnan(same["p_holm"][0])


@pytest.mark.parametrize("target", candidates.TARGETS)
def test_a_pair_without_ratings_has_no_score_and_changes_no_other(target):
    frame = panel(8, bias=1.0, scales=(1.0, 2.0), noise=1.0, listeners=12, pairs=50)
    arrays = rating_arrays(frame)
    without = arrays.where((arrays.pair != 3) & (arrays.listener != 5))
    scores = candidates.target_scores(without, target, Standardization())
    assert np.isnan(scores[3]) and np.isfinite(np.delete(scores, 3)).all()
    left = (frame["wav_file_name"] != frame["wav_file_name"].iloc[3]).to_numpy()
    left = (arrays.pair != 3) & (arrays.listener != 5)
    alone = candidates.target_scores(rating_arrays(frame[left]), target, Standardization())
    order = pd.unique(arrays.pair[left])
    np.testing.assert_allclose(scores[order], alone, rtol=1e-9)


def test_a_mean_is_shrunken_by_its_count():
    """Variance components 1 of pairs and 4 of noise: 4 ratings of the mean are added."""
    rng = np.random.default_rng(0)
    truth = rng.normal(5, 1, 4000)
    count = rng.choice([2, 12], 4000)
    pair = np.repeat(np.arange(4000), count)
    frame = pd.DataFrame(
        {
            "wav_file_name": pair.astype(str),
            "listener_id": rng.integers(0, 10**6, len(pair)).astype(str),
            "score": truth[pair] + rng.normal(0, 2, len(pair)),
        }
    )
    mean = frame.groupby("wav_file_name", sort=False)["score"].mean().to_numpy()
    scores = candidates.target_scores(rating_arrays(frame), "mean_shrunken", Standardization())
    expected = (count * mean + 4 * mean.mean()) / (count + 4)
    assert np.abs(scores - expected).max() < 0.25
    assert np.std(scores - truth) < 0.9 * np.std(mean - truth)


def test_too_few_listeners_or_pairs_are_a_sentence():
    frame = panel(9, bias=0, scales=(1.0,), noise=1.0, listeners=5, pairs=60)
    with pytest.raises(SoundjudgeError, match="needs 6 or more: there are 5"):
        run(frame)
    few = panel(9, bias=0, scales=(1.0,), noise=1.0, counts=(8,), listeners=12, pairs=9)
    with pytest.raises(SoundjudgeError, match=r"only \d pairs .* and a study needs 10"):
        run(few)
    alone = frame.assign(listener_id=[str(row) for row in range(len(frame))])
    with pytest.raises(SoundjudgeError, match="ratings: each of the 200 ratings has a listener_id"):
        run(alone)


def rows(*differences):
    names = ("latent", "mean", "spo")
    return pd.DataFrame(
        {
            "screening": ["listener", "none", "none"],
            "target": names,
            "srcc": [0.5 + d for d in differences],
            "difference": differences,
            "difference_lo": [d - 0.01 for d in differences],
            "difference_hi": [d + 0.01 for d in differences],
            "p_holm": [float("nan"), 0.02, 0.3],
        }
    )


def test_a_verdict_is_one_sentence_that_says_what_is_shown():
    shown = study.verdict_sentence(rows(0.0, 0.03, 0.01), "listener/latent", "none/mean")
    assert shown == (
        "mean without screening agrees better with held-out listeners than the default, latent by "
        "listener: SRCC 0.530 against 0.500, a difference of +0.030 [+0.020, +0.040] SRCC, p 0.02 "
        "after Holm"
    )
    nothing = study.verdict_sentence(rows(0.0, -0.02, 0.005), "listener/latent", "listener/latent")
    assert nothing == (
        "no candidate is better than the default, latent by listener (SRCC 0.500), by a difference "
        "that these ratings can show: it stays; the largest is that of spo without screening, "
        "+0.005 [-0.005, +0.015] SRCC"
    )
    best = study.verdict_sentence(rows(0.0, -0.02, -0.005), "listener/latent", "listener/latent")
    assert best.startswith("the default, latent by listener (SRCC 0.500), agrees best with")
    assert best.endswith("next is spo without screening, -0.005 [-0.015, +0.005] SRCC")


@pytest.mark.parametrize(
    "change", [{"splits": 1}, {"resamples": 1}, {"held_out": 0.0}, {"confidence": 1.0}]
)
def test_a_study_of_no_size_is_refused(change):
    with pytest.raises(SoundjudgeError):
        StudyConfig(**change)
