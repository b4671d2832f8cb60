"""Members of a judge with one captioner read a batch once, and score as each would alone."""

import numpy as np
import pytest
import tiny_judge
import tiny_lalm
import torch

from soundjudge.model.joint import joint_lalm
from soundjudge.model.joint.joint_lalm import JointLalm
from soundjudge.model.lalm import checkpoint
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.likelihood import LikelihoodConfig, load_likelihood
from soundjudge.scoring.members import members, predict

CPU = torch.device("cpu")
CONFIG = LikelihoodConfig(num_references=2, seed=0)
NAMES = ("likelihood", "joint")


@pytest.fixture
def root(tmp_path):
    """The tiny judge's checkpoints, and a likelihood and a joint member of one captioner."""
    tiny_judge.write_checkpoints(tmp_path)
    write_captioner(tmp_path, "one", seed=3)
    return tmp_path


def write_captioner(root, lalm, seed):
    sounds = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(seed))
    captioner = root / "likelihood"
    references = dict(zip("ab", sounds, strict=True))
    tiny_lalm.save_likelihood(captioner, root / tiny_judge.CHECKPOINTS[lalm], references, CONFIG)
    own = checkpoint.load_lalm(root / tiny_judge.CHECKPOINTS["two"])
    joint = JointLalm(own, load_likelihood(captioner, CPU), captioner)
    torch.nn.init.ones_(joint.offset.mlp.mlp[-1].weight)
    joint_lalm.save(root / "joint", joint, "checkpoints/encoders/beats.pt", {})


def load(root, names=NAMES):
    loader = members.MemberLoader(root=root, device=CPU, window_seconds=tiny_judge.SECONDS)
    return loader, [loader.member(root / name) for name in names]


def score(loaded):
    return predict.raw_scores(loaded, *tiny_judge.pairs(9), tiny_judge.PREDICTION)


def test_a_batch_is_read_once_for_all_and_each_scores_as_it_would_alone(root, monkeypatch):
    alone = np.hstack([score(load(root, [name])[1]) for name in NAMES])
    read, calls = likelihood.text_log_probs, []
    monkeypatch.setattr(likelihood, "text_log_probs", lambda *a: calls.append(1) or read(*a))
    score(load(root, NAMES[:1])[1])
    once = len(calls)
    assert np.array_equal(score(load(root)[1]), alone)
    assert len(calls) == 2 * once > 0


def test_captioners_of_other_references_or_weights_are_not_shared(root, tmp_path):
    loader, (first, joint) = load(root)
    assert joint.model.captioner is first.model
    for lalm, seed in (("one", 4), ("two", 3)):
        write_captioner(root, lalm, seed)
        other = loader.member(root / "likelihood")
        assert other.model is not first.model


def test_the_same_texts_with_other_sounds_are_read_anew(root):
    _, (member, _) = load(root)
    texts = ["a dog", "rain"]
    one, other = torch.randn(2, 2, 4, 16, generator=torch.Generator().manual_seed(9))
    alone = load_likelihood(root / "likelihood", CPU)
    with torch.no_grad():
        first, second = (member.model.evidence(sounds, texts) for sounds in (one, other))
        assert torch.equal(second, alone.evidence(other, texts))
    assert not torch.equal(first, second)
