"""The DataFrame functions: their examples run, and they do what the commands do."""

import doctest

import numpy as np
import pandas as pd
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.labels import library
from soundjudge.labels.files import rating_files
from soundjudge.labels.ratings.config import Screening


def ratings(seed=0, pairs=30):
    """Four of nine listeners rate each pair; the frame has an index and a column of its own."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"{pair}.wav", f"text {pair}", f"l{who}", float(rng.integers(0, 11)), f"note {who}")
        for pair in range(pairs)
        for who in rng.choice(9, 4, replace=False)
    ]
    columns = ["wav_file_name", "text", "listener_id", "score", "note"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.set_index(pd.Index(range(100, 100 + len(frame))))


def test_the_examples_run():
    result = doctest.testmod(library)
    assert (result.failed, result.attempted) == (0, 6)


@pytest.mark.parametrize("method", ["rating", "listener", "both"])
def test_screening_is_that_of_the_command_and_keeps_index_and_columns(tmp_path, method):
    frame = ratings()
    kept = library.screen(frame, method=method, tolerance=2.0)
    assert kept.equals(frame.loc[kept.index])
    assert 0 < len(kept) <= len(frame)
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    rules = Screening(method=method, tolerance=2.0)
    rating_files.screen_file(tmp_path / "ratings.csv", tmp_path / "kept.csv", rules)
    assert pd.read_csv(tmp_path / "kept.csv").equals(kept.reset_index(drop=True))


@pytest.mark.parametrize("shrinkage", [0.0, 3.0, "empirical_bayes"])
def test_standardization_is_that_of_the_command(tmp_path, shrinkage):
    frame, train = ratings(), ratings(seed=1)
    frame.to_parquet(tmp_path / "ratings.parquet")
    train.to_parquet(tmp_path / "train.parquet")
    targets = library.standardize(frame, shrinkage=shrinkage, latent=True, statistics_from=train)
    rating_files.standardize_file(
        tmp_path / "ratings.parquet",
        tmp_path / "targets.parquet",
        tmp_path / "train.parquet",
        shrinkage,
        rating_files.LatentConfig(),
    )
    pd.testing.assert_frame_equal(
        targets, pd.read_parquet(tmp_path / "targets.parquet"), check_exact=True, check_dtype=False
    )


def test_without_shrinkage_targets_are_those_of_the_published_method():
    frame = ratings()
    targets = library.standardize(frame, shrinkage=0.0, latent=False)
    assert list(targets) == ["wav_file_name", "text", "mean_score", "spo_score", "ratings"]
    scale = frame.groupby("listener_id")["score"].agg(["mean", "std"]).loc[frame["listener_id"]]
    standardized = (frame["score"].to_numpy() - scale["mean"]) / scale["std"]
    expected = standardized.groupby(frame["wav_file_name"].to_numpy(), sort=False).mean()
    np.testing.assert_allclose(targets["spo_score"], expected, atol=1e-12)


@pytest.mark.parametrize("function", [library.screen, library.standardize])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.assign(score=11.0), "ratings, row 1: score 11.0 lies outside 0 to 10"),
        (lambda frame: frame.drop(columns="score"), "ratings: the column 'score' is missing"),
        (lambda frame: frame.iloc[:0], "ratings is empty"),
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), "row 121: listener_id .* after row 1"),
    ],
)
def test_bad_ratings_are_a_sentence(function, change, message):
    with pytest.raises(SoundjudgeError, match=message):
        function(change(ratings()))


def test_ids_that_pandas_read_as_whole_numbers_are_those_of_the_file(tmp_path):
    frame = ratings()
    frame = frame.assign(
        wav_file_name=frame["wav_file_name"].str[:-4], listener_id=frame["listener_id"].str[1:]
    )
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    read = pd.read_csv(tmp_path / "ratings.csv")
    assert read["listener_id"].dtype == read["wav_file_name"].dtype == "int64"
    targets = library.standardize(read).astype({"wav_file_name": "str"})
    pd.testing.assert_frame_equal(targets, library.standardize(frame))
    with pytest.raises(SoundjudgeError, match="listener_id .* is not text"):
        library.standardize(read.assign(listener_id=read["listener_id"].where(read.index > 0)))


def test_when_nothing_is_kept_the_remedy_is_named():
    with pytest.raises(SoundjudgeError, match="no two ratings .*: raise the tolerance or choose"):
        library.screen(ratings().drop_duplicates("wav_file_name"), method="rating")


def test_equal_ratings_make_no_targets_of_zeros():
    with pytest.raises(SoundjudgeError, match="ratings: every listener gives one score to all"):
        library.standardize(ratings().assign(score=5.0))


@pytest.mark.parametrize("function", [library.screen, library.standardize])
def test_a_missing_value_that_pandas_made_a_word_is_no_listener(function):
    frame = ratings()
    frame.loc[100, "listener_id"] = float("nan")
    with pytest.raises(SoundjudgeError, match="row 1: listener_id 'nan' stands for an empty cell"):
        function(frame.assign(listener_id=frame["listener_id"].astype(object).map(str)))
