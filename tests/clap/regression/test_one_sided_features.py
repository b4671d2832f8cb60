"""Encoders of sound or of text alone beside a CLAP in regress, up to the judge."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_judge
import tiny_one_sided
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from test_regressor import ALONE, TEXTS, WAVES, fit_machine, regression, units

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import PredictionConfig, raw_scores


def test_of_one_side_alone_its_embedding_is_the_feature():
    one = np.ones((2, 1), np.float32)
    a, t = units(2, 1, 3), units(2, 2, 3)
    ears, words = units(2, 3, 5), units(2, 4, 2)
    widths = kernel_machine.embedding_widths([(5, 1), 3, (1, 2)])
    assert widths.tolist() == [[5, 1], [3, 3], [1, 2]]
    features = kernel_machine.pair_features(
        np.hstack([ears, a, one]), np.hstack([one, t, words]), widths
    )
    expected = np.hstack([ears, kernel_machine.pair_features(a, t, [3]), words])
    np.testing.assert_array_equal(features, expected)


def test_claps_alone_are_stored_as_before():
    assert kernel_machine.embedding_widths([3, 5]).tolist() == [3, 5]


def test_scores_equal_those_of_scikit_learn_on_these_features():
    one = np.ones((40, 1), np.float32)
    a, t, ears, words = (units(40, seed, width) for seed, width in ((1, 6), (2, 6), (3, 5), (4, 4)))
    scores = 5 + 4 * (a * t).sum(1).astype(np.float64)
    sounds, texts = np.hstack([a, ears, one]), np.hstack([t, one, words])
    machine = kernel_machine.fit_kernel_machine(
        sounds[:30], texts[:30], [6, (5, 1), (1, 4)], scores[:30], regression()
    )
    features = np.hstack([kernel_machine.pair_features(a, t, [6]), ears, words])
    pipe = make_pipeline(StandardScaler(), SVR(C=0.5, epsilon=0.08))
    pipe.fit(features[:30], (scores[:30] - 5) / 5)
    expected = 5 * pipe.predict(features[30:]) + 5
    np.testing.assert_allclose(machine(sounds[30:], texts[30:]), expected, rtol=0, atol=1e-6)


def test_in_place_of_encoders_clap_they_are_refused(tmp_path):
    tiny_one_sided.write_whisper(tmp_path)
    whisper = checkpoints.load_encoder(ClapSource(tmp_path), "cpu")
    with pytest.raises(SoundjudgeError, match=r"encoders\.clap is whisper-.*name a CLAP there"):
        regressor.fit_regressor([whisper], None, [], [], np.zeros(0), regression())


def test_a_judge_holds_them_and_scores_as_its_member_does(tmp_path):
    root, paths = tmp_path / "pipeline", [Path("one"), Path("ears"), Path("words")]
    tiny_clap.clap(hop_length=320, max_length_s=1.2).save(root / paths[0])
    for path, write in (
        (paths[1], tiny_one_sided.write_whisper),
        (paths[2], tiny_one_sided.write_sentence),
    ):
        (root / path).mkdir()
        write(root / path)
    sources = regression(extra_encoders=tuple(paths[1:])).claps(ClapSource(paths[0]))
    encoders = [checkpoints.load_encoder(ClapSource(root / s.path), "cpu") for s in sources]
    names = [encoder.name() for encoder in encoders]
    regressor.save_regressor(root / "regress", fit_machine(encoders), sources, names)

    loader = members.MemberLoader(root=root, device=torch.device("cpu"), window_seconds=1.0)
    member = loader.member(root / "regress")
    raw = raw_scores([member], WAVES, TEXTS, PredictionConfig(window_seconds=1.0))[:, 0]
    package.build_judge(
        tmp_path / "judge",
        ensemble=ALONE,
        checkpoints={"regress": root / "regress"},
        root=root,
        window_seconds=1.0,
        packaging=tiny_judge.PACKAGING,
        report="# Agreement",
    )
    judge = Judge.from_pretrained(tmp_path / "judge", "cpu")
    np.testing.assert_allclose(judge.score_waves(WAVES, TEXTS, 6), raw.clip(0, 10), atol=1e-4)
    with pytest.raises(SoundjudgeError, match=r"fitted on CLAPs of \[\[8, 8\], \[16, 1\], \[1, 16"):
        regressor.load_regressor(root / "regress", [encoders[0], encoders[2], encoders[1]])
