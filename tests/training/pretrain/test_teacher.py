"""The captioner's likelihood beside CLAP in what teaches `pretrain`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_lalm
import tiny_training
import torch
import yaml
from repository import run_stage
from scipy import stats

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.model.likelihood.likelihood import Likelihood
from soundjudge.runtime import artifacts
from soundjudge.training.pretrain.pretrain import PretrainConfig
from soundjudge.training.pretrain.teacher import LikelihoodTeacher, blend_likelihood

CONFIG = PretrainConfig(
    llm=tiny_training.FULL,
    list_size=4,
    loss="listnet",
    temperature=1.0,
    eval_batch_size=5,
    optimization=tiny_training.OPTIMIZATION,
    captions_per_clip=None,
    train_splits=("train",),
    validation_splits=("validation",),
)


def blend(folder: Path, labels: pd.DataFrame, **settings: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Blended labels, and the likelihood of each pair, asked one by one."""
    store = tiny_training.clips(folder / "prepared")
    clips = tables.read_table(folder / "prepared/clips.parquet", tables.CLIPS)
    clips.loc[clips["clip_id"] == "audiocaps/c3_0", "corpus"] = tables.SILENCE_CORPUS
    features = tiny_training.features(folder / "features", store.ids())
    model = tiny_lalm.lalm(folder)
    teacher = LikelihoodTeacher(num_references=2, **settings)
    data = tiny_training.captions(), clips, features, model
    config = replace(CONFIG, likelihood=teacher)
    blended = blend_likelihood(labels, *data, config)
    captioned = [name for name in clips["clip_id"][clips["split"] == "train"] if "audio" in name]
    means = np.stack([features[name].mean(axis=0) for name in captioned])
    first = np.random.default_rng(teacher.seed).permutation(len(captioned))[0]
    farthest = np.linalg.norm((means - means[first]) / means.std(axis=0), axis=1).argmax()
    references = torch.from_numpy(features.gather([captioned[first], captioned[farthest]])).float()
    with torch.no_grad():
        floor = Likelihood(model, references, teacher).lowest_prior(
            [tiny_training.TEXTS[i] for i in range(4)]
        )
        member = Likelihood(model, references, teacher, floor)
        likely = [
            float(
                member.scores(
                    torch.from_numpy(features[row.clip_id])[None].float(),
                    [tiny_training.TEXTS[int(row.caption_id[1:])]],
                )
            )
            for row in labels.itertuples()
        ]
    return blended, np.array(likely)


def test_labels_are_the_weighted_sum_of_standardized_scores_on_the_scale_of_clap(tmp_path):
    labels = tiny_training.pseudo_labels()
    labels = labels[labels["clip_id"] != "audiocaps/c3_0"].reset_index(drop=True)
    blended, likely = blend(tmp_path, labels, weight=0.25, alpha=0.7)
    clap = labels["clap_score"].to_numpy()
    mixed = stats.zscore(0.75 * stats.zscore(clap) + 0.25 * stats.zscore(likely))
    assert np.std(likely) > 1e-3
    np.testing.assert_allclose(blended["clap_score"], mixed * clap.std() + clap.mean(), atol=1e-5)
    pd.testing.assert_frame_equal(
        blended.drop(columns="clap_score"), labels.drop(columns="clap_score")
    )


def test_without_weight_clap_teaches_alone_and_silence_keeps_the_lowest_label(tmp_path):
    labels = tiny_training.pseudo_labels()
    silent = (labels["clip_id"] == "audiocaps/c3_0").to_numpy()
    labels.loc[silent, "clap_score"] = labels["clap_score"].min()
    blended, _ = blend(tmp_path / "alone", labels, weight=0.0)
    np.testing.assert_allclose(blended["clap_score"], labels["clap_score"], atol=1e-12)
    blended, likely = blend(tmp_path / "likelihood", labels, weight=1.0)
    assert blended["clap_score"][silent].nunique() == 1
    assert blended["clap_score"][silent].max() <= blended["clap_score"].min()
    ranks = stats.spearmanr(blended["clap_score"][~silent], likely[~silent]).statistic
    assert ranks == pytest.approx(1)


def test_labels_that_are_all_one_or_of_an_older_preparation_are_refused(tmp_path):
    labels = tiny_training.pseudo_labels()
    with pytest.raises(SoundjudgeError, match="one CLAPScore or one likelihood"):
        blend(tmp_path / "one", labels.assign(clap_score=0.5), weight=0.5)
    with pytest.raises(SoundjudgeError, match="older preparation"):
        blend(tmp_path / "older", labels.assign(caption_id="k99"), weight=0.5)


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_a_share_outside_of_0_and_1_is_refused(weight):
    with pytest.raises(SoundjudgeError, match="weight"):
        LikelihoodTeacher(weight=weight)


@pytest.mark.slow
def test_the_stage_learns_other_labels_with_the_likelihood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_training.repository(tmp_path)
    run_stage("caption")
    checkpoints = []
    for likelihood in (None, {"weight": 0.9, "num_references": 2}):
        params = yaml.safe_load(Path("params.yaml").read_text())
        params["pretrain"]["training"]["likelihood"] = likelihood
        Path("params.yaml").write_text(yaml.safe_dump(params))
        run_stage("pretrain", "captioned")
        checkpoints.append(artifacts.sha256(Path("checkpoints/pretrain/captioned")))
    torch.use_deterministic_algorithms(False)
    assert checkpoints[0] != checkpoints[1]
