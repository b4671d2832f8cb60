"""The design of a listening test: counts, nested panels, and what they forbid."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import panel
from soundjudge.labels.ratings.rating_arrays import rating_arrays


def arrays(*rows):
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id"])
    return rating_arrays(frame.assign(score=5.0))


def test_a_panel_is_counted():
    design = panel.describe_panel(
        arrays(("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("b", "2"), ("c", "1"))
    )
    assert (design.ratings, design.listeners, design.pairs, design.groups) == (6, 3, 3, 1)
    assert (design.ratings_per_listener, design.ratings_per_pair) == (2, 2)


def test_codes_that_no_rating_has_count_nowhere():
    every = arrays(("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "3"))
    design = panel.describe_panel(every.where(every.pair < 2))
    assert (design.listeners, design.pairs, design.groups) == (2, 2, 1)


def test_groups_are_the_same_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    rows = [(f"{rng.integers(40)}", f"{rng.integers(40)}") for _ in range(45)]
    whole = panel.describe_panel(arrays(*rows)).groups
    assert whole > 3
    for block in (1, 7):
        monkeypatch.setattr(panel, "BLOCK", block)
        assert panel.describe_panel(arrays(*rows)).groups == whole


def test_groups_of_pairs_that_no_listener_connects_are_nested_and_said():
    nested = arrays(*((f"{g}{p}", f"{g}-{who}") for g in "xy" for p in range(12) for who in "12"))
    notes = list(panel.describe_panel(nested).notes())
    assert len(notes) == 1
    assert notes[0].startswith("nested panels: no listener connects the 2 groups of pairs")
    crossed = arrays(*((str(p), who) for p in range(12) for who in "12"))
    assert not list(panel.describe_panel(crossed).notes())


@pytest.mark.parametrize(("count", "told"), [(9, True), (10, False)])
def test_few_ratings_per_listener_are_told_with_the_consequence(count, told):
    notes = list(panel.describe_panel(arrays(*((str(p), "1") for p in range(count)))).notes())
    assert len(notes) == told
    assert not told or "z-scores (SPO) may be worse than mean ratings" in notes[0]


def test_a_listener_for_every_rating_is_an_error():
    with pytest.raises(SoundjudgeError, match="here: each of the 3 ratings .* give all ratings of"):
        panel.check_listeners(arrays(("a", "1"), ("a", "2"), ("b", "3")), "here")
    rated = arrays(("a", "1"), ("a", "2"), ("b", "2"))
    panel.check_listeners(replace(rated, score=np.array([5.0, 5.0, 6.0])), "here")


@pytest.mark.parametrize("score", [[5, 5, 5, 5, 5], [0, 0, 0, 0, 9], [1, 7, 1, 7, 2]])
def test_listeners_who_tell_no_pairs_apart_are_an_error_and_no_zeros(score):
    rated = arrays(("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("b", "3"))
    with pytest.raises(SoundjudgeError, match="here: every listener gives one score to all of"):
        panel.check_listeners(replace(rated, score=np.array(score, dtype=float)), "here")


def test_one_rating_alone_needs_no_contrast():
    panel.check_listeners(arrays(("a", "1")), "here")
