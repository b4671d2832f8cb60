"""Pairs to raw scores: windows, batches, and the stage."""

from collections.abc import Sequence

import numpy as np
import pytest

from soundjudge.scoring import predict
from soundjudge.scoring.predict import Prediction, raw_scores, windows

RATE = 16_000


class Loudness:
    """A member whose score is the mean sample plus the length of the text."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def scores(self, waves: Sequence[np.ndarray], texts: Sequence[str]) -> np.ndarray:
        self.batches.append([len(wave) for wave in waves])
        return np.array([w.mean() + len(t) for w, t in zip(waves, texts, strict=True)])


def prediction(window: float = 1.0, batch: int = 3) -> Prediction:
    return Prediction(window_seconds=window, batch_size=batch)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, [(0, 0.4)]),
        (10.0, [(0, 10.0)]),
        (10.9, [(0, 10.0)]),
        (11.0, [(0, 10.0), (10.0, 11.0)]),
        (25.5, [(0, 10.0), (10.0, 20.0), (20.0, 25.5)]),
    ],
)
def test_a_sound_is_heard_in_consecutive_windows_and_a_short_rest_is_left_out(seconds, expected):
    cuts = windows(round(seconds * RATE), 10 * RATE)
    assert [(cut.start / RATE, cut.stop / RATE) for cut in cuts] == expected


def test_window_scores_are_averaged_by_length():
    # windows of 2 s: 2 s of 1.0, then 1 s of 4.0 -> (2 * 1 + 1 * 4) / 3 = 2
    wave = np.concatenate([np.full(2 * RATE, 1.0), np.full(RATE, 4.0)]).astype(np.float32)
    scores = raw_scores([Loudness()], [wave], [""], prediction(window=2.0))
    assert scores.tolist() == [[pytest.approx(2.0)]]


def test_scores_come_back_in_the_order_of_the_pairs_whatever_the_batches():
    waves = [np.full(round(s * RATE), s, dtype=np.float32) for s in (0.9, 0.1, 2.5, 0.5)]
    texts = ["", "x", "xx", "xxx"]
    for batch in (1, 2, 100):
        scores = raw_scores([Loudness()], waves, texts, prediction(batch=batch))
        assert scores[:, 0] == pytest.approx([0.9, 1.1, 4.5, 3.5])


def test_windows_of_one_length_share_a_batch_and_no_batch_is_larger_than_asked():
    member = Loudness()
    waves = [np.zeros(length, dtype=np.float32) for length in (5, 3, 4, 2 * RATE, 1)]
    raw_scores([member], waves, [""] * 5, prediction(batch=2))
    assert member.batches == [[1, 3], [4, 5], [RATE, RATE]]


def test_a_number_that_is_not_finite_is_an_error_and_no_score():
    with pytest.raises(predict.PredictError, match="no finite score for 'a dog'"):
        wave = np.full(10, np.nan, dtype=np.float32)
        raw_scores([Loudness()], [wave], ["a dog"], prediction())


def test_every_sound_needs_a_text():
    with pytest.raises(predict.PredictError, match="1 sounds have 2 texts"):
        raw_scores([Loudness()], [np.zeros(5, dtype=np.float32)], ["a", "b"], prediction())


@pytest.mark.parametrize(("window", "batch"), [(0.5, 1), (10.0, 0)])
def test_settings_that_mean_nothing_are_refused(window, batch):
    with pytest.raises(predict.PredictError):
        prediction(window, batch)
