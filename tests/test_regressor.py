"""The kernel regressor: its features, its equality with scikit-learn, its file, its CLAPs."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_judge
import tiny_m2d
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from soundjudge import artifacts
from soundjudge.clap import checkpoints, kernel_machine, regressor
from soundjudge.clap.encoder import AS_IT_IS, ClapEncoder, ClapError, Opening, openings
from soundjudge.scoring import members, package
from soundjudge.scoring.calibration import Calibration
from soundjudge.scoring.ensemble import Ensemble
from soundjudge.scoring.judge import Judge

TEXTS = ["a dog", "a cat", "rain falls", "a bell", "engine", "a dog barks"]
WAVES = [
    0.1 * np.random.default_rng(seed).normal(size=5_000).astype(np.float32) for seed in range(6)
]


def units(rows: int, seed: int, *dimensions: int) -> np.ndarray:
    """Unit vectors of each CLAP, side by side: 6 dimensions of one unless told."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(rows, size)) for size in dimensions or (6,)]
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    return np.concatenate(unit, axis=1).astype(np.float32)


class Ears:
    """A CLAP of three dimensions that knows loudness and the number of words."""

    sample_rate, window_seconds, dimensions = 16_000, 0.5, 3

    def __init__(self, name: str = "ears@1") -> None:
        self.name = lambda: name

    def embed_sounds(self, waves):
        angles = [100 * float(np.abs(wave).mean()) for wave in waves]
        return torch.tensor([[np.cos(a), np.sin(a), 0] for a in angles], dtype=torch.float32)

    def embed_texts(self, texts):
        angles = [len(text) / 10 for text in texts]
        return torch.tensor([[np.cos(a), 0, np.sin(a)] for a in angles], dtype=torch.float32)


def fitted(claps: list[ClapEncoder]) -> kernel_machine.Machine:
    with torch.no_grad():
        sounds = np.concatenate([clap.embed_sounds(WAVES).numpy() for clap in claps], axis=1)
        texts = np.concatenate([clap.embed_texts(TEXTS).numpy() for clap in claps], axis=1)
    dimensions = [clap.dimensions for clap in claps]
    return kernel_machine.fit(sounds, texts, dimensions, np.arange(6.0), regression(epsilon=0.01))


def regression(**changes: object) -> kernel_machine.Regression:
    values = {"more_claps": (), "c": 0.5, "epsilon": 0.08, "gamma": "scale", "batch_size": 4}
    return kernel_machine.Regression(**(values | changes))


def test_features_are_those_of_a_pair_by_hand():
    a = np.array([[1.0, 0.0]], dtype=np.float32)
    t = np.array([[0.0, 1.0]], dtype=np.float32)
    expected = [1, 0, 0, 1, 1, 1, 0, 0, 0, 0.5, 2, np.sqrt(2)]  # a t |a-t| a*t cos angle L1 L2
    np.testing.assert_allclose(kernel_machine.features(a, t, [2])[0], expected)
    both = kernel_machine.features(np.hstack([a, t]), np.hstack([t, t]), [2, 2])
    equal = [0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0]  # of the second CLAP, after those of the first
    np.testing.assert_allclose(both[0], expected + equal)


@pytest.mark.parametrize("gamma", ["scale", 0.03])
@pytest.mark.parametrize("dimensions", [(6,), (6, 4)])
def test_scores_equal_those_of_scikit_learn(gamma, dimensions):
    sounds, texts = units(60, 1, *dimensions), units(60, 2, *dimensions)
    scores = 5 + 4 * (sounds * texts).sum(1).astype(np.float64)
    machine = kernel_machine.fit(sounds, texts, dimensions, scores, regression(gamma=gamma))
    x = StandardScaler().fit(kernel_machine.features(sounds, texts, dimensions))
    svr = SVR(C=0.5, epsilon=0.08, gamma=gamma)
    svr.fit(x.transform(kernel_machine.features(sounds, texts, dimensions)), (scores - 5) / 5)
    new, words = units(9, 3, *dimensions), units(9, 4, *dimensions)
    expected = 5 * svr.predict(x.transform(kernel_machine.features(new, words, dimensions))) + 5
    np.testing.assert_allclose(machine(new, words), expected, rtol=0, atol=1e-6)


def test_the_second_clap_counts():
    sounds, texts = units(60, 1, 6, 4), units(60, 2, 6, 4)
    scores = 5 + 4 * (sounds * texts)[:, 6:].sum(1).astype(np.float64)
    both = kernel_machine.fit(sounds, texts, [6, 4], scores, regression(c=10.0))
    one = kernel_machine.fit(sounds[:, :6], texts[:, :6], [6], scores, regression(c=10.0))
    new, words = units(200, 3, 6, 4), units(200, 4, 6, 4)
    cosine = (new * words)[:, 6:].sum(1)
    assert np.corrcoef(both(new, words), cosine)[0, 1] > 0.8
    assert abs(np.corrcoef(one(new[:, :6], words[:, :6]), cosine)[0, 1]) < 0.3


def test_one_pair_scores_as_it_does_in_a_set():
    sounds, texts = units(40, 1, 6, 4), units(40, 2, 6, 4)
    machine = kernel_machine.fit(sounds, texts, [6, 4], np.linspace(0, 10, 40), regression())
    new, words = units(9, 3, 6, 4), units(9, 4, 6, 4)
    alone = [machine(new[[row]], words[[row]])[0] for row in range(9)]
    np.testing.assert_allclose(alone, machine(new, words), rtol=0, atol=1e-9)
    claps = [tiny_clap.clap(), Ears()]
    member = regressor.Regressor(claps, fitted(claps))
    single = [member.scores([wave], [text])[0] for wave, text in zip(WAVES, TEXTS, strict=True)]
    np.testing.assert_allclose(single, member.scores(WAVES, TEXTS), rtol=0, atol=1e-4)


def test_a_saved_regressor_scores_as_before_and_is_written_to_the_same_bytes(tmp_path: Path):
    claps = [tiny_clap.clap(), Ears()]
    machine = fitted(claps)
    paths, names = [Path("encoders/clap"), Path("encoders/ears")], [c.name() for c in claps]
    for name in ("a", "b"):
        regressor.save(tmp_path / name, machine, paths, names)
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")
    assert {path.suffix for path in (tmp_path / "a").iterdir()} == {".json", ".safetensors"}
    loaded = regressor.load(tmp_path / "a", claps)
    before = regressor.Regressor(claps, machine).scores(WAVES, TEXTS)
    np.testing.assert_allclose(loaded.scores(WAVES, TEXTS), before, rtol=0, atol=1e-6)
    assert loaded.window_seconds == 0.5  # of the CLAP that hears less


def test_other_weights_under_an_old_path_are_refused_by_name(tmp_path: Path):
    claps = [tiny_clap.clap(), Ears()]
    paths, names = [Path("encoders/clap"), Path("encoders/ears")], [c.name() for c in claps]
    regressor.save(tmp_path, fitted(claps), paths, names)
    with pytest.raises(
        ClapError, match="fitted on ears@1, but encoders/ears now holds ears@2.*dvc"
    ):
        regressor.load(tmp_path, [claps[0], Ears("ears@2")])
    with pytest.raises(ClapError, match=r"\[8, 3\] dimensions, not \[3, 8\]"):
        regressor.load(tmp_path, claps[::-1], by_name=False)


def test_a_sha256_and_a_backend_are_said_of_the_first_clap_alone():
    first = Opening(backend="laion-clap", sha256="00")
    assert openings(first, 3) == [first, AS_IT_IS, AS_IT_IS]


def test_a_clap_named_twice_is_refused():
    more = (Path("b"), Path("c"))
    assert regression(more_claps=more).claps(Path("a")) == [Path("a"), *more]
    for first, named in (("b", ("c", "b")), ("a", ("b", "c", "b"))):
        with pytest.raises(ClapError, match="names b again"):
            regression(more_claps=tuple(map(Path, named))).claps(Path(first))


def test_a_judge_holds_a_copy_of_each_clap_that_it_may_and_asks_for_the_other(tmp_path: Path):
    root = tmp_path / "pipeline"
    paths = [Path("official/one"), Path("official/two"), Path("official/m2d")]
    for seed in (0, 1):
        tiny_clap.clap(seed, hop_length=320, max_length_s=1.2).save(root / paths[seed])
    tiny_m2d.write(root / paths[2])
    claps = [checkpoints.encoder(root / path, "cpu", AS_IT_IS) for path in paths]
    machine = fitted(claps)
    regressor.save(root / "regress", machine, paths, [clap.name() for clap in claps])
    alone = Ensemble(
        members=("regress",),
        mean=(0.0,),
        std=(1.0,),
        weights=(1.0,),
        calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
    )
    package.build(
        tmp_path / "judge",
        fitted=alone,
        checkpoints={"regress": root / "regress"},
        root=root,
        window_seconds=1.0,
        packaging=tiny_judge.PACKAGING,
        report="# Agreement",
    )
    said = artifacts.read_json(tmp_path / "judge/members/regress/member.json")["clap"]
    assert said[:2] == ["encoders/clap", "encoders/clap2"] and said[2].startswith("m2d@")
    assert not list((tmp_path / "judge").rglob("*.pth"))
    judge = Judge.from_pretrained(tmp_path / "judge", "cpu", m2d=root / paths[2])
    loader = members.Loader(root=root, device=torch.device("cpu"), window_seconds=1.0)
    raw = loader.member(root / "regress").scores(WAVES, TEXTS)
    np.testing.assert_allclose(judge.score_waves(WAVES, TEXTS, 6), raw.clip(0, 10), atol=1e-4)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path):
    artifacts.write_json(tmp_path / "member.json", {"kind": "lalm"})
    with pytest.raises(ClapError, match="'lalm', not 'regress'"):
        regressor.load(tmp_path, [tiny_clap.clap()])


@pytest.mark.parametrize(
    "changes", [{"c": 0.0}, {"epsilon": -0.1}, {"gamma": 0.0}, {"batch_size": 0}]
)
def test_impossible_settings_are_refused_by_name(changes):
    with pytest.raises(ClapError, match=next(iter(changes))):
        regression(**changes)
