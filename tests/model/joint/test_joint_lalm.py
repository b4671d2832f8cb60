"""The language model and its captioner in one score: by hand, as a member, and in a judge."""

import numpy as np
import pytest
import tiny_judge
import tiny_lalm
import torch
from tiny_lalm import features

from soundjudge.errors import SoundjudgeError
from soundjudge.model.joint import joint_lalm
from soundjudge.model.joint.joint_lalm import JointLalm
from soundjudge.model.joint.offset import LikelihoodOffset
from soundjudge.model.lalm import checkpoint
from soundjudge.model.likelihood.likelihood import LikelihoodConfig, load_likelihood
from soundjudge.runtime import artifacts
from soundjudge.scoring.members import members, predict

PMI = LikelihoodConfig(num_references=2, alpha=0.5, length_exponent=0.5, seed=0)
CPU = torch.device("cpu")
JOINT, CAPTIONER = "checkpoints/finetune/joint", "checkpoints/likelihood"
BEATS = "checkpoints/encoders/beats.pt"


def trained_offset():
    """An offset with random weights and a scale of its inputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        offset = LikelihoodOffset()
        torch.nn.init.normal_(offset.mlp.mlp[-1].weight)
        spread = torch.randn(50, 4)
        evidence = torch.cat([spread[:, 1:3] - 3, spread[:, 3:].exp() + 2], dim=1)
        offset.standardize_by(spread[:, 0], evidence)
    return offset.eval()


def project(root):
    """The tiny judge's checkpoints, a captioner that is one of them, and a joint member."""
    tiny_judge.write_checkpoints(root)
    sounds = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(3))
    references = {"audiocaps/a": sounds[0], "audiocaps/b": sounds[1]}
    one = root / "checkpoints/finetune/one"
    tiny_lalm.save_likelihood(root / CAPTIONER, one, references, PMI)
    lalm = checkpoint.load_lalm(root / "checkpoints/finetune/two")
    captioner = root / CAPTIONER
    joint = JointLalm(lalm, load_likelihood(captioner, CPU), captioner).eval()
    joint.offset = trained_offset()
    joint_lalm.save(root / JOINT, joint, BEATS, {"best_epoch": 3})
    return joint


def loaded(root):
    loader = members.MemberLoader(root=root, device=CPU, window_seconds=tiny_judge.SECONDS)
    return loader.member(root / JOINT)


def test_an_offset_is_a_network_of_standardized_inputs_added_to_the_score():
    offset = trained_offset()
    scores, evidence = torch.tensor([0.2, -9.0]), torch.tensor([[-3.1, -2.5, 4.0], [-2, -4, 6.0]])
    expected = []
    for score, (own, prior, tokens) in zip(scores.tolist(), evidence.tolist(), strict=True):
        inputs = np.array([score, own, prior, np.log(tokens)])
        values = (inputs - offset.center.numpy()) / offset.scale.numpy()
        values = np.minimum(np.maximum(values, offset.low.numpy()), offset.high.numpy())
        for layer in (m for m in offset.mlp.mlp if isinstance(m, torch.nn.Linear)):
            values = layer.weight.detach().numpy() @ values + layer.bias.detach().numpy()
            values = values if layer.out_features == 1 else np.maximum(values, 0)
        expected.append(score + values[0])
    with torch.no_grad():
        assert offset(scores, evidence).tolist() == pytest.approx(expected, abs=1e-5)


def test_the_scale_is_that_of_the_training_pairs_and_a_constant_input_is_left_alone():
    offset = LikelihoodOffset()
    offset.standardize_by(
        torch.tensor([1.0, 3.0]), torch.tensor([[-1.0, -5.0, 2.0], [-3.0, -5.0, 2.0]])
    )
    log = np.log(2)
    assert offset.center.tolist() == pytest.approx([2, -2, -5, log])
    assert offset.scale.tolist() == [1, 1, 1, 1]
    assert offset.low.tolist() == pytest.approx([-1, -1, 0, 0])
    assert offset.high.tolist() == pytest.approx([1, 1, 0, 0])


def test_before_training_the_joint_score_is_the_language_models_own(tmp_path):
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    checkpoint.save_lalm(tmp_path / "caption", lalm, BEATS, {})
    references = dict(zip("ab", features(2), strict=True))
    tiny_lalm.save_likelihood(tmp_path / "likelihood", tmp_path / "caption", references, PMI)
    captioner = tmp_path / "likelihood"
    joint = JointLalm(lalm, load_likelihood(captioner, CPU), captioner).eval()
    sounds, texts = features(3), ["a dog", "rain", "a car"]
    with torch.no_grad():
        assert torch.equal(joint.scores(sounds, texts), lalm.scores(sounds, texts))


def test_the_member_scores_by_its_language_model_and_its_captioner(tmp_path):
    joint = project(tmp_path)
    member = loaded(tmp_path)
    waves, texts = [tiny_judge.noise(1.0, 20 + n) for n in range(5)], tiny_judge.pairs(5)[1]
    sounds = torch.stack(member.encode_sounds(waves))
    with torch.no_grad():
        own = joint.lalm.scores(sounds, texts)
        expected = joint.offset(own, joint.captioner.evidence(sounds, texts))
        assert (expected - own).std() > 0.01
        scores = member.scores(list(sounds), member.encode_texts(texts))
    assert scores == pytest.approx((expected.double().numpy() + 1) * 5, abs=1e-5)


def test_scores_do_not_depend_on_the_size_of_the_batches_and_repeat_to_the_last_bit(tmp_path):
    project(tmp_path)
    member = loaded(tmp_path)
    alone, together, again = (
        predict.raw_scores(
            [member],
            *tiny_judge.pairs(9),
            predict.PredictionConfig(window_seconds=1.2, batch_size=size),
        )
        for size in (1, 32, 32)
    )
    assert alone == pytest.approx(together, abs=1e-4)
    assert np.array_equal(together, again)


def test_a_judge_holds_all_of_it_and_repeats_its_scores_elsewhere(tmp_path):
    root = tmp_path / "project"
    project(root)
    checkpoints = {"joint": JOINT}
    tiny_judge.check_packaging([loaded(root)], checkpoints, (1.0,), root, tmp_path / "judge")


def test_a_captioner_of_other_features_is_refused(tmp_path):
    project(tmp_path)
    captioner = load_likelihood(tmp_path / CAPTIONER, CPU)
    with pytest.raises(SoundjudgeError, match="take different features"):
        JointLalm(tiny_lalm.lalm(tmp_path / "llm"), captioner, tmp_path / CAPTIONER)


def test_an_offset_that_lacks_a_tensor_is_refused(tmp_path):
    project(tmp_path)
    path = tmp_path / JOINT / joint_lalm.OFFSET
    tensors = artifacts.load_tensors(path)
    del tensors["center"]
    artifacts.save_tensors(path, tensors)
    with pytest.raises(SoundjudgeError, match="center"):
        loaded(tmp_path)


def test_a_member_without_its_offset_is_refused(tmp_path):
    project(tmp_path)
    (tmp_path / JOINT / joint_lalm.OFFSET).unlink()
    with pytest.raises(SoundjudgeError, match=r"no offset\.safetensors: train that member again"):
        loaded(tmp_path)
