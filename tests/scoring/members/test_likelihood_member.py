"""A captioner as a member: made by its stage, scored, and packed into a judge that scores alike."""

import numpy as np
import pytest
import tiny_judge
import tiny_lalm
import tiny_training
import torch
import yaml
from repository import run_stage

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm import checkpoint
from soundjudge.model.likelihood import likelihood
from soundjudge.runtime import artifacts
from soundjudge.scoring.members import members, predict

CHECKPOINTS = {"one": "checkpoints/finetune/one", "captioner": "checkpoints/likelihood"}
CONFIG = likelihood.LikelihoodConfig(num_references=2, alpha=0.5, length_exponent=0.5, seed=0)


def project(root):
    """The tiny judge's checkpoints, and a captioner of the model `one` with random references."""
    tiny_judge.write_checkpoints(root)
    sounds = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(3))
    references = {"audiocaps/a": sounds[0], "audiocaps/b": sounds[1]}
    tiny_lalm.save_likelihood(
        root / CHECKPOINTS["captioner"], root / CHECKPOINTS["one"], references, CONFIG
    )
    return root


def loaded(root):
    loader = members.MemberLoader(
        root=root, device=torch.device("cpu"), window_seconds=tiny_judge.SECONDS
    )
    return loader, [loader.member(root / path) for path in CHECKPOINTS.values()]


def test_the_member_brings_the_likelihood_of_encoded_sounds_to_the_scale_of_the_ratings(tmp_path):
    loader, (lalm, captioner) = loaded(project(tmp_path))
    waves, texts = [tiny_judge.noise(1.0, n) for n in range(5)], tiny_judge.pairs(5)[1]
    model = likelihood.load_likelihood(tmp_path / CHECKPOINTS["captioner"], torch.device("cpu"))
    with torch.no_grad():
        features = captioner.encoder.features(waves, model.frontend)
        expected = (model.scores(features, texts).double() + 1) * 5
    raw = predict.raw_scores([captioner], waves, texts, tiny_judge.PREDICTION)[:, 0]
    assert raw == pytest.approx(expected.numpy(), abs=1e-5)
    assert raw.std() > 0.01
    assert len(loader.encoders) == 1  # both listen with one encoder


def test_scores_do_not_depend_on_the_size_of_the_batches(tmp_path):
    _, both = loaded(project(tmp_path))
    waves, texts = tiny_judge.pairs(9)
    alone, together = (
        predict.raw_scores(
            both, waves, texts, predict.PredictionConfig(window_seconds=1.2, batch_size=size)
        )
        for size in (1, 32)
    )
    assert alone == pytest.approx(together, abs=1e-4)


def test_a_judge_holds_the_captioner_and_repeats_its_scores_elsewhere(tmp_path):
    root = project(tmp_path / "project")
    tiny_judge.check_packaging(loaded(root)[1], CHECKPOINTS, (0.25, 0.75), root, tmp_path / "judge")
    assert "| captioner | likelihood | 0.750 |" in (tmp_path / "judge/README.md").read_text()
    record = artifacts.read_json(tmp_path / "judge/members/captioner/member.json")
    assert record["encoders"]["audio"][0]["path"] == "encoders/audio"
    assert [path.name for path in (tmp_path / "judge/encoders").iterdir()] == ["audio"]


def test_the_stage_selects_references_among_captioned_training_clips(in_folder):
    clips = tiny_training.clips(in_folder / "data/prepared").table
    (in_folder / "data/features").mkdir()
    store = tiny_training.features(in_folder / "data/features", clips["clip_id"].tolist())
    captioner = tiny_lalm.lalm(in_folder / "llm")
    checkpoint.save_lalm(in_folder / "checkpoints/caption", captioner, "beats.pt", {})
    values = {"num_references": 4, "alpha": 0.5, "length_exponent": 0.5, "seed": 1}
    written = {"device": "cpu", "likelihood": values, "caption": {"train_splits": ["train"]}}
    (in_folder / "params.yaml").write_text(yaml.safe_dump(written))
    run_stage("likelihood")

    folder = in_folder / "checkpoints/likelihood"
    record = artifacts.read_json(folder / "member.json")
    # Four captioned clips are in train; rated ones are no candidates.
    assert sorted(record["settings"]["references"]) == [f"audiocaps/c{n}_0" for n in range(4)]
    member = likelihood.load_likelihood(folder, torch.device("cpu"))
    for clip, features in zip(record["settings"]["references"], member.references, strict=True):
        assert np.array_equal(store[clip], features.numpy())
    first = artifacts.sha256(folder)
    run_stage("likelihood")
    assert artifacts.sha256(folder) == first

    written["likelihood"]["num_references"] = 5
    (in_folder / "params.yaml").write_text(yaml.safe_dump(written))
    with pytest.raises(SoundjudgeError, match="there are 4 captioned clips"):
        run_stage("likelihood")
