"""A judge inside other people's loops: a metric over processes, a reward without a disk."""

import builtins
import importlib
import socket
import subprocess
import sys
from pathlib import Path

import metric_process
import numpy as np
import pytest
import tiny_judge
import torch

import soundjudge.reward
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.judge import Judge

torchmetrics = pytest.importorskip("torchmetrics")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "checkpoints/judge", root)


@pytest.fixture(scope="module")
def judge(folder: Path) -> Judge:
    return Judge.from_pretrained(folder, device="cpu")


def padded() -> tuple[torch.Tensor, list[str], list[int]]:
    """A batch (4, T), its texts, and how much of each sound is no padding."""
    waves, texts = tiny_judge.pairs(4)
    sizes = [len(wave) for wave in waves]
    rows = [torch.from_numpy(wave) for wave in waves]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), texts, sizes


def expected_scores(judge: Judge) -> list[float]:
    waves, texts = tiny_judge.pairs(4)
    return judge.score_pairs(waves, texts, sample_rate=16_000)


def test_the_metric_is_the_mean_of_the_scores_without_the_padding(judge):
    from soundjudge.metric import AlignmentScore

    audio, texts, sizes = padded()
    metric = AlignmentScore(judge)
    metric.update(audio[:3], texts[:3], torch.tensor(sizes[:3]), torch.tensor([16_000] * 3))
    metric.update(audio[3:, None], texts[3:], sizes[3:], 16_000)  # (B, C, T)
    expected = np.mean(expected_scores(judge))
    assert metric.compute().item() == pytest.approx(expected, abs=1e-4)
    assert metric.compute().dtype == torch.float32
    metric = AlignmentScore(judge)
    with (
        pytest.warns(UserWarning, match="before the ``update``"),
        pytest.raises(SoundjudgeError, match="no pair was scored yet"),
    ):
        metric.compute()


def test_a_collection_copies_the_metric_and_not_the_judge(judge):
    from soundjudge.metric import AlignmentScore

    clone = AlignmentScore(judge).clone()
    assert clone.judge is judge
    metrics = torchmetrics.MetricCollection({"alignment": AlignmentScore(judge)})
    audio, texts, sizes = padded()
    metrics.update(audio, texts, sizes, 16_000)
    assert metrics.compute()["alignment"] == pytest.approx(
        np.mean(expected_scores(judge)), abs=1e-4
    )


@pytest.mark.slow
def test_two_processes_compute_one_mean(judge, folder, warm_python, tmp_path):
    audio, texts, sizes = padded()
    batch = tmp_path / "batch.npz"
    np.savez(batch, audio=audio.numpy(), texts=texts, sizes=sizes)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [warm_python, metric_process.__file__, folder, port, batch]
    ranks = [
        subprocess.Popen([*map(str, command), str(rank)], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    printed = [float(rank.communicate(timeout=300)[0]) for rank in ranks]
    assert printed == pytest.approx([np.mean(expected_scores(judge))] * 2, abs=1e-4)


def test_without_torchmetrics_the_remedy_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "soundjudge.metric", raising=False)
    with pytest.raises(SoundjudgeError, match=r"pip install 'soundjudge\[metric\]'"):
        importlib.import_module("soundjudge.metric")


def test_rewards_are_scores_without_gradients_and_without_the_disk(judge, monkeypatch):
    audio, texts, sizes = padded()
    reward = soundjudge.reward.Reward(judge)
    expected = expected_scores(judge)

    def no_disk(*arguments: object, **options: object) -> None:
        raise AssertionError(f"the disk was asked for {arguments}")

    audio.requires_grad_()
    with monkeypatch.context() as patched:
        for owner, name in ((builtins, "open"), (Path, "open")):
            patched.setattr(owner, name, no_disk)
        rewards = reward(audio, texts, 16_000, sizes)
    assert rewards.shape == (4,) and rewards.dtype == torch.float32
    assert not rewards.requires_grad
    assert rewards.tolist() == pytest.approx(expected, abs=1e-4)
    stereo = torch.stack([audio, audio], dim=1).bfloat16()  # (B, 2, T)
    mono = audio.bfloat16().float()
    assert reward(stereo, texts, 16_000, sizes).tolist() == pytest.approx(
        reward(mono, texts, 16_000, sizes).tolist(), abs=1e-4
    )
    assert reward([], [], 16_000).shape == (0,)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sizes": [5] * 3}, "there are 4 sounds and 3 sizes"),
        ({"sizes": [0] * 4}, r"sizes\[0\] is 0: sound 0 has \d+ samples"),
        ({"sizes": [10**9] * 4}, r"sizes\[0\] is 1000000000"),
        ({"sample_rate": [16_000] * 3}, "there are 4 sounds and 3 sample_rates"),
        ({"audio": torch.zeros(9)}, r"audio is \(9,\): give \(B, T\) or \(B, C, T\)"),
        ({"texts": ["a dog"]}, "there are 4 sounds and 1 texts"),
        ({"audio": torch.full((4, 16_000), float("nan"))}, r"sounds\[0\] is"),
    ],
)
def test_what_is_no_batch_is_a_sentence_and_never_a_reward(judge, changes, sentence):
    audio, texts, sizes = padded()
    arguments = {"audio": audio, "texts": texts, "sample_rate": 16_000, "sizes": None} | changes
    with pytest.raises(SoundjudgeError, match=sentence):
        soundjudge.reward.Reward(judge)(**arguments)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_rate_that_a_small_dtype_rounded_is_refused(judge, dtype):
    audio, texts, sizes = padded()
    reward = soundjudge.reward.Reward(judge)
    exact = reward(audio, texts, torch.tensor(16_000, dtype=dtype), sizes)
    assert exact.tolist() == pytest.approx(expected_scores(judge), abs=1e-4)
    for rate in (11_025, 22_050, 44_100):  # 44,100 becomes 44,032 or 44,096
        for rates in (torch.tensor(rate, dtype=dtype), torch.full((4,), rate, dtype=dtype)):
            with pytest.raises(SoundjudgeError, match="16, which rounds: give an integer"):
                reward(audio, texts, rates, sizes)
    with pytest.raises(SoundjudgeError, match="44096 as float16, which rounds"):
        judge.score_pairs([(audio[0].numpy(), np.float16(44_100))], texts[:1])


@pytest.mark.parametrize(
    "sizes", [[1.0, 0.7, 0.9, 1.0], torch.tensor([1.0, 1, 1, 1]), torch.full((4,), 15_999.5)]
)
def test_sizes_that_are_no_counts_of_samples_are_refused(judge, sizes):
    audio, texts, _ = padded()  # SpeechBrain's lengths are shares of the longest
    with pytest.raises(SoundjudgeError, match="give numbers of samples, integers"):
        soundjudge.reward.Reward(judge)(audio, texts, 16_000, sizes)


@pytest.mark.slow
def test_the_mean_does_not_depend_on_the_state_of_torch_or_of_the_metric(judge):
    from soundjudge.metric import AlignmentScore

    audio, texts, sizes = padded()
    expected = pytest.approx(np.mean(expected_scores(judge)), abs=1e-4)
    metric = AlignmentScore(judge)
    metric.set_dtype(torch.bfloat16)
    for _ in range(20):
        metric.update(audio, texts, sizes, 16_000)
    assert metric.compute().item() == expected
    with torch.inference_mode():
        metric = AlignmentScore(judge)
        metric.update(audio, texts, sizes, 16_000)
    metric.update(audio, texts, sizes, 16_000)  # outside of it
    assert metric.compute().item() == expected
