"""bf16 as a choice of scoring: near the scores in fp32, under another id, and said so."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_judge
import torch
from typer.testing import CliRunner

from soundjudge import Judge
from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.judge import Precision
from soundjudge.scoring.judge.loading import load_judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "checkpoints/judge", root)


def load(folder: Path, precision: Precision) -> Judge:
    return Judge.from_pretrained(folder, device="cpu", precision=precision)


def run(*words: object) -> object:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.slow
def test_bf16_gives_other_scores_that_lie_near_those_in_fp32(folder):
    waves, texts = tiny_judge.pairs(12)
    exact = np.array(load(folder, "fp32").score_waves(waves, texts, 4))
    rounded = load(folder, "bf16")
    scores = np.array(rounded.score_waves(waves, texts, 4))
    assert 1e-4 < np.abs(scores - exact).max() < 0.3 < exact.std()
    alone = [rounded.score_waves([w], [t], 1)[0] for w, t in zip(waves, texts, strict=True)]
    assert alone == pytest.approx(scores, abs=0.1)  # sums in bf16 depend on a batch's shape


def test_every_member_stays_near_its_scores_in_fp32(folder):
    waves, texts = tiny_judge.pairs(6)
    sounds = [(wave, 16_000) for wave in waves]
    pairs = [load(folder, p).score_pairs(sounds, texts, details=True) for p in ("fp32", "bf16")]
    for exact, rounded in zip(*pairs, strict=True):
        assert list(exact.members.values()) == pytest.approx(list(rounded.members.values()), abs=1)


def test_front_ends_stay_in_fp32(folder, monkeypatch):
    spectrograms: dict[str, list[torch.Tensor]] = {}
    for precision in ("fp32", "bf16"):
        judge = load(folder, precision)
        made = spectrograms[precision] = []
        clap = judge.members["clapscore"].model
        clap.log_mel.register_forward_hook(lambda *call, made=made: made.append(call[-1]))
        judge.score_waves(*tiny_judge.pairs(3), 3)
    assert spectrograms["bf16"] and spectrograms["bf16"][0].dtype == torch.float32
    for one, other in zip(*spectrograms.values(), strict=True):
        assert torch.equal(one, other)


def test_a_score_in_bf16_has_an_id_of_its_own(folder):
    exact, rounded = load(folder, "fp32"), load(folder, "bf16")
    assert rounded.score_id == f"{exact.score_id}-bf16"
    assert rounded.manifest.score_id == exact.score_id == exact.manifest.score_id


def test_a_device_without_bf16_is_refused(folder):
    loaded = load_judge(folder, "cpu", None, True, {})
    object.__setattr__(loaded, "device", torch.device("mps"))
    with pytest.raises(SoundjudgeError, match="there is no bf16 on mps: use fp32"):
        Judge(loaded, "bf16")


@pytest.mark.parametrize("is_native", [True, False])
def test_the_command_says_that_its_scores_are_others(folder, tmp_path, monkeypatch, is_native):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: is_native)
    tiny_judge.write_sound(tmp_path / "dog.wav")
    words = ["score", tmp_path / "dog.wav", "a dog", "--model", folder, "--device", "cpu", "--json"]
    exact, rounded = run(*words), run(*words, "--precision", "bf16")
    assert rounded.exit_code == 0, rounded.output
    one, other = json.loads(exact.stdout), json.loads(rounded.stdout)
    assert (one["precision"], other["precision"]) == ("fp32", "bf16")
    assert other["score_id"] == f"{one['score_id']}-bf16"
    assert f"these are not the scores of {one['score_id']}, from" in rounded.stderr
    assert ("no products of bf16" in rounded.stderr) is not is_native
    assert "bf16" not in exact.stderr


def test_a_table_in_bf16_is_not_continued_in_fp32(folder, tmp_path):
    tiny_judge.write_sound(tmp_path / "dog.wav")
    table = tmp_path / "pairs.csv"
    table.write_text("file,text\ndog.wav,a dog\ndog.wav,rain\n")
    words = ["score-table", table, "-o", tmp_path / "out.csv", "--model", folder]
    scored = run(*words, "--precision", "bf16")
    assert scored.exit_code == 0 and "-bf16: " in scored.stderr
    refused = run(*words, "--resume")
    assert refused.exit_code == 2 and "this judge gives" in refused.stderr
