import itertools

import numpy as np
import pytest
from scipy import stats

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import ensemble, weighting
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig


def members(count=300, seed=0):
    """Standardized scores (N, 3) and ratings (N,): two good members and one of noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=count)
    noise = rng.normal(size=(count, 3))
    scores = np.stack([truth + noise[:, 0], truth + noise[:, 1], noise[:, 2]], axis=1)
    return (scores - scores.mean(0)) / scores.std(0), 5 + truth + 0.3 * rng.normal(size=count)


def weights(method, scores, rating, kinds=("a", "b", "c")):
    return weighting.fit_weights(method, scores, rating, kinds)


def test_members_of_one_kind_share_its_vote():
    scores, rating = members()
    assert weights("kinds", scores, rating, ["lm", "lm", "clap"]).tolist() == [0.25, 0.25, 0.5]
    assert weights("mean", scores, rating) == pytest.approx([1 / 3] * 3)


def test_a_kind_is_the_first_part_of_the_checkpoint_unless_params_name_it():
    paths = {"one": "finetune/x", "two": "finetune/y", "clap": "clapscore", "svr": "regress"}
    config = EnsembleConfig(
        members=paths, method="kinds", calibration="linear", kinds={"svr": "clapscore"}
    )
    assert config.member_kinds() == ["finetune", "finetune", "clapscore", "clapscore"]


@pytest.mark.parametrize("method", weighting.METHODS)
def test_no_weight_is_negative_and_their_sum_is_1(method):
    scores, rating = members()
    against = np.concatenate([scores, -scores[:, :1] + 0.5 * scores[:, 2:]], axis=1)
    found = weights(method, against, rating, ["a", "b", "c", "d"])
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", ["nnls", "ridge", "greedy", "best"])
def test_members_that_fall_where_ratings_rise_have_no_weights(method):
    scores, rating = members()
    with pytest.raises(SoundjudgeError, match="no member's scores rise"):
        weights(method, -scores[:, :2], rating, ["a", "b"])


def test_the_best_member_is_that_of_the_highest_srcc():
    scores, rating = members()
    own = [stats.spearmanr(column, rating).statistic for column in scores.T]
    assert weights("best", scores, rating).argmax() == int(np.argmax(own))
    assert sorted(weights("best", scores, rating)) == [0, 0, 1]


def test_ridge_is_the_solution_of_its_optimality_conditions():
    scores, rating = members(60)
    from sklearn.linear_model import Ridge, RidgeCV

    target = rating - rating.mean()
    penalties = weighting.RIDGE_PENALTIES * len(rating)
    penalty = RidgeCV(alphas=penalties, fit_intercept=False).fit(scores, target).alpha_
    bounded = Ridge(alpha=penalty, fit_intercept=False, positive=True, tol=1e-12)
    expected = bounded.fit(scores, target).coef_
    assert weights("ridge", scores, rating) == pytest.approx(expected / expected.sum(), abs=1e-5)


def test_ridge_shares_a_vote_between_near_clones_and_least_squares_does_not():
    rng = np.random.default_rng(1)
    scores, rating = members(80)
    clone = scores[:, :1] + 0.01 * rng.normal(size=(80, 1))
    both = np.concatenate([scores[:, :1], clone / clone.std()], axis=1)
    ridge, plain = (weights(m, both, rating, ["a", "b"]) for m in ("ridge", "nnls"))
    assert abs(ridge[0] - ridge[1]) < 0.5 * abs(plain[0] - plain[1])


def test_greedy_selection_finds_the_best_of_all_small_votes():
    scores, rating = members(120)
    found = weights("greedy", scores, rating)
    agreement = stats.spearmanr(scores @ found, rating).statistic
    for votes in itertools.product(range(3), repeat=3):
        if any(votes):
            other = stats.spearmanr(scores @ np.array(votes), rating).statistic
            assert agreement >= other - 0.005
    assert agreement >= max(stats.spearmanr(column, rating).statistic for column in scores.T)


def test_greedy_selection_takes_a_member_again():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=400)
    scores = np.stack([truth + 0.6 * rng.normal(size=400), truth + 1.5 * rng.normal(size=400)], 1)
    found = weights("greedy", (scores - scores.mean(0)) / scores.std(0), truth, ["a", "b"])
    assert 0.5 < found[0] < 1


def test_greedy_selection_keeps_its_best_step_and_not_its_last(monkeypatch):
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(200, 2))
    scores = (scores - scores.mean(0)) / scores.std(0)
    monkeypatch.setattr(weighting, "GREEDY_STEPS", 3)  # the third vote spoils the perfect mean
    found = weights("greedy", scores, scores.sum(axis=1), ["a", "b"])
    assert found.tolist() == [0.5, 0.5]


def test_draws_of_weights_repeat_and_spread_around_the_weights():
    scores, rating = members()
    config = EnsembleConfig(
        members=dict.fromkeys("abc", "x"), method="nnls", calibration="linear", resamples=60
    )
    draws = ensemble.weight_draws(scores, rating, config)
    assert draws.shape == (60, 3)
    assert (draws == ensemble.weight_draws(scores, rating, config)).all()
    fitted = ensemble.fit_ensemble(scores, rating, config).weights
    assert draws.mean(axis=0) == pytest.approx(fitted, abs=0.05)
    assert (draws.std(axis=0)[:2] > 0.005).all()


def test_a_resample_without_weights_is_not_a_number():
    config = EnsembleConfig(members={"a": "x"}, method="nnls", calibration="linear", resamples=9)
    draws = ensemble.weight_draws(np.array([[1.0], [2.0]]), np.array([1.0, 2.0]), config)
    assert set(draws[~np.isnan(draws)]) == {1.0}
    assert 0 < np.isnan(draws).sum() < 9  # one pair twice
