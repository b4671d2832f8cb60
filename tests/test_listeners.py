import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundjudge import artifacts
from soundjudge.data import tables
from soundjudge.labels import listeners
from soundjudge.labels.listeners import GlobalStatistics, LabelError, Screening, Standardization

STAGES = Path(__file__).resolve().parent.parent / "stages"


def ratings(*rows, split="train"):
    """(wav, listener, score) rows as a RATINGS table."""
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    frame = frame.assign(text="t", split=split, model_id=None, score=frame["score"].astype(float))
    return frame[list(tables.RATINGS.columns)].astype({"model_id": "object"})


def screening(tolerance=5.0, method="rating", splits=("train", "validation")):
    return Screening(method=method, tolerance=tolerance, splits=splits)


def naive(frame, tolerance):
    """The published rule, a loop over all pairs of ratings."""
    rows = list(frame[["wav_file_name", "score"]].itertuples(index=False))
    return [
        any(
            j != i
            and b.wav_file_name == a.wav_file_name
            and a.score - tolerance <= b.score <= a.score + tolerance
            for j, b in enumerate(rows)
        )
        for i, a in enumerate(rows)
    ]


def rows_of(score):
    return st.lists(st.tuples(st.sampled_from("abc"), score), max_size=30)


TOLERANCES = st.sampled_from([0.0, 0.5, 2.0, 5.0, 20.0])


@settings(deadline=None)
@given(rows_of(st.integers(0, 40).map(lambda n: n / 4)), TOLERANCES)
def test_screening_keeps_exactly_what_the_published_rule_keeps(rows, tolerance):
    frame = ratings(*[(wav, f"l{i}", score) for i, (wav, score) in enumerate(rows)])
    assert listeners.agreeing(frame, tolerance).tolist() == naive(frame, tolerance)


@settings(deadline=None)
@given(rows_of(st.floats(0, 10)), TOLERANCES)
def test_screening_what_was_screened_changes_nothing(rows, tolerance):
    frame = ratings(*[(wav, f"l{i}", score) for i, (wav, score) in enumerate(rows)])
    kept = frame[listeners.agreeing(frame, tolerance)]
    assert listeners.agreeing(kept, tolerance).all()


def test_screening_by_hand():
    frame = ratings(
        ("b.wav", "l1", 9),  # 9 and 4 are 5 apart: both stay
        ("a.wav", "l1", 0),  # nobody within 5: goes
        ("b.wav", "l2", 4),
        ("a.wav", "l2", 6),
        ("a.wav", "l3", 10),
        ("c.wav", "l4", 7),  # alone: goes, and its pair with it
    )
    kept = listeners.screen(frame, screening())
    assert kept["score"].tolist() == [9, 4, 6, 10]
    assert list(kept.columns) == list(frame.columns)
    dropped = listeners.dropped(frame, screening())
    assert dropped[["wav_file_name", "pair_lost"]].values.tolist() == [
        ["a.wav", False],
        ["c.wav", True],
    ]


def test_one_clip_with_two_texts_is_two_pairs():
    frame = ratings(("a.wav", "l1", 3), ("a.wav", "l2", 3)).assign(text=["x", "y"])
    assert not listeners.agreeing(frame, 5).any()


def test_splits_that_are_not_named_and_method_none_stay_whole():
    both = pd.concat([ratings(("a.wav", "l1", 0), ("a.wav", "l2", 9)), VALIDATION_APART])
    assert listeners.trusted(both, screening(splits=("validation",))).tolist() == [1, 1, 0, 0]
    assert listeners.trusted(both, screening(method="none")).all()


VALIDATION_APART = ratings(("v.wav", "l3", 0), ("v.wav", "l4", 9), split="validation")


def test_a_split_that_loses_every_rating_is_an_error_with_the_remedy():
    with pytest.raises(LabelError, match=r"validation pair.*raise screen\.tolerance"):
        listeners.screen(VALIDATION_APART, screening())


@pytest.mark.parametrize(
    ("values", "message"),
    [({"tolerance": -1.0}, "0 or more"), ({"splits": ("test",)}, "only train and validation")],
)
def test_wrong_screening_is_refused(values, message):
    with pytest.raises(LabelError, match=message):
        screening(**values)
    with pytest.raises(LabelError, match="0 or more"):
        Standardization(shrinkage=-1.0)


TRAIN = ratings(
    ("a.wav", "l1", 2), ("b.wav", "l1", 6),  # mean 4, std sqrt(8)
    ("a.wav", "l2", 7), ("b.wav", "l2", 7), ("c.wav", "l2", 7),  # one opinion: std 1
    ("c.wav", "l3", 10),  # one rating: std 1
)  # fmt: skip


def test_listener_statistics_by_hand():
    table = listeners.statistics(TRAIN)
    tables.check(table, tables.LISTENERS, "test")
    assert table["listener_id"].tolist() == ["l1", "l2", "l3"]
    assert table["mean"].tolist() == [4, 7, 10]
    assert table["std"].tolist() == pytest.approx([8**0.5, 1, 1])
    assert table["ratings"].tolist() == [2, 3, 1]
    overall = listeners.global_statistics(table)
    assert overall.mean == pytest.approx(7)
    assert overall.std == pytest.approx(((8 + 1 + 1) / 3) ** 0.5)


def test_one_opinion_that_is_no_binary_fraction_has_no_tiny_std():
    table = listeners.statistics(ratings(*[(f"{i}.wav", "l", 0.1) for i in range(7)]))
    assert table["std"].tolist() == [1.0]


def test_targets_by_hand():
    made = listeners.standards(
        pd.concat([TRAIN, ratings(("v.wav", "l1", 10), split="validation")]),
        Standardization(shrinkage=0.0),
    )
    tables.check(made.train, tables.TARGETS, "test")
    assert made.train["wav_file_name"].tolist() == ["a.wav", "b.wav", "c.wav"]
    assert made.train["mean_score"].tolist() == [4.5, 6.5, 8.5]
    assert made.train["spo_score"].tolist() == pytest.approx([-1 / 8**0.5, 1 / 8**0.5, 0])
    assert made.train["ratings"].tolist() == [2, 2, 2]
    # l1 is known from train, and validation takes the global pair all the same.
    assert made.validation["spo_score"].tolist() == pytest.approx([3 / (10 / 3) ** 0.5])


def test_an_unknown_listener_takes_the_global_pair_and_a_known_one_its_own():
    known = pd.DataFrame({"listener_id": ["l1"], "mean": [4.0], "std": [2.0], "ratings": [9]})
    frame = ratings(("a.wav", "l1", 8), ("a.wav", "new", 8))
    scores = listeners.standardized(frame, known, GlobalStatistics(mean=5.0, std=3.0))
    assert scores.tolist() == [2.0, 1.0]
    pairs = listeners.targets(frame.drop(columns="split"), known, GlobalStatistics(mean=5, std=3))
    assert pairs.columns.tolist() == ["wav_file_name", "text", "mean_score", "spo_score", "ratings"]


def test_shrinkage_moves_listeners_towards_the_global_pair():
    table = pd.DataFrame({"listener_id": ["a", "b"], "mean": [2.0, 8.0], "std": [1.0, 1.0]})
    table["ratings"] = [4, 1]
    overall = GlobalStatistics(mean=5.0, std=3.0)
    assert listeners.shrunken(table, overall, 0.0) is table
    moved = listeners.shrunken(table, overall, 2.0)
    assert moved["mean"].tolist() == pytest.approx([(4 * 2 + 2 * 5) / 6, (8 + 2 * 5) / 3])
    # Variance: 3 degrees of freedom of its own and 2 of the global one; with one rating, none.
    assert moved["std"].tolist() == pytest.approx([((3 * 1 + 2 * 9) / 5) ** 0.5, 3.0])


def test_without_training_ratings_there_is_no_standard():
    with pytest.raises(LabelError, match="no training listener"):
        listeners.standards(VALIDATION_APART, Standardization(shrinkage=0.0))


def test_both_stages_write_their_tables_and_the_same_bytes_again(in_folder, monkeypatch):
    monkeypatch.syspath_prepend(str(STAGES))
    for name in ("screen", "standardize"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import screen
    import standardize

    rng = np.random.default_rng(0)
    rows = [(f"{p}.wav", f"l{k}", rng.integers(0, 11)) for p in range(30) for k in range(4)]
    lonely = ratings(("x.wav", "l1", 0), ("x.wav", "l2", 10))
    valid = ratings(*[(f"v{w}", f"v{k}", s) for w, k, s in rows], split="validation")
    table = pd.concat([ratings(*rows), lonely, valid], ignore_index=True)
    tables.write(table, Path("data/prepared/ratings.parquet"), tables.RATINGS)
    Path("params.yaml").write_text(
        "screen: {method: rating, tolerance: 2, splits: [train]}\n"
        "standardize: {shrinkage: 0.0}\nevaluate: {note: simulated ratings}\n"
    )
    outs = [Path(p) for p in ("data/screened", "plots/screen", "data/targets", "metrics")]

    sums = []
    for _ in range(2):
        screen.main()
        standardize.main()
        sums.append([artifacts.sha256(out) for out in outs])
    assert sums[0] == sums[1]

    dropped = tables.read(Path("data/screened/dropped.csv"), listeners.DROPPED)
    lost = dropped[dropped["pair_lost"]]
    assert "x.wav" in set(lost["wav_file_name"])
    assert set(dropped["split"]) == {"train"}
    numbers = artifacts.read_json(Path("metrics/screen.json"))
    assert numbers["note"] == "simulated ratings"
    assert numbers["train"]["ratings"] == 122
    assert numbers["train"]["ratings_dropped"] == len(dropped)
    assert numbers["train"]["pairs_lost"] == lost["wav_file_name"].nunique()
    assert numbers["validation"]["ratings_dropped"] == 0
    train = tables.read(Path("data/targets/train.csv"), tables.TARGETS)
    assert "x.wav" not in set(train["wav_file_name"])
    assert len(tables.read(Path("data/targets/validation.csv"), tables.TARGETS)) == 30
    assert set(artifacts.read_json(Path("data/targets/global.json"))) == {"mean", "std"}
    assert Path("plots/screen/ratings.png").read_bytes()[:4] == b"\x89PNG"
