"""Which encoder of a regressor matters: shuffled features, their table, falls, the figure."""

import numpy as np
import pandas as pd
import pytest
import torch

from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.blocks import block_table
from soundjudge.scoring.evaluation import encoder_importance
from soundjudge.scoring.members import encoder_blocks

PAIRS = pd.DataFrame({"wav_file_name": ["a", "b", "c", "d"], "text": ["NA", "1", "dog", "dog"]})
RATED = PAIRS.assign(average_score=[1.0, 2.0, 3.0, 4.0]).iloc[::-1].reset_index(drop=True)


class Ears:
    """A CLAP of two dimensions that knows loudness and the number of letters."""

    sample_rate, window_seconds, dimensions = 16_000, 1.0, 2

    def name(self) -> str:
        return "ears@1"

    def embed_sounds(self, waves):
        angles = [100 * float(np.abs(wave).mean()) for wave in waves]
        return torch.tensor([[np.cos(a), np.sin(a)] for a in angles], dtype=torch.float32)

    def embed_texts(self, texts):
        angles = [len(text) / 10 for text in texts]
        return torch.tensor([[np.cos(a), np.sin(a)] for a in angles], dtype=torch.float32)


class Clips:
    """Five clips of noise, each louder than the one before."""

    def wave(self, clip_id: str) -> np.ndarray:
        number = int(clip_id[-1])
        noise = np.random.default_rng(number).normal(size=800)
        return (0.005 * (number + 1) * noise).astype(np.float32)


def units(count: int, seed: int, width: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def fit(count: int = 200) -> tuple[kernel_machine.KernelMachine, list, list, np.ndarray]:
    """A machine on two encoders, of which the scores follow the first alone."""
    sounds, texts = (
        [units(count, 1, 4), units(count, 3, 4)],
        [units(count, 2, 4), units(count, 4, 4)],
    )
    scores = 5 + 4 * (sounds[0] * texts[0]).sum(1).astype(np.float64)
    config = kernel_machine.RegressionConfig(c=0.5, epsilon=0.08, gamma="scale", batch_size=4)
    sides = (np.concatenate(side, axis=1) for side in (sounds, texts))
    return kernel_machine.fit_kernel_machine(*sides, [4, 4], scores, config), sounds, texts, scores


def test_the_encoder_that_the_scores_follow_matters_and_the_other_does_not(tmp_path):
    machine, sounds, texts, scores = fit()
    names = [f"{n}.wav" for n in range(len(scores))]
    pairs = pd.DataFrame({"wav_file_name": names, "text": "a"})
    rng = np.random.default_rng(0)
    whole = machine(np.concatenate(sounds, axis=1), np.concatenate(texts, axis=1))
    shuffles = {
        f"{number} clap@{number}#{repeat}": encoder_blocks.shuffled_scores(
            machine, sounds, texts, number, rng
        )
        for number in range(2)
        for repeat in range(3)
    }
    (tmp_path / "regress").mkdir()
    block_table.write_block_table(tmp_path / "regress", pairs, {"score": whole} | shuffles)
    rated = pairs.assign(average_score=scores)
    (member,) = encoder_importance.measure_falls(tmp_path, ["regress", "lalm"], rated).items()
    assert member[0] == "regress"
    first, second = member[1]["0 clap@0"], member[1]["1 clap@1"]
    assert len(first) == len(second) == 3
    assert min(first) > 0.5 > 0.2 > max(second)


def test_with_one_encoder_a_shuffle_moves_whole_scores():
    machine, sounds, texts, scores = fit(60)
    both = [np.concatenate(side, axis=1) for side in (sounds, texts)]
    moved = encoder_blocks.shuffled_scores(machine, both[:1], both[1:], 0, np.random.default_rng(3))
    order = np.random.default_rng(3).permutation(60)
    np.testing.assert_allclose(moved, machine(*both)[order], atol=1e-9)
    assert scores.shape == moved.shape


def test_falls_by_hand(tmp_path):
    scores = {
        "score": np.array([1.0, 2.0, 3.0, 4.0]),
        "0 a#b@1#0": np.array([4.0, 3.0, 2.0, 1.0]),  # SRCC -1
        "0 a#b@1#1": np.array([1.0, 2.0, 3.0, 4.0]),
        "1 a#b@1#0": np.array([2.0, 1.0, 4.0, 3.0]),  # SRCC 1 - 6 * 4 / (4 * 15) = .6
    }
    block_table.write_block_table(tmp_path, PAIRS, scores)
    falls = encoder_importance.measure_falls(tmp_path.parent, [tmp_path.name], RATED)
    expected = {"0 a#b@1": [2.0, 0.0], "1 a#b@1": [pytest.approx(0.4)]}
    assert falls == {tmp_path.name: expected}
    assert encoder_importance.measure_falls(tmp_path / "none", ["x"], RATED) == {}


def test_a_table_of_other_pairs_is_refused_by_its_name(tmp_path):
    block_table.write_block_table(tmp_path, PAIRS.iloc[:3], {"score": np.zeros(3)})
    with pytest.raises(SoundjudgeError, match=r"encoder_blocks\.csv lacks"):
        encoder_importance.measure_falls(tmp_path.parent, [tmp_path.name], RATED)


def test_the_figure_has_a_bar_per_encoder_the_greatest_on_top():
    falls = {
        "regress": {"0 unfused-1a/48k": [0.1, 0.2], "1 msclap-2b/44k": [0.3], "2 x/y": [-0.01]}
    }
    figure = encoder_importance.plot_falls(falls, "simulated ratings")
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["regress: x", "regress: unfused-1a", "regress: msclap-2b"]
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, [-0.01, 0.15, 0.3])


def test_predict_writes_a_column_per_shuffle_and_scores_as_the_member_does(tmp_path):
    ears, clips = Ears(), Clips()
    names, texts = [f"{n}" for n in range(5)], ["a", "a dog", "a dog barks", "rain", "a"]
    pairs = pd.DataFrame({"wav_file_name": names, "text": texts})
    waves = [clips.wave(name) for name in names]
    embeddings = ears.embed_sounds(waves).numpy(), ears.embed_texts(texts).numpy()
    config = kernel_machine.RegressionConfig(c=0.5, epsilon=0.01, gamma="scale", batch_size=2)
    machine = kernel_machine.fit_kernel_machine(*embeddings, [2], np.arange(5.0), config)
    one = regressor.Regressor([ears], machine)
    encoder_blocks.write_blocks(one, clips, pairs, 2, tmp_path)
    table = block_table.read_block_table(tmp_path)
    columns = [f"0 ears@1#{repeat}" for repeat in range(encoder_blocks.REPEATS)]
    assert list(table.columns) == ["wav_file_name", "text", "score", *columns]
    np.testing.assert_allclose(table["score"], one.scores(waves, texts), atol=1e-6)
    for column in columns:
        np.testing.assert_allclose(sorted(table[column]), sorted(table["score"]), atol=1e-6)
    assert any(not np.allclose(table[column], table["score"]) for column in columns)


def test_any_text_survives_the_table(tmp_path):
    texts = ["a\rb", 'say "x", y\n', "\u2028 nan", "\ufeffNA"]
    pairs = PAIRS.assign(text=texts, wav_file_name=["NA", "\ufeffb", "c ", "1"])
    for rows in (pairs, pairs.iloc[1:]):
        block_table.write_block_table(tmp_path, rows, {"score": np.arange(len(rows)) / 2})
        table = block_table.read_block_table(tmp_path)
        assert table[block_table.PAIR].values.tolist() == rows[block_table.PAIR].values.tolist()
        assert table["score"].tolist() == (np.arange(len(rows)) / 2).tolist()
