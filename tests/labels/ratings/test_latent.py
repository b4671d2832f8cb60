import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import ROOT
from scipy import optimize, stats

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import latent, latent_em
from soundjudge.labels.ratings.config import LatentConfig
from soundjudge.labels.ratings.latent_em import ListenerPanel
from soundjudge.labels.ratings.latent_priors import ROUNDING, estimate_priors
from soundjudge.labels.ratings.rating_arrays import rating_arrays

CONFIG = LatentConfig(scale_sd=0.2, noise_prior_weight=4.0, tolerance=1e-10, max_iterations=5000)


def ratings(*rows):
    """(wav, listener, score) rows as ratings."""
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    return frame.assign(text="t " + frame["wav_file_name"], score=frame["score"].astype(float))


def sample_ratings(pairs, listeners, per_pair, seed, **habits):
    """Ratings sampled from the model; and the truth of each pair, the habits of each listener.

    The spreads of bias, scale and noise (a factor) are `habits`.
    """
    rng = np.random.default_rng(seed)
    truth = rng.normal(6.5, 2.0, pairs)
    bias = rng.normal(0, habits.get("bias", 0.9), listeners)
    scale = 1 + rng.normal(0, habits.get("scale", 0.15), listeners)
    noise = 1.3 * np.exp(rng.normal(0, habits.get("noise", 0.3), listeners))
    rows = []
    for pair in range(pairs):
        for who in rng.choice(listeners, per_pair, replace=False):
            opinion = 6.5 + bias[who] + scale[who] * (truth[pair] - 6.5)
            rows.append((f"{pair:05d}.wav", f"l{who:04d}", opinion + noise[who] * rng.normal()))
    kept = sorted({row[1] for row in rows})
    who = [int(name[1:]) for name in kept]
    return ratings(*rows), truth, pd.DataFrame({"bias": bias, "scale": scale}).iloc[who]


def start(frame):
    numbers = rating_arrays(frame)
    prior = estimate_priors(numbers, CONFIG)
    return latent_em.sum_ratings(numbers), prior


def random_panel(number, seed):
    rng = np.random.default_rng(seed)
    return ListenerPanel(
        mean=6.0,
        noise=1.1,
        level=rng.normal(6, 1, number),
        scale=rng.normal(1, 0.2, number),
        variance=rng.uniform(0.2, 4, number),
    )


def group_ratings(frame):
    """For each pair: the numbers of its listeners and their scores."""
    who = {name: number for number, name in enumerate(dict.fromkeys(frame["listener_id"]))}
    parts = frame.groupby("wav_file_name", sort=False)
    return [([who[n] for n in part["listener_id"]], part["score"].to_numpy()) for _, part in parts]


def joint(groups, panel, prior):
    """For each pair: scores, their mean and covariance with the quality integrated out."""
    for index, score in groups:
        slope = panel.scale[index]
        covariance = np.diag(panel.variance[index]) + prior.quality * np.outer(slope, slope)
        yield score, panel.level[index], covariance, slope


def test_likelihood_and_qualities_are_those_of_the_joint_normal_distribution():
    frame, _, _ = sample_ratings(12, 5, 3, seed=1)
    sums, prior = start(frame)
    panel = random_panel(len(sums.arrays.listener_ids), seed=2)
    qualities = latent_em.e_step(sums, panel, prior)
    parts = list(joint(group_ratings(frame), panel, prior))
    total = sum(stats.multivariate_normal.logpdf(y, mean, cov) for y, mean, cov, _ in parts)
    assert qualities.log_likelihood == pytest.approx(total)
    for number, (score, mean, covariance, slope) in enumerate(parts):
        gain = prior.quality * slope @ np.linalg.inv(covariance)
        assert qualities.mean[number] == pytest.approx(gain @ (score - mean))
        assert qualities.variance[number] == pytest.approx(prior.quality * (1 - gain @ slope))


def penalty(panel, prior):
    """The priors by scipy; a density of the variance times the variance is one of its logarithm."""
    half = prior.noise_prior_weight / 2
    noise = stats.invgamma(half, scale=half * panel.noise)
    return (
        np.sum(stats.norm.logpdf(panel.level, panel.mean, prior.bias**0.5))
        + np.sum(stats.norm.logpdf(panel.scale, 1, prior.scale**0.5))
        + np.sum(noise.logpdf(panel.variance) + np.log(panel.variance))
        + np.sum(prior.fitted / 2 * np.log(panel.variance))
    )


def test_the_penalty_is_the_log_density_of_the_priors():
    frame, _, _ = sample_ratings(12, 5, 3, seed=1)
    sums, prior = start(frame)
    panel = random_panel(len(sums.arrays.listener_ids), seed=3)
    assert latent_em.log_prior(panel, prior) == pytest.approx(penalty(panel, prior))


def naive_m_step(frame, qualities, panel, prior):
    """Levels, scales and the mean by one large system of normal equations, then the noises."""
    names = list(dict.fromkeys(frame["listener_id"]))
    wavs = list(dict.fromkeys(frame["wav_file_name"]))
    number = len(names)
    matrix, right = np.zeros((2 * number + 1, 2 * number + 1)), np.zeros(2 * number + 1)
    for row in frame.itertuples():
        j, i = names.index(row.listener_id), wavs.index(row.wav_file_name)
        z, v, weight = qualities.mean[i], qualities.variance[i], 1 / panel.variance[j]
        both = [j, number + j]
        matrix[np.ix_(both, both)] += weight * np.array([[1, z], [z, z * z + v]])
        right[both] += weight * row.score * np.array([1, z])
    for j in range(number):
        pair = [j, 2 * number]
        matrix[np.ix_(pair, pair)] += np.array([[1, -1], [-1, 1]]) / prior.bias
        matrix[number + j, number + j] += 1 / prior.scale
        right[number + j] += 1 / prior.scale
    solved = np.linalg.solve(matrix, right)
    level, scale, mean = solved[:number], solved[number:-1], solved[-1]
    variance = []
    for j, name in enumerate(names):
        own = frame[frame["listener_id"] == name]
        error = sum(
            (row.score - level[j] - scale[j] * qualities.mean[wavs.index(row.wav_file_name)]) ** 2
            + scale[j] ** 2 * qualities.variance[wavs.index(row.wav_file_name)]
            for row in own.itertuples()
        )
        dof = 4.0 + len(own) - prior.fitted[j]
        variance.append(max((4.0 * panel.noise + error) / dof, ROUNDING))
    noise = min(stats.hmean(variance), prior.noise)
    return ListenerPanel(
        mean=mean, noise=noise, level=level, scale=scale, variance=np.array(variance)
    )


def test_one_iteration_is_what_loops_and_a_dense_solver_make_of_it():
    frame, _, _ = sample_ratings(15, 6, 3, seed=4)
    sums, prior = start(frame)
    panel = random_panel(len(sums.arrays.listener_ids), seed=5)
    qualities = latent_em.e_step(sums, panel, prior)
    fast = dataclasses.asdict(latent_em.m_step(sums, qualities, panel, prior))
    slow = dataclasses.asdict(naive_m_step(frame, qualities, panel, prior))
    for key, value in slow.items():
        assert fast[key] == pytest.approx(value), key


@pytest.mark.slow
def test_a_general_optimizer_finds_no_better_panel_and_the_same_one():
    frame, _, _ = sample_ratings(9, 3, 2, seed=6)
    groups = group_ratings(frame)
    estimate = latent.estimate_latent(rating_arrays(frame), CONFIG)
    prior, panel, number = estimate.prior, estimate.panel, len(estimate.panel.level)

    def unpacked(x):
        variance = np.exp(x[2 * number : 3 * number])
        return ListenerPanel(
            mean=x[-2],
            noise=math.exp(x[-1]),
            level=x[:number],
            scale=x[number : 2 * number],
            variance=variance,
        )

    def loss(x):
        at = unpacked(x)
        normal = stats.multivariate_normal.logpdf
        return -penalty(at, prior) - sum(
            normal(score, mean, cov) for score, mean, cov, _ in joint(groups, at, prior)
        )

    free, noises = (None, None), (math.log(ROUNDING), None)
    bounds = [free] * 2 * number + [noises] * number + [free, (None, math.log(prior.noise))]
    first = np.concatenate([np.full(number, 6.0), np.ones(number), np.zeros(number), [6.0, -1.0]])
    options = {"maxiter": 300, "maxfun": 10**5, "ftol": 1e-13}
    best = optimize.minimize(loss, first, method="L-BFGS-B", bounds=bounds, options=options)
    assert estimate.log_likelihood[-1] >= -best.fun - 1e-4
    there = unpacked(best.x)
    assert panel.mean == pytest.approx(there.mean, abs=0.02)
    assert panel.level == pytest.approx(there.level, abs=0.02)
    assert panel.scale == pytest.approx(there.scale, abs=0.02)
    assert np.sqrt(panel.variance) == pytest.approx(np.sqrt(there.variance), abs=0.02)


ROWS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz"), st.integers(0, 10)),
    min_size=1,
    max_size=36,
    unique_by=lambda row: row[:2],
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_whatever_the_panel_the_likelihood_never_falls_and_all_is_finite(rows):
    fit = latent.fit_latent(ratings(*rows), CONFIG)
    path = np.array(fit.log_likelihood)
    assert np.all(np.diff(path) >= -1e-9 * np.maximum(1, np.abs(path[1:])))
    assert fit.converged
    assert np.isfinite(fit.pairs[["latent_score", "latent_se"]].to_numpy()).all()
    assert (fit.pairs["latent_se"] > 0).all()
    habits = fit.listeners[["bias", "scale", "noise"]].to_numpy()
    assert np.isfinite(habits).all()
    assert fit.listeners["bias"].mean() == pytest.approx(0, abs=1e-7)
    assert fit.listeners["noise"].min() >= ROUNDING**0.5 - 1e-12
    assert fit.pairs["latent_score"].between(-5, 15).all()


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(ROWS, st.randoms(use_true_random=False))
def test_order_and_names_of_rows_do_not_matter(rows, shuffle):
    once = latent.fit_latent(ratings(*rows), CONFIG)
    moved = list(rows)
    shuffle.shuffle(moved)
    twice = latent.fit_latent(
        ratings(*[(wav, who + "!", score) for wav, who, score in moved]), CONFIG
    )
    assert twice.pairs["wav_file_name"].tolist() == list(dict.fromkeys(row[0] for row in moved))
    assert twice.listeners["listener_id"].tolist() == sorted({row[1] + "!" for row in moved})
    both = once.pairs.merge(twice.pairs, on=["wav_file_name", "text"], validate="1:1")
    assert both["latent_score_x"].to_numpy() == pytest.approx(both["latent_score_y"], abs=1e-3)
    assert both["latent_se_x"].to_numpy() == pytest.approx(both["latent_se_y"], rel=1e-2)


@pytest.mark.parametrize("listeners", [60, 150, 300])
def test_standard_errors_are_honest_where_the_model_holds(listeners):
    """400 pairs, four ratings each: 27, 11 and 5 ratings a listener."""
    standardized = []
    for seed in range(3):
        frame, truth, _ = sample_ratings(400, listeners, 4, seed)
        pairs = latent.fit_latent(frame, CONFIG).pairs
        error = pairs["latent_score"] - truth
        standardized.append((error - error.mean()) / pairs["latent_se"])  # the panel's mean apart
    assert 0.85 < np.concatenate(standardized).std() < 1.2


def test_listeners_are_found_as_they_are():
    frame, truth, habits = sample_ratings(400, 40, 5, seed=0, noise=0.8)
    fit = latent.fit_latent(frame, CONFIG)
    assert np.corrcoef(fit.listeners["bias"], habits["bias"])[0, 1] > 0.95
    assert np.corrcoef(fit.listeners["scale"], habits["scale"])[0, 1] > 0.7
    assert fit.prior.quality**0.5 == pytest.approx(2.0, rel=0.15)
    assert fit.prior.bias**0.5 == pytest.approx(0.9, rel=0.3)
    mean = frame.groupby("wav_file_name")["score"].mean().to_numpy()
    nearer = np.mean((fit.pairs["latent_score"] - truth) ** 2)
    assert nearer < 0.7 * np.mean((mean - truth) ** 2)


def test_equal_listeners_give_the_mean_rating_drawn_a_little_to_the_middle():
    rows = [(f"{p}.wav", f"l{k}", s) for p in range(20) for k, s in enumerate([p / 2] * 4)]
    fit = latent.fit_latent(ratings(*rows), CONFIG)
    assert fit.pairs["latent_score"].to_numpy() == pytest.approx(np.arange(20) / 2, abs=0.05)
    assert fit.listeners["bias"].to_numpy() == pytest.approx(np.zeros(4), abs=1e-6)
    assert fit.listeners["scale"].nunique() == 1 or np.ptp(fit.listeners["scale"]) < 1e-6


def test_more_ratings_make_a_score_surer():
    frame, _, _ = sample_ratings(200, 30, 8, seed=1)
    few = frame[(frame["wav_file_name"] >= "00100") | (frame.groupby("text").cumcount() < 2)]
    error = latent.fit_latent(few, CONFIG).pairs["latent_se"]
    assert error[:100].mean() > 1.5 * error[100:].mean()


def test_who_answers_the_same_for_all_hardly_counts():
    frame, truth, _ = sample_ratings(60, 8, 4, seed=2, bias=0.3, noise=0.1)
    lazy = ratings(*[(name, "lazy", 10.0) for name in frame["wav_file_name"].unique()])
    alone = latent.fit_latent(frame, CONFIG).pairs["latent_score"]
    both = latent.fit_latent(pd.concat([frame, lazy], ignore_index=True), CONFIG)
    habit = both.listeners.set_index("listener_id").loc["lazy"]
    assert abs(habit["scale"]) < 0.1
    assert habit["bias"] > 2
    assert np.corrcoef(alone, both.pairs["latent_score"])[0, 1] > 0.995
    assert np.corrcoef(alone, truth)[0, 1] > 0.9


def test_one_pair_alone_has_about_the_mean_rating_and_an_honest_error():
    fit = latent.fit_latent(
        ratings(*[("a", f"l{k}", s) for k, s in enumerate([2, 8, 9, 9])]), CONFIG
    )
    assert fit.pairs["latent_score"][0] == pytest.approx(7, abs=0.5)
    assert 0.5 < fit.pairs["latent_se"][0] < 3


def test_panels_without_common_listeners_are_compared_by_their_means():
    high = [(f"a{p}", f"l{k}", 8 + (p + k) % 3) for p in range(10) for k in range(3)]
    low = [(f"b{p}", f"m{k}", 1 + (p + k) % 3) for p in range(10) for k in range(3)]
    score = latent.fit_latent(ratings(*high, *low), CONFIG).pairs["latent_score"]
    assert score[:10].min() > score[10:].max()
    assert score[:10].mean() - score[10:].mean() < 7  # a part is taken for bias


def test_a_category_without_rows_is_no_listener():
    frame, _, _ = sample_ratings(20, 5, 3, seed=3)
    plain = latent.fit_latent(frame, CONFIG)
    names = [*sorted(set(frame["listener_id"])), "nobody"]
    frame = frame.assign(listener_id=pd.Categorical(frame["listener_id"], categories=names))
    fit = latent.fit_latent(frame, CONFIG)
    assert fit.listeners["listener_id"].tolist() == plain.listeners["listener_id"].tolist()
    assert fit.pairs["latent_score"].to_numpy() == pytest.approx(plain.pairs["latent_score"])


def test_a_fit_that_was_stopped_says_so():
    frame, _, _ = sample_ratings(40, 9, 3, seed=4)
    stopped = latent.fit_latent(frame, dataclasses.replace(CONFIG, max_iterations=3))
    assert not stopped.converged
    assert len(stopped.log_likelihood) == 3
    assert stopped.log_likelihood == latent.fit_latent(frame, CONFIG).log_likelihood[:3]


def test_ratings_that_are_none_or_no_numbers_are_refused():
    for frame in (ratings(), ratings(("a", "l", math.nan)), ratings(("a", "l", math.inf))):
        with pytest.raises(SoundjudgeError, match="each a finite number"):
            latent.fit_latent(frame, CONFIG)


@pytest.mark.parametrize(
    "wrong",
    [{"scale_sd": 0.0}, {"noise_prior_weight": -1.0}, {"tolerance": 0.0}, {"max_iterations": 0}],
)
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(SoundjudgeError, match=next(iter(wrong))):
        dataclasses.replace(CONFIG, **wrong)


def test_params_yaml_says_how_to_fit():
    path = ROOT / "params.yaml"
    assert params.load("standardize.latent", LatentConfig, path).max_iterations >= 100
