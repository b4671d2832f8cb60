"""The kernel regressor: its features, its equality with scikit-learn, its file, its CLAPs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_clap
import tiny_judge
import tiny_laion
import tiny_m2d
import torch
import yaml
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVR

from soundjudge import params
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.errors import ParamsError, SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import (
    EncoderReference,
    MemberRecord,
    read_member,
    write_member,
)
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import PredictionConfig, raw_scores

TEXTS = ["a dog", "a cat", "rain falls", "a bell", "engine", "a dog barks"]
WAVES = [
    0.1 * np.random.default_rng(seed).normal(size=5_000).astype(np.float32) for seed in range(6)
]
SOURCES = [ClapSource(Path("encoders/clap")), ClapSource(Path("encoders/ears"))]
ALONE = Ensemble(
    members=("regress",),
    mean=(0.0,),
    std=(1.0,),
    weights=(1.0,),
    calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
)


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


def fit_machine(claps: list[ClapEncoder]) -> kernel_machine.KernelMachine:
    with torch.no_grad():
        sounds = np.concatenate([clap.embed_sounds(WAVES).numpy() for clap in claps], axis=1)
        texts = np.concatenate([clap.embed_texts(TEXTS).numpy() for clap in claps], axis=1)
    dimensions = [clap.dimensions for clap in claps]
    return kernel_machine.fit_kernel_machine(
        sounds, texts, dimensions, np.arange(6.0), regression(epsilon=0.01)
    )


def regression(**changes: object) -> kernel_machine.RegressionConfig:
    values = {"extra_encoders": (), "c": 0.5, "epsilon": 0.08, "gamma": "scale", "batch_size": 4}
    return kernel_machine.RegressionConfig(**(values | changes))


def test_features_are_those_of_a_pair_by_hand():
    a = np.array([[1.0, 0.0]], dtype=np.float32)
    t = np.array([[0.0, 1.0]], dtype=np.float32)
    expected = [1, 0, 0, 1, 1, 1, 0, 0, 0, 0.5, 2, np.sqrt(2)]  # a t |a-t| a*t cos angle L1 L2
    np.testing.assert_allclose(kernel_machine.pair_features(a, t, [2])[0], expected)
    both = kernel_machine.pair_features(np.hstack([a, t]), np.hstack([t, t]), [2, 2])
    equal = [0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0]  # of the second CLAP, after those of the first
    np.testing.assert_allclose(both[0], expected + equal)


@pytest.mark.parametrize("gamma", ["scale", 0.03])
@pytest.mark.parametrize("dimensions", [(6,), (6, 4)])
def test_scores_equal_those_of_scikit_learn(gamma, dimensions):
    sounds, texts = units(60, 1, *dimensions), units(60, 2, *dimensions)
    scores = 5 + 4 * (sounds * texts).sum(1).astype(np.float64)
    machine = kernel_machine.fit_kernel_machine(
        sounds, texts, dimensions, scores, regression(gamma=gamma)
    )
    x = StandardScaler().fit(kernel_machine.pair_features(sounds, texts, dimensions))
    svr = SVR(C=0.5, epsilon=0.08, gamma=gamma)
    svr.fit(x.transform(kernel_machine.pair_features(sounds, texts, dimensions)), (scores - 5) / 5)
    new, words = units(9, 3, *dimensions), units(9, 4, *dimensions)
    expected = (
        5 * svr.predict(x.transform(kernel_machine.pair_features(new, words, dimensions))) + 5
    )
    np.testing.assert_allclose(machine(new, words), expected, rtol=0, atol=1e-6)


def test_row_normalization_equals_that_of_scikit_learn_and_is_kept(tmp_path):
    sounds, texts = units(60, 1, 6, 4), units(60, 2, 6, 4)
    scores = 5 + 4 * (sounds * texts).sum(1).astype(np.float64)
    plain, rows = (
        kernel_machine.fit_kernel_machine(sounds, texts, (6, 4), scores, regression(normalize=kind))
        for kind in ("none", "rows")
    )
    pipe = make_pipeline(Normalizer(), StandardScaler(), SVR(C=0.5, epsilon=0.08))
    pipe.fit(kernel_machine.pair_features(sounds, texts, (6, 4)), (scores - 5) / 5)
    new, words = units(9, 3, 6, 4), units(9, 4, 6, 4)
    expected = 5 * pipe.predict(kernel_machine.pair_features(new, words, (6, 4))) + 5
    np.testing.assert_allclose(rows(new, words), expected, rtol=0, atol=1e-6)
    assert np.abs(plain(new, words) - expected).max() > 1e-3
    regressor.save_regressor(tmp_path / "rows", rows, SOURCES, ["one", "two"])
    loaded = regressor.load_machine(tmp_path / "rows")
    np.testing.assert_array_equal(loaded(new, words), rows(new, words))


def test_a_machine_without_row_normalization_is_the_file_that_it_always_was(tmp_path):
    sounds, texts = units(30, 1), units(30, 2)
    machine = kernel_machine.fit_kernel_machine(
        sounds, texts, (6,), np.linspace(0, 10, 30), regression()
    )
    regressor.save_regressor(tmp_path / "m", machine, SOURCES[:1], ["one"])
    tensors = artifacts.load_tensors(tmp_path / "m" / regressor.TENSORS)
    assert "rows" not in tensors
    assert regressor.load_machine(tmp_path / "m").rows.tolist() == [0]


def test_all_targets_are_in_rating_points():
    targets = pd.DataFrame(
        {"mean_score": [2.0, 8.0], "latent_score": [2.5, 7.5], "spo_score": [-1.0, 0.5]}
    )
    for target, expected in (("mean", [2, 8]), ("latent", [2.5, 7.5]), ("spo", [4.0, 7.0])):
        scores = regressor.target_scores(targets, target, mean=6.0, std=2.0)
        assert scores.tolist() == expected


def test_embeddings_in_bf16_give_nearly_the_same_scores():
    class Half(Ears):
        def embed_sounds(self, waves):
            return super().embed_sounds(waves).bfloat16()

        def embed_texts(self, texts):
            return super().embed_texts(texts).bfloat16()

    machine = fit_machine([Ears()])
    exact, half = (
        regressor.Regressor([clap], machine).scores(WAVES, TEXTS) for clap in (Ears(), Half())
    )
    assert exact.std() > 0.5
    np.testing.assert_allclose(half, exact, rtol=0, atol=0.2)


def test_the_second_clap_counts():
    sounds, texts = units(60, 1, 6, 4), units(60, 2, 6, 4)
    scores = 5 + 4 * (sounds * texts)[:, 6:].sum(1).astype(np.float64)
    both = kernel_machine.fit_kernel_machine(sounds, texts, [6, 4], scores, regression(c=10.0))
    one = kernel_machine.fit_kernel_machine(
        sounds[:, :6], texts[:, :6], [6], scores, regression(c=10.0)
    )
    new, words = units(200, 3, 6, 4), units(200, 4, 6, 4)
    cosine = (new * words)[:, 6:].sum(1)
    assert np.corrcoef(both(new, words), cosine)[0, 1] > 0.8
    assert abs(np.corrcoef(one(new[:, :6], words[:, :6]), cosine)[0, 1]) < 0.3


def test_one_pair_scores_as_it_does_in_a_set():
    sounds, texts = units(40, 1, 6, 4), units(40, 2, 6, 4)
    machine = kernel_machine.fit_kernel_machine(
        sounds, texts, [6, 4], np.linspace(0, 10, 40), regression()
    )
    new, words = units(9, 3, 6, 4), units(9, 4, 6, 4)
    alone = [machine(new[[row]], words[[row]])[0] for row in range(9)]
    np.testing.assert_allclose(alone, machine(new, words), rtol=0, atol=1e-9)
    claps = [tiny_clap.clap(), Ears()]
    member = regressor.Regressor(claps, fit_machine(claps))
    single = [member.scores([wave], [text])[0] for wave, text in zip(WAVES, TEXTS, strict=True)]
    np.testing.assert_allclose(single, member.scores(WAVES, TEXTS), rtol=0, atol=1e-4)


def test_a_saved_regressor_scores_as_before_and_is_written_to_the_same_bytes(tmp_path: Path):
    claps = [tiny_clap.clap(), Ears()]
    machine = fit_machine(claps)
    names = [clap.name() for clap in claps]
    for name in ("a", "b"):
        regressor.save_regressor(tmp_path / name, machine, SOURCES, names)
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")
    assert {path.suffix for path in (tmp_path / "a").iterdir()} == {".json", ".safetensors"}
    loaded = regressor.load_regressor(tmp_path / "a", claps)
    before = regressor.Regressor(claps, machine).scores(WAVES, TEXTS)
    np.testing.assert_allclose(loaded.scores(WAVES, TEXTS), before, rtol=0, atol=1e-6)
    assert loaded.window_seconds == 0.5  # of the CLAP that hears less


def test_other_weights_under_an_old_path_are_refused_by_name(tmp_path: Path):
    claps = [tiny_clap.clap(), Ears()]
    names = [clap.name() for clap in claps]
    regressor.save_regressor(tmp_path, fit_machine(claps), SOURCES, names)
    with pytest.raises(
        SoundjudgeError, match="fitted on ears@1, but encoders/ears now holds ears@2.*dvc"
    ):
        regressor.load_regressor(tmp_path, [claps[0], Ears("ears@2")])
    with pytest.raises(SoundjudgeError, match=r"\[8, 3\] dimensions, not \[3, 8\]"):
        regressor.load_regressor(tmp_path, claps[::-1])


def test_each_clap_has_a_backend_and_a_sha256_of_its_own():
    first, pinned = ClapSource(Path("a"), "laion-clap", "00"), ClapSource(Path("c"), sha256="11")
    extra = (Path("b"), pinned, ClapSource(Path("d"), "laion-clap"))
    assert regression(extra_encoders=extra).claps(first) == [
        first,
        ClapSource(Path("b"), "transformers", None),
        pinned,
        ClapSource(Path("d"), "laion-clap", None),
    ]


def test_extra_encoders_are_paths_or_paths_with_a_backend_and_a_sha256(in_folder):
    section = {"c": 0.5, "epsilon": 0.08, "gamma": "scale", "batch_size": 4}

    def read(extra_encoders: object) -> kernel_machine.RegressionConfig:
        values = {"regress": section | {"extra_encoders": extra_encoders}}
        Path("params.yaml").write_text(yaml.safe_dump(values))
        return params.load("regress", kernel_machine.RegressionConfig)

    extra = read(["a", {"path": "b.pt", "sha256": "12"}]).extra_encoders
    assert extra == (Path("a"), ClapSource(Path("b.pt"), sha256="12"))
    with pytest.raises(ParamsError, match=r"extra_encoders\[0\]\.path is missing: add it"):
        read([{"sha256": "12"}])
    with pytest.raises(ParamsError, match=r"extra_encoders\[1\]\.sha is not a known key: did you"):
        read(["a", {"path": "b.pt", "sha": "12"}])


def test_a_clap_named_twice_is_refused():
    extra = (Path("b"), Path("c"))
    claps = regression(extra_encoders=extra).claps(ClapSource(Path("a")))
    assert [source.path for source in claps] == [Path("a"), *extra]
    for first, names in (("b", ("c", "b")), ("a", ("b", "c", "b"))):
        config = regression(extra_encoders=tuple(map(Path, names)))
        with pytest.raises(SoundjudgeError, match="names b again"):
            config.claps(ClapSource(Path(first)))
    again = (Path("b"), ClapSource(Path("b"), sha256="1"))
    with pytest.raises(SoundjudgeError, match="names b again"):
        regression(extra_encoders=again).claps(ClapSource(Path("a")))


def test_two_m2d_claps_are_refused_because_a_judge_can_ask_for_one_alone(tmp_path: Path):
    one, two = (tiny_m2d.write(tmp_path / name, weights_seed=n) for n, name in enumerate("ab"))
    tiny_clap.clap().save(tmp_path / "c")
    checkpoints.check_one_m2d([tmp_path / "c", one])
    with pytest.raises(
        SoundjudgeError, match="/a and .*/b are M2D-CLAPs.*out of.*regress.extra_encoders"
    ):
        checkpoints.check_one_m2d([one, tmp_path / "c", two])


@pytest.mark.slow
def test_a_judge_holds_a_copy_of_each_clap_that_it_may_and_asks_for_the_other(tmp_path: Path):
    root = tmp_path / "pipeline"
    paths = [Path("official/one"), Path("official/two"), Path("official/m2d")]
    for seed in (0, 1):
        tiny_clap.clap(seed, hop_length=320, max_length_s=1.2).save(root / paths[seed])
    tiny_m2d.write(root / paths[2])
    claps = [checkpoints.load_encoder(ClapSource(root / path), "cpu") for path in paths]
    names = [clap.name() for clap in claps]
    regressor.save_regressor(root / "regress", fit_machine(claps), map(ClapSource, paths), names)
    package.build_judge(
        tmp_path / "judge",
        ensemble=ALONE,
        checkpoints={"regress": root / "regress"},
        root=root,
        window_seconds=1.0,
        packaging=tiny_judge.PACKAGING,
        report="# Agreement",
    )
    m2d = artifacts.sha256(root / paths[2] / tiny_m2d.NAME / "checkpoint-30.pth")
    assert read_member(tmp_path / "judge/members/regress").encoders["clap"] == (
        EncoderReference(path="encoders/clap"),
        EncoderReference(path="encoders/clap2"),
        EncoderReference(path=None, sha256=m2d),
    )
    assert not list((tmp_path / "judge").rglob("*.pth"))
    judge = Judge.from_pretrained(tmp_path / "judge", "cpu", m2d=root / paths[2])
    loader = members.MemberLoader(root=root, device=torch.device("cpu"), window_seconds=1.0)
    raw = raw_scores(
        [loader.member(root / "regress")], WAVES, TEXTS, PredictionConfig(window_seconds=1.0)
    )
    raw = raw[:, 0]
    np.testing.assert_allclose(judge.score_waves(WAVES, TEXTS, 6), raw.clip(0, 10), atol=1e-4)


@pytest.mark.slow
def test_a_further_file_that_is_pinned_is_opened_by_its_sha256_and_by_no_other(tmp_path: Path):
    root, paths = tmp_path / "pipeline", [Path("one"), Path("two/630k.pt")]
    tiny_clap.clap(hop_length=320, max_length_s=1.2).save(root / paths[0])
    (root / "two").mkdir()
    file = tiny_laion.write(root / paths[1], tiny_laion.state(tiny_laion.model()))
    torch.save(torch.load(file, weights_only=False) | {"made": Path("by")}, file)
    with pytest.raises(SoundjudgeError, match=r"pathlib.*the sha256 beside its path in params"):
        checkpoints.load_encoder(ClapSource(file), "cpu")
    pinned = ClapSource(paths[1], sha256=artifacts.sha256(file))
    sources = regression(extra_encoders=(pinned,)).claps(ClapSource(paths[0]))
    placed = [replace(source, path=root / source.path) for source in sources]
    claps = [checkpoints.load_encoder(source, "cpu") for source in placed]
    names = [clap.name() for clap in claps]
    regressor.save_regressor(root / "regress", fit_machine(claps), sources, names)
    references = read_member(root / "regress").encoders["clap"]
    assert [reference.sha256 for reference in references] == [None, pinned.sha256]
    assert [reference.backend for reference in references] == ["transformers", "transformers"]

    loader = members.MemberLoader(root=root, device=torch.device("cpu"), window_seconds=1.0)
    raw = raw_scores(
        [loader.member(root / "regress")], WAVES, TEXTS, PredictionConfig(window_seconds=1.0)
    )
    raw = raw[:, 0]
    package.build_judge(
        tmp_path / "judge",
        ensemble=ALONE,
        checkpoints={"regress": root / "regress"},
        root=root,
        window_seconds=1.0,
        packaging=tiny_judge.PACKAGING,
        report="# Agreement",
    )
    judge = Judge.from_pretrained(tmp_path / "judge", "cpu")  # it holds safetensors, not that file
    np.testing.assert_allclose(judge.score_waves(WAVES, TEXTS, 6), raw.clip(0, 10), atol=1e-4)
    with file.open("ab") as end:
        end.write(b"another")
    again = members.MemberLoader(root=root, device=torch.device("cpu"), window_seconds=1.0)
    with pytest.raises(SoundjudgeError, match=f"{pinned.sha256} is asked for"):
        again.member(root / "regress")


def test_a_machine_that_lacks_an_array_is_refused(tmp_path: Path):
    regressor.save_regressor(tmp_path, fit_machine([Ears()]), [ClapSource(Path("a"))], ["ears@1"])
    stored = artifacts.load_tensors(tmp_path / "model.safetensors")
    del stored["dimensions"]
    artifacts.save_tensors(tmp_path / "model.safetensors", stored)
    with pytest.raises(SoundjudgeError, match="does not hold sounds, texts, dimensions, weights"):
        regressor.load_regressor(tmp_path, [Ears()])


def test_a_regressor_that_names_no_clap_is_refused_with_a_remedy(tmp_path: Path):
    regressor.save_regressor(tmp_path, fit_machine([Ears()]), [ClapSource(Path("a"))], ["ears@1"])
    write_member(tmp_path, replace(read_member(tmp_path), encoders={}))
    loader = members.MemberLoader(root=tmp_path, device=torch.device("cpu"), window_seconds=1.0)
    with pytest.raises(SoundjudgeError, match="regress does not say where its clap is: train it"):
        loader.member(tmp_path)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path):
    write_member(tmp_path, MemberRecord(kind="lalm"))
    with pytest.raises(SoundjudgeError, match="'lalm', not 'regress'"):
        regressor.load_regressor(tmp_path, [tiny_clap.clap()])


@pytest.mark.parametrize(
    "changes", [{"c": 0.0}, {"epsilon": -0.1}, {"gamma": 0.0}, {"batch_size": 0}]
)
def test_impossible_settings_are_refused_by_name(changes):
    with pytest.raises(SoundjudgeError, match=next(iter(changes))):
        regression(**changes)
