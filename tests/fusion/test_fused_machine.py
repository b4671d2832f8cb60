"""The kernel machine on CLAP and statistics: its equality with scikit-learn, its settings."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from soundjudge.clap.regression.kernel_machine import fit_kernel_machine, pair_features
from soundjudge.errors import SoundjudgeError
from soundjudge.fusion.fused_machine import FusedMachine, FusionConfig, fit_fused_machine

CONFIG = {"c": 0.5, "epsilon": 0.08, "gamma": "scale", "batch_size": 4, "likelihood_weight": 0.5}


def pairs(count, seed):
    """Unit vectors of sounds and texts, and three statistics of scales of their own."""
    rng = np.random.default_rng(seed)
    sounds, texts = rng.normal(size=(2, count, 6)).astype(np.float32)
    units = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (sounds, texts))
    return *units, rng.normal(size=(count, 3)) * [1, 10, 100] + [0, 5, -50]


@pytest.mark.parametrize("gamma", ["scale", 0.03])
@pytest.mark.parametrize("weight", [0.25, 2.0])
def test_scores_are_those_of_scikit_learn_on_features_side_by_side(gamma, weight):
    sounds, texts, statistics = pairs(60, 1)
    scores = 5 + 4 * (sounds * texts).sum(1) + statistics[:, 0]
    config = FusionConfig(**{**CONFIG, "gamma": gamma, "likelihood_weight": weight})
    machine = fit_fused_machine(sounds, texts, [6], statistics, scores, config)

    features = StandardScaler().fit(pair_features(sounds, texts, [6]))
    scaler = StandardScaler().fit(statistics)
    number = 1 / 28 if gamma == "scale" else gamma  # 4 * 6 + 4 features, each of variance 1

    def scaled(sounds, texts, statistics):  # so that a kernel of gamma 1 is the product of both
        x = features.transform(pair_features(sounds, texts, [6])) * np.sqrt(number)
        return np.hstack([x, scaler.transform(statistics) * np.sqrt(weight / 3)])

    svr = SVR(C=0.5, epsilon=0.08, gamma=1.0).fit(scaled(sounds, texts, statistics), scores / 5 - 1)
    sounds, texts, new = pairs(9, 2)
    new = new.clip(statistics.min(axis=0), statistics.max(axis=0))
    expected = 5 * svr.predict(scaled(sounds, texts, new)) + 5
    np.testing.assert_allclose(machine(sounds, texts, new), expected, rtol=0, atol=1e-5)


def test_statistics_beyond_training_score_as_those_at_its_edge_and_never_all_alike():
    sounds, texts, statistics = pairs(60, 1)
    scores = 5 + 4 * (sounds * texts).sum(1) + statistics[:, 0]
    machine = fit_fused_machine(sounds, texts, [6], statistics, scores, FusionConfig(**CONFIG))
    sounds, texts, _ = pairs(9, 2)
    far = np.tile(statistics.min(axis=0) - [50, 500, 5000], (9, 1))
    edge = np.tile(statistics.min(axis=0), (9, 1))
    np.testing.assert_allclose(
        machine(sounds, texts, far), machine(sounds, texts, edge), rtol=0, atol=1e-9
    )
    assert np.ptp(machine(sounds, texts, far)) > 0.1


def test_what_only_the_statistics_tell_is_learned_beside_what_only_clap_tells():
    sounds, texts, statistics = pairs(300, 3)
    scores = 5 + 2 * sounds[:, 0].astype(np.float64) + statistics[:, 0]
    config = FusionConfig(**CONFIG)
    machine = fit_fused_machine(sounds, texts, [6], statistics, scores, config)
    alone = fit_kernel_machine(sounds, texts, [6], scores, config)
    new = pairs(200, 4)
    truth = 5 + 2 * new[0][:, 0] + new[2][:, 0]
    assert np.corrcoef(machine(*new), truth)[0, 1] > 0.9
    assert np.corrcoef(alone(*new[:2]), truth)[0, 1] < 0.7


def test_one_pair_scores_as_it_does_in_a_set():
    sounds, texts, statistics = pairs(40, 5)
    machine = fit_fused_machine(
        sounds, texts, [6], statistics, 5 + statistics[:, 0], FusionConfig(**CONFIG)
    )
    together = machine(sounds, texts, statistics)
    alone = [
        machine(sounds[i : i + 1], texts[i : i + 1], statistics[i : i + 1])[0] for i in range(40)
    ]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-9)


def test_a_statistic_that_never_changes_is_no_obstacle():
    sounds, texts, statistics = pairs(40, 6)
    statistics[:, 2] = 7.0
    machine = fit_fused_machine(
        sounds, texts, [6], statistics, 5 + statistics[:, 0], FusionConfig(**CONFIG)
    )
    assert np.isfinite(machine(sounds, texts, statistics)).all()


@pytest.mark.parametrize(("name", "value"), [("likelihood_weight", 0.0), ("c", 0.0)])
def test_a_setting_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(SoundjudgeError, match=name):
        FusionConfig(**{**CONFIG, name: value})


def test_what_differs_in_the_last_digits_of_a_kernel_is_fitted_to_the_same_bytes(monkeypatch):
    """As on another processor: exp and products of matrices end in other digits there."""
    sounds, texts, statistics = pairs(200, 6)
    scores, config = 5 + 4 * (sounds * texts).sum(1) + statistics[:, 0], FusionConfig(**CONFIG)
    machine = fit_fused_machine(sounds, texts, [6], statistics, scores, config)
    kernel, rng = FusedMachine.kernel, np.random.default_rng(7)

    def other_digits(*arguments):
        values = kernel(*arguments)
        return values * (1 + 1e-15 * rng.standard_normal(values.shape))

    monkeypatch.setattr(FusedMachine, "kernel", other_digits)
    other = fit_fused_machine(sounds, texts, [6], statistics, scores, config)
    assert other.clap.weights.tobytes() == machine.clap.weights.tobytes()
    assert other.clap.intercept.tobytes() == machine.clap.intercept.tobytes()
