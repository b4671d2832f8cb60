"""Anyone's ratings: CSV and Parquet give the same, and mistakes are sentences."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import parquet_ratings, rating_files
from soundjudge.labels.ratings import latent, rating_arrays
from soundjudge.labels.ratings.screening import Screening

COLUMNS = ["room", "wav_file_name", "text", "score", "listener_id", "took"]


def table(seed=0, pairs=40):
    """Ratings with two further columns."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"room {who % 3}", f"{pair}.wav", f"text, {pair}", score, f"l{who}", took)
        for pair in range(pairs)
        for who in rng.choice(12, 4, replace=False)
        for score, took in [(float(rng.integers(0, 21) / 2), rng.random())]
    ]
    rng.shuffle(rows)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"score": float, "took": float})


def rules(method="rating", tolerance=1.0):
    return Screening(method=method, tolerance=tolerance, careless=0.5, constant=8, splits=())


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(parquet_ratings, "BLOCK", 7)
    monkeypatch.setattr(parquet_ratings, "MERGED", 3)


def stored(frame, path):
    """The same rows in both kinds of file."""
    frame.to_csv(path.with_suffix(".csv"), index=False, lineterminator="\n")
    frame.to_parquet(path.with_suffix(".parquet"), index=False)
    return path.with_suffix(".csv"), path.with_suffix(".parquet")


@pytest.mark.parametrize("method", ["rating", "listener", "both"])
def test_screening_keeps_rows_columns_and_types_of_both_kinds_of_file(tmp_path, method):
    frame = table()
    csv, parquet = stored(frame, tmp_path / "ratings")
    counts = rating_files.screen_file(csv, tmp_path / "kept.csv", rules(method))
    assert rating_files.screen_file(parquet, tmp_path / "kept.parquet", rules(method)) == counts
    kept, read = counts
    assert (read.ratings, read.listeners, read.pairs) == (160, 12, 40)
    left = pd.read_parquet(tmp_path / "kept.parquet")
    assert len(left) == kept.ratings
    assert left["listener_id"].nunique() == kept.listeners
    assert len(left.drop_duplicates(rating_arrays.PAIR)) == kept.pairs
    assert left.dtypes.equals(pd.read_parquet(parquet).dtypes)
    text = left.to_csv(index=False, lineterminator="\n")
    assert (tmp_path / "kept.csv").read_text() == text
    before = csv.read_text().splitlines()
    assert [line for line in before if line in set(text.splitlines())] == text.splitlines()


@pytest.mark.parametrize("model", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_targets_of_both_kinds_of_file_are_the_same(tmp_path, model, known):
    csv, parquet = stored(table(), tmp_path / "ratings")
    train = stored(table(seed=1), tmp_path / "train") if known else (None, None)
    for path, other in ((csv, train[0]), (parquet, train[1])):
        out = tmp_path / f"targets{path.suffix}"
        assert rating_files.standardize_file(path, out, other, 2.0, model=model) == 40
    made = pd.read_csv(tmp_path / "targets.csv")
    columns = pd.read_parquet(tmp_path / "targets.parquet")
    pd.testing.assert_frame_equal(made, columns, check_dtype=False)
    latent_columns = ["latent_score", "latent_se"] if model else []
    wanted = ["wav_file_name", "text", "mean_score", "spo_score", *latent_columns, "ratings"]
    assert made.columns.tolist() == wanted
    if model:
        expected = latent.fit_latent(table(), rating_files.LATENT_MODEL).pairs
        pd.testing.assert_frame_equal(made[expected.columns], expected, check_dtype=False)


def test_columns_of_numbers_are_those_of_the_frame(tmp_path):
    frame = table().astype({"score": "float32"})
    _, parquet = stored(frame, tmp_path / "ratings")
    found, expected = (
        parquet_ratings.read_parquet_ratings(parquet),
        rating_arrays.rating_arrays(frame),
    )
    assert found.pair.tolist() == expected.pair.tolist()
    assert found.names[found.listener].tolist() == frame["listener_id"].tolist()
    assert found.score.dtype == np.float32
    assert found.score.tolist() == frame["score"].tolist()
    assert found.pairs == expected.pairs


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_ids_may_be_stored_as_any_text(tmp_path, kind):
    whole = pa.Table.from_pandas(table())
    for name in ("wav_file_name", "text", "listener_id"):
        place = whole.column_names.index(name)
        whole = whole.set_column(place, name, whole[name].cast(kind))
    pq.write_table(whole, tmp_path / "ratings.parquet")
    found = parquet_ratings.read_parquet_ratings(tmp_path / "ratings.parquet")
    assert found.pair.tolist() == rating_arrays.pair_codes(table()).tolist()
    out = tmp_path / "targets.parquet"
    rating_files.standardize_file(tmp_path / "ratings.parquet", out, None, 0.0, model=False)
    assert len(pd.read_parquet(out)) == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.assign(score=f["score"].where(f.index != 9, 10.5)),
            "row 10: score 10.5.*0 to",
        ),
        (lambda f: f.assign(score=f["score"].where(f.index != 9)), "row 10: score nan.*remove"),
        (lambda f: f.assign(text=f["text"].where(f.index != 20, " ")), "row 21: text is empty"),
        (lambda f: f.assign(text=f["text"].where(f.index != 20)), "row 21: text is empty"),
        (lambda f: f.drop(columns="listener_id"), "'listener_id' is missing"),
        (lambda f: f.assign(listener_id=range(len(f))), "listener_id is int64: store it as text"),
        (lambda f: f.assign(score="7"), "score is .*string: store it as a number"),
        (lambda f: pd.concat([f, f.iloc[[3]]]), "row 161: the same listener.*after row 4: keep"),
        (lambda f: f.iloc[:0], "has no ratings"),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_one_sentence(tmp_path, change, message):
    path, out = tmp_path / "ratings.parquet", tmp_path / "kept.parquet"
    change(table()).to_parquet(path, index=False)
    with pytest.raises(SoundjudgeError, match=message):
        rating_files.screen_file(path, out, rules())
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_not_there_or_no_parquet_are_sentences(tmp_path):
    path = tmp_path / "ratings.parquet"
    with pytest.raises(SoundjudgeError, match="does not exist"):
        rating_files.screen_file(path, tmp_path / "kept.parquet", rules())
    path.write_text("wav_file_name\n")
    with pytest.raises(SoundjudgeError, match="not a readable Parquet file"):
        rating_files.screen_file(path, tmp_path / "kept.parquet", rules())
    with pytest.raises(SoundjudgeError, match=r"end in \.parquet"):
        rating_files.screen_file(path, tmp_path / "kept.csv", rules())
    with pytest.raises(SoundjudgeError, match=r"end in \.csv"):
        rating_files.standardize_file(
            tmp_path / "ratings.csv", tmp_path / "out.parquet", None, 0.0, model=False
        )


def test_when_nothing_is_left_nothing_is_written(tmp_path):
    csv, parquet = stored(table().drop_duplicates(rating_arrays.PAIR), tmp_path / "ratings")
    for path in (csv, parquet):
        out = tmp_path / f"kept{path.suffix}"
        with pytest.raises(SoundjudgeError, match=r"no two ratings.*within 1 points: raise"):
            rating_files.screen_file(path, out, rules())
        assert not out.exists()


def test_the_commands_name_what_went_and_take_every_choice(tmp_path):
    csv, _ = stored(table(), tmp_path / "ratings")
    kept, out = tmp_path / "kept.csv", tmp_path / "targets.csv"
    command = ["screen", str(csv), "-o", str(kept), "--method", "both", "--tolerance", "2"]
    result = CliRunner().invoke(app, [*command, "--careless", "0.9", "--constant", "5"])
    assert result.exit_code == 0, result.output
    assert "of 160 ratings" in result.stderr
    assert "of 12 listeners" in result.stderr
    assert "of 40 pairs" in result.stderr
    command = ["standardize", str(kept), "-o", str(out), "--latent"]
    result = CliRunner().invoke(app, [*command, "--shrinkage", "empirical_bayes"])
    assert result.exit_code == 0, result.output
    header = "wav_file_name,text,mean_score,spo_score,latent_score,latent_se,ratings"
    assert out.read_text().splitlines()[0] == header
    result = CliRunner().invoke(app, ["standardize", str(kept), "-o", str(out), "--shrinkage", "x"])
    assert result.exit_code == 2
    assert "choose empirical_bayes or a number" in result.output
