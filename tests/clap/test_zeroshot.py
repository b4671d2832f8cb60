"""A CLAP as it is, as a member: the stage names it, and the member gives ten times its cosine."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_clap
import tiny_judge
import torch
import yaml
from repository import run_stage

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.members import members, predict
from soundjudge.scoring.members.encodings import Waves

CPU = torch.device("cpu")
CLAP, MEMBER = Path("checkpoints/clap"), Path("checkpoints/zeroshot")


def clap() -> TransformersClap:
    """Random, and the same each time; as long a window as the tiny judge's."""
    return tiny_clap.clap(hop_length=320, max_length_s=tiny_judge.SECONDS)


@pytest.fixture
def stage(in_folder: Path) -> Path:
    """A folder in which the stage has run."""
    clap().save(CLAP)
    Path("params.yaml").write_text(yaml.safe_dump({"zeroshot": {"path": str(CLAP)}}))
    run_stage("zeroshot")
    return in_folder


def loader() -> members.MemberLoader:
    return members.MemberLoader(root=Path(), device=CPU, window_seconds=tiny_judge.SECONDS)


def test_the_member_gives_ten_times_the_cosine_of_the_clap_that_params_name(stage: Path) -> None:
    waves, texts = tiny_judge.pairs(3)  # .3 to 1.1 s, within the window
    (scores,) = predict.raw_scores([loader().member(MEMBER)], waves, texts, tiny_judge.PREDICTION).T
    untuned = clap()
    with torch.no_grad():
        expected = (untuned.embed_sounds(waves) * untuned.embed_texts(texts)).sum(dim=1)
    np.testing.assert_allclose(scores, 10 * expected.numpy(), rtol=1e-5)
    assert len(set(scores.round(3))) == 3


def test_the_stage_writes_the_same_bytes_again_and_no_weights(stage: Path) -> None:
    before = artifacts.sha256(MEMBER)
    run_stage("zeroshot")
    assert artifacts.sha256(MEMBER) == before
    assert [path.name for path in MEMBER.iterdir()] == ["member.json"]


def test_an_encoder_of_sound_alone_is_refused(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("params.yaml").write_text(yaml.safe_dump({"zeroshot": {"path": "w"}}))
    monkeypatch.setattr(checkpoints, "load_encoder", lambda *_: SimpleNamespace(dimensions=(8, 1)))
    with pytest.raises(SoundjudgeError, match=r"zeroshot\.path is w, of sound or of text alone"):
        run_stage("zeroshot")
    assert not MEMBER.exists()


def test_members_of_one_judge_load_and_ask_a_clap_once(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path("checkpoints/other")
    shutil.copytree(MEMBER, other)
    shared = loader()
    both = [shared.member(folder) for folder in (MEMBER, other)]
    asked: list[int] = []
    embed = TransformersClap.embed_sounds

    def count(self: TransformersClap, waves: Waves) -> torch.Tensor:
        asked.append(len(waves))
        return embed(self, waves)

    monkeypatch.setattr(TransformersClap, "embed_sounds", count)
    waves, texts = tiny_judge.pairs(3)
    one, two = predict.raw_scores(both, waves, texts, tiny_judge.PREDICTION).T
    np.testing.assert_array_equal(one, two)
    assert sum(asked) == 3
    alone = predict.raw_scores(
        [loader().member(MEMBER)], waves[::-1], texts[::-1], tiny_judge.PREDICTION
    )[:, 0]
    np.testing.assert_allclose(alone[::-1], one, atol=1e-6)
