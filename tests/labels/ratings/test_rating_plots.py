"""The pictures of screening: what they count, and that the same ratings are the same bytes."""

import numpy as np
import pandas as pd
import pytest

from soundjudge.labels.ratings import listener_indicators, rating_plots, screening
from soundjudge.labels.ratings.config import Screening
from soundjudge.reporting import plotting

NOTE = "simulated ratings"


def panel(pairs=40, seed=0):
    """Ratings of two splits by four of ten listeners each; l9 answers at random, l8 always 5."""
    rng = np.random.default_rng(seed)
    rows = []
    for split in ("train", "validation"):
        for p, truth in enumerate(rng.uniform(0, 10, size=pairs)):
            for who in rng.permutation(10)[:4]:
                felt = {9: rng.uniform(0, 10), 8: 5.0}.get(who, truth + rng.normal(0, 1.2))
                score = float(np.clip(np.rint(felt), 0, 10))
                rows.append((f"{split}{p}.wav", f"text {p}", f"l{who}", score, split))
    columns = ["wav_file_name", "text", "listener_id", "score", "split"]
    return pd.DataFrame(rows, columns=columns)


def rules(method="both"):
    return Screening(method=method, tolerance=2, straightline_min_ratings=5)


NUMBERS = {
    "train": {"icc_before": 0.4, "icc_after": 0.6, "ratings": 8},
    "validation": {"icc_before": -0.2, "ratings": 8},
}


def plot(name, screened):
    frame = panel()
    if name == "ratings":
        return rating_plots.plot_ratings(
            frame, screening.screen_ratings(frame, screened)[1], screened, NOTE
        )
    if name == "listeners":
        return rating_plots.plot_listeners(
            frame, listener_indicators.listener_indicators(frame, screened), NOTE
        )
    return rating_plots.plot_agreement(NUMBERS, NOTE)


def heights(axes):
    """The bars of stacked steps, one array a layer."""
    return [patch.get_data().values - patch.get_data().baseline for patch in axes.patches]


@pytest.mark.parametrize("name", ["ratings", "listeners", "agreement"])
@pytest.mark.slow
def test_the_same_ratings_are_the_same_bytes_and_the_note_stands_on_the_picture(tmp_path, name):
    saved = []
    for n in range(2):
        figure = plot(name, rules())
        assert figure.get_suptitle().endswith(f"({NOTE})")
        plotting.save_figure(figure, tmp_path / f"{n}.png")
        saved.append((tmp_path / f"{n}.png").read_bytes())
    assert saved[0][:4] == b"\x89PNG"
    assert saved[0] == saved[1]


def test_kept_and_dropped_are_counted_at_their_scores():
    frame, screened = panel(), rules()
    by_score = plot("ratings", screened).axes[0]
    kept, dropped = screening.screen_ratings(frame, screened)
    expected = [[int((kept["score"] == score).sum()) for score in range(11)]]
    for reason in sorted(set(dropped["reason"])):
        part = dropped.loc[dropped["reason"] == reason, "score"]
        expected.append([int((part == score).sum()) for score in range(11)])
    assert [list(layer[::2]) for layer in heights(by_score)] == expected
    assert all((layer[1::2] == 0).all() for layer in heights(by_score))  # nobody gave half points
    assert len(expected) >= 3


def test_without_screening_by_ratings_no_tolerance_is_drawn():
    with_tolerance = plot("ratings", rules("both")).axes[1]
    without = plot("ratings", rules("none")).axes[1]
    assert (len(with_tolerance.lines), len(without.lines)) == (1, 0)


def test_every_listener_is_counted_once_a_split():
    by_count = plot("listeners", rules()).axes[0]
    assert sum(layer.sum() for layer in heights(by_count)) == 2 * 10
    assert len(heights(by_count)) >= 2  # kept, and some who are not


def test_habits_are_those_of_a_loop_over_ratings():
    frame = panel(pairs=12)
    habits = rating_plots.listener_habits(frame).set_index(["listener_id", "split"])
    for (who, split), own in frame.groupby(["listener_id", "split"]):
        distances = []
        for row in own.itertuples():
            pair = frame[(frame["wav_file_name"] == row.wav_file_name) & (frame["split"] == split)]
            others = pair.loc[pair["listener_id"] != who, "score"]
            distances.append(row.score - others.mean())
        assert habits.loc[(who, split), "bias"] == pytest.approx(np.mean(distances))
        if len(own) > 1:
            assert habits.loc[(who, split), "scale"] == pytest.approx(own["score"].std(ddof=1))
    assert len(habits) == frame.groupby("split")["listener_id"].nunique().sum()


def test_a_listener_without_others_has_no_bias():
    rows = [("0.wav", "t", "a", 1.0, "train"), ("1.wav", "t", "a", 3.0, "train")]
    frame = pd.DataFrame(rows, columns=["wav_file_name", "text", "listener_id", "score", "split"])
    (row,) = rating_plots.listener_habits(frame).itertuples()
    assert np.isnan(row.bias)
    assert row.scale == pytest.approx(2**0.5)


def test_agreement_is_drawn_where_it_was_measured():
    train, validation = rating_plots.plot_agreement(NUMBERS, NOTE).axes
    top = len(rating_plots.MEASURES) - 1
    of_train, of_validation = (
        [xy.tolist() for line in axes.lines if np.isfinite(xy := line.get_xydata()).all()]
        for axes in (train, validation)
    )  # nothing is drawn of NaN
    assert [[0.4, top], [0.6, top]] in of_train
    assert of_validation == [[[-0.2, top]]]
    assert validation.get_xlim()[0] < -0.2
