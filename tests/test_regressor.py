"""The kernel regressor: its features, its equality with scikit-learn, its file."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from soundjudge import artifacts
from soundjudge.clap import regressor
from soundjudge.clap.encoder import ClapError


def units(rows: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(rows, 6))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def regression(**changes: object) -> regressor.Regression:
    values = {"c": 0.5, "epsilon": 0.08, "gamma": "scale", "batch_size": 4}
    return regressor.Regression(**(values | changes))


def test_features_are_those_of_a_pair_by_hand():
    a = np.array([[1.0, 0.0]], dtype=np.float32)
    t = np.array([[0.0, 1.0]], dtype=np.float32)
    expected = [1, 0, 0, 1, 1, 1, 0, 0, 0, 0.5, 2, np.sqrt(2)]  # a t |a-t| a*t cos angle L1 L2
    np.testing.assert_allclose(regressor.features(a, t)[0], expected)


@pytest.mark.parametrize("gamma", ["scale", 0.03])
def test_scores_equal_those_of_scikit_learn(gamma):
    sounds, texts = units(60, 1), units(60, 2)
    scores = 5 + 4 * (sounds * texts).sum(1).astype(np.float64)
    machine = regressor.fit(sounds, texts, scores, regression(gamma=gamma))
    x = StandardScaler().fit(regressor.features(sounds, texts))
    svr = SVR(C=0.5, epsilon=0.08, gamma=gamma)
    svr.fit(x.transform(regressor.features(sounds, texts)), (scores - 5) / 5)
    new, words = units(9, 3), units(9, 4)
    expected = 5 * svr.predict(x.transform(regressor.features(new, words))) + 5
    np.testing.assert_allclose(machine(new, words), expected, atol=1e-6)


def test_a_saved_regressor_scores_as_before_and_is_written_to_the_same_bytes(tmp_path: Path):
    clap = tiny_clap.clap()
    rng = np.random.default_rng(0)
    waves = [0.1 * rng.normal(size=5_000).astype(np.float32) for _ in range(6)]
    texts = ["a dog", "a cat", "rain falls", "a bell", "engine", "a dog barks"]
    with torch.no_grad():
        sounds, spoken = clap.embed_sounds(waves).numpy(), clap.embed_texts(texts).numpy()
    machine = regressor.fit(sounds, spoken, np.arange(6.0), regression(epsilon=0.01))
    for name in ("a", "b"):
        regressor.save(tmp_path / name, machine, Path("encoders/clap"), clap.name())
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")
    loaded = regressor.load(tmp_path / "a", clap)
    np.testing.assert_allclose(loaded.scores(waves, texts), machine(sounds, spoken), atol=1e-6)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path):
    artifacts.write_json(tmp_path / "member.json", {"kind": "lalm"})
    with pytest.raises(ClapError, match="'lalm', not 'regress'"):
        regressor.load(tmp_path, tiny_clap.clap())


@pytest.mark.parametrize(
    "changes", [{"c": 0.0}, {"epsilon": -0.1}, {"gamma": 0.0}, {"batch_size": 0}]
)
def test_impossible_settings_are_refused_by_name(changes):
    with pytest.raises(ClapError, match=next(iter(changes))):
        regression(**changes)
