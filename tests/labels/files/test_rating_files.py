"""Anyone's ratings: CSV and Parquet give the same, and mistakes are sentences."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from repository import ROOT, run_stage, write_params
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.labels import library
from soundjudge.labels.files import rating_files
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.config import LatentConfig, Screening, Standardization
from soundjudge.labels.study import candidates

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
    return Screening(method=method, tolerance=tolerance)


def write_both(frame, path):
    """The same rows in both kinds of file."""
    frame.to_csv(path.with_suffix(".csv"), index=False, lineterminator="\n")
    frame.to_parquet(path.with_suffix(".parquet"), index=False)
    return path.with_suffix(".csv"), path.with_suffix(".parquet")


@pytest.mark.parametrize("method", ["rating", "listener", "both"])
def test_screening_keeps_rows_columns_and_types_of_both_kinds_of_file(tmp_path, method):
    frame = table()
    csv, parquet = write_both(frame, tmp_path / "ratings")
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


@pytest.mark.parametrize("model", [None, LatentConfig()])
@pytest.mark.parametrize("with_statistics", [False, True])
def test_targets_of_both_kinds_of_file_are_the_same(tmp_path, model, with_statistics):
    csv, parquet = write_both(table(), tmp_path / "ratings")
    train = write_both(table(seed=1), tmp_path / "train") if with_statistics else (None, None)
    for path, other in ((csv, train[0]), (parquet, train[1])):
        out = tmp_path / f"targets{path.suffix}"
        assert rating_files.standardize_file(path, out, other, 2.0, model) == 40
    from_csv = pd.read_csv(tmp_path / "targets.csv")
    from_parquet = pd.read_parquet(tmp_path / "targets.parquet")
    pd.testing.assert_frame_equal(from_csv, from_parquet, check_dtype=False)
    latent_columns = ["latent_score", "latent_se"] if model else []
    expected = ["wav_file_name", "text", "mean_score", "spo_score", *latent_columns, "ratings"]
    assert from_csv.columns.tolist() == expected


def test_columns_of_numbers_are_those_of_the_frame(tmp_path):
    frame = table().astype({"score": "float32"})
    _, parquet = write_both(frame, tmp_path / "ratings")
    arrays = rating_files.read_arrays(parquet)
    expected = rating_arrays.rating_arrays(frame)
    assert arrays.pair.tolist() == expected.pair.tolist()
    assert arrays.listener_ids[arrays.listener].tolist() == frame["listener_id"].tolist()
    assert arrays.score.tolist() == frame["score"].tolist()
    assert arrays.num_pairs == expected.num_pairs


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_ids_may_be_stored_as_any_text(tmp_path, kind):
    whole = pa.Table.from_pandas(table())
    for name in ("wav_file_name", "text", "listener_id"):
        position = whole.column_names.index(name)
        whole = whole.set_column(position, name, whole[name].cast(kind))
    pq.write_table(whole, tmp_path / "ratings.parquet")
    arrays = rating_files.read_arrays(tmp_path / "ratings.parquet")
    assert arrays.pair.tolist() == rating_arrays.pair_codes(table()).tolist()
    out = tmp_path / "targets.parquet"
    rating_files.standardize_file(tmp_path / "ratings.parquet", out, None, 0.0, None)
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
        (lambda f: f.assign(listener_id=1.5), "listener_id is double: store it as text"),
        (lambda f: f.assign(score="7"), "score is .*string: store it as a number"),
        (
            lambda f: pd.concat([f, f.iloc[[3]]]),
            "row 161: listener_id .* a second time, after row 4: keep",
        ),
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
            tmp_path / "ratings.csv", tmp_path / "out.parquet", None, 0.0, None
        )


def test_when_nothing_is_left_nothing_is_written(tmp_path):
    csv, parquet = write_both(table().drop_duplicates(rating_arrays.PAIR), tmp_path / "ratings")
    for path in (csv, parquet):
        out = tmp_path / f"kept{path.suffix}"
        with pytest.raises(SoundjudgeError, match=r"no two ratings.*within 1 points: raise"):
            rating_files.screen_file(path, out, rules())
        assert not out.exists()


def test_the_commands_name_what_went_and_take_every_choice(tmp_path):
    csv, _ = write_both(table(), tmp_path / "ratings")
    kept, out = tmp_path / "kept.csv", tmp_path / "targets.csv"
    command = ["screen", str(csv), "-o", str(kept), "--method", "both", "--tolerance", "2"]
    result = CliRunner().invoke(
        app, [*command, "--careless-threshold", "0.9", "--straightline-min-ratings", "5"]
    )
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


def test_command_and_stage_compute_the_same_latent_scores(in_folder):
    frame = table(pairs=60)
    path, _ = write_both(frame, in_folder / "ratings")
    result = CliRunner().invoke(app, ["standardize", str(path), "-o", "targets.csv", "--latent"])
    assert result.exit_code == 0, result.output
    rated = frame[["wav_file_name", "text", "listener_id", "score"]].assign(split="train")
    rated = pd.concat([rated, rated.assign(split="validation")])
    rated.loc[rated["split"] == "validation", "wav_file_name"] += ".validation"
    tables.write_table(rated, Path("data/screened/ratings.parquet"), tables.RATINGS)
    write_params(in_folder)
    run_stage("standardize")
    of_command, of_stage = (
        pd.read_csv(file).set_index("wav_file_name")[["latent_score", "latent_se"]]
        for file in ("targets.csv", "data/targets/train.csv")
    )
    pd.testing.assert_frame_equal(of_command, of_stage, check_exact=True)


def test_the_defaults_of_the_commands_are_the_pipelines_and_published_is_spos(tmp_path):
    csv, _ = write_both(table(), tmp_path / "ratings")

    def output(*words):
        out = tmp_path / "out.csv"
        words = [words[0], str(csv), "-o", str(out), "--overwrite", *words[1:]]
        assert CliRunner().invoke(app, words).exit_code == 0
        return out.read_bytes()

    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    listener = output("screen", "--method", params["screen"]["method"])
    shrunken = output("standardize", "--shrinkage", params["standardize"]["shrinkage"], "--latent")
    assert output("screen") == listener
    assert output("standardize") == shrunken
    published = yaml.safe_load((ROOT / "recipes/spo2026.yaml").read_text(encoding="utf-8"))
    rating = output("screen", "--method", published["screen"]["method"])
    plain = output("standardize", "--shrinkage", str(published["standardize"]["shrinkage"]))
    assert output("screen", "--published") == rating != listener
    assert output("standardize", "--published", "--latent") == plain != shrunken
    assert b"latent_score" not in output("standardize", "--published")
    assert b"latent_score" not in output("standardize", "--no-latent")


@pytest.mark.parametrize(
    "words", [["screen", "--method", "both"], ["standardize", "--shrinkage", "2"]]
)
def test_published_and_another_choice_exclude_one_another(tmp_path, words):
    csv, _ = write_both(table(), tmp_path / "ratings")
    words = [words[0], str(csv), "-o", str(tmp_path / "out.csv"), "--published", *words[1:]]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "give one of the two" in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_shrunken_mean_is_that_of_the_study_and_of_the_library(tmp_path):
    frame = table()
    frame = frame[~((frame["wav_file_name"] == "3.wav") & frame["listener_id"].isin(["l1", "l2"]))]
    csv, _ = write_both(frame, tmp_path / "ratings")
    words = ["standardize", str(csv), "-o", str(tmp_path / "out.csv"), "--shrink-means"]
    assert CliRunner().invoke(app, words).exit_code == 0
    arrays = rating_arrays.rating_arrays(frame)
    expected = candidates.target_scores(arrays, "mean_shrunken", Standardization())
    written = pd.read_csv(tmp_path / "out.csv")
    assert written["mean_score"].tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    of_library = library.standardize(frame, shrink_means=True)["mean_score"]
    assert of_library.tolist() == pytest.approx(expected.tolist())
    plain = library.standardize(frame)["mean_score"]
    assert np.ptp(of_library) < np.ptp(plain)
    assert plain.mean() == pytest.approx(of_library.mean(), abs=0.05)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_test_without_texts_needs_none_and_gets_none(tmp_path, suffix):
    frame = table()
    whole = write_both(frame, tmp_path / "whole")
    bare = write_both(frame.drop(columns=["text", "room", "took"]), tmp_path / "bare")
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    results = []
    for path in (whole[suffix == ".parquet"], bare[suffix == ".parquet"]):
        kept, out = tmp_path / f"kept{suffix}", tmp_path / f"out{suffix}"
        for command, source, target in (("screen", path, kept), ("standardize", kept, out)):
            words = [command, str(source), "-o", str(target), "--overwrite"]
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, result.output
        results.append(read(out))
    assert "text" not in results[1] and "text" not in read(tmp_path / f"kept{suffix}")
    pd.testing.assert_frame_equal(results[0].drop(columns="text"), results[1])


@pytest.mark.parametrize("name", ["caption", "prompt", "texts"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_texts_under_another_name_are_not_taken_for_none(tmp_path, name, suffix):
    paths = write_both(table().rename(columns={"text": name}), tmp_path / "ratings")
    words = ["standardize", str(paths[suffix == ".parquet"]), "-o", str(tmp_path / f"out{suffix}")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert f"rename '{name}' to 'text'" in result.stderr


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_listener_for_every_rating_is_an_error_and_not_targets_of_zero(tmp_path, suffix):
    frame = table()
    frame["listener_id"] = [f"row{row}" for row in range(len(frame))]
    path, out = write_both(frame, tmp_path / "r")[suffix == ".parquet"], tmp_path / f"out{suffix}"
    for words in ([], ["--published"]):
        result = CliRunner().invoke(app, ["standardize", str(path), "-o", str(out), *words])
        assert result.exit_code == 2
        assert f"{path}: each of the 160 ratings has a listener_id of its own" in result.stderr
        assert "give all ratings of a person one id" in result.stderr
        assert not out.exists()


def test_few_ratings_per_listener_are_a_note_with_the_consequence_beside_the_result(tmp_path):
    csv, _ = write_both(table(pairs=20), tmp_path / "ratings")
    for command in ("screen", "standardize"):
        words = [command, str(csv), "-o", str(tmp_path / "out.csv"), "--overwrite"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
        assert "z-scores (SPO) may be worse than mean ratings" in line
    csv, _ = write_both(table(pairs=60), tmp_path / "ratings")
    assert "note: " not in CliRunner().invoke(app, words).stderr


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 2, 3, 4, 4], "1-5"),  # nobody used 5
        ([2, 3, 3.5, 4, 5], "1-5"),
        ([12, 80, 55, 0, 100], "0-100"),  # MUSHRA
        ([3, 5, 2, 9, 45], "0-100"),
        ([1, 2, 3, 4, 5, 6, 7], "1-7"),
    ],
)
def test_a_scale_is_recognized_in_few_ratings_and_never_taken_for_ten_points(
    tmp_path, values, scale
):
    frame = table(pairs=35)
    frame["score"] = np.resize(np.array(values, dtype=float), len(frame))
    csv, _ = write_both(frame, tmp_path / "ratings")
    result = CliRunner().invoke(app, ["standardize", str(csv), "-o", str(tmp_path / "out.csv")])
    assert result.exit_code == 2
    assert f"look like a scale of {scale}" in result.stderr
    for named in (scale, scale.replace("-", ":"), scale.replace("-", " ")):
        words = ["standardize", str(csv), "-o", str(tmp_path / "out.csv"), "--scale", named]
        assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0
    words = ["standardize", str(csv), "--scale", *scale.split("-"), "-o", str(tmp_path / "two.csv")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_a_scale_with_a_lower_end_below_zero_can_be_named(tmp_path):
    frame = table()
    frame["score"] = np.resize([-3.0, -1.0, 0.0, 2.0, 3.0], len(frame))
    csv, _ = write_both(frame, tmp_path / "ratings")
    out = tmp_path / "out.csv"
    refused = CliRunner().invoke(app, ["standardize", str(csv), "-o", str(out)])
    assert "lies outside 0 to 10" in refused.stderr and "name another by --scale" in refused.stderr
    assert (
        CliRunner().invoke(app, ["standardize", str(csv), "-o", str(out), "--scale=-3:3"]).exit_code
        == 0
    )
    ten = frame.assign(score=(frame["score"] + 3) * 10 / 6)
    expected = ten.groupby("wav_file_name", sort=False)["score"].mean()
    assert pd.read_csv(out)["mean_score"].tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_whole_numbers_in_parquet_are_ids(tmp_path):
    frame = table()
    numbers = frame.assign(listener_id=frame["listener_id"].str[1:].astype("int64"))
    numbers.to_parquet(tmp_path / "numbers.parquet", index=False)
    frame.assign(listener_id=frame["listener_id"].str[1:]).to_csv(
        tmp_path / "texts.csv", index=False
    )
    for name, suffix in (("numbers", ".parquet"), ("texts", ".csv")):
        path, out = tmp_path / f"{name}{suffix}", tmp_path / f"kept-{name}{suffix}"
        counts = rating_files.screen_file(path, out, rules())
        assert (counts[1].listeners, counts[1].ratings) == (12, 160)
    assert pd.read_parquet(tmp_path / "kept-numbers.parquet")["listener_id"].dtype == "int64"
    both = [pd.read_parquet(tmp_path / "kept-numbers.parquet"), pd.read_csv(out)]
    assert both[0]["listener_id"].tolist() == both[1]["listener_id"].tolist()


@pytest.mark.parametrize("column", ["listener_id", "wav_file_name"])
@pytest.mark.parametrize("change", ["{} ", "{}\u200b", "upper"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_id_in_two_spellings_is_refused_with_both(tmp_path, column, change, suffix):
    frame = table()
    old = frame[column].iloc[30]
    new = old.upper() if change == "upper" else change.format(old)
    frame[column] = frame[column].where((frame[column] != old) | (frame.index < 30), new)
    row = frame.index[frame[column] == new][0]
    earlier = frame.index[frame[column] == old][0]
    path = dict(zip([".csv", ".parquet"], write_both(frame, tmp_path / "r"), strict=True))[suffix]
    out = tmp_path / f"out{suffix}"
    message = f"row {row + 1}: {column} {new!r} differs only in its spelling from {old!r} in row "
    for write in (
        lambda: rating_files.screen_file(path, out, rules()),
        lambda: rating_files.standardize_file(path, out, None, 0.0, None),
    ):
        with pytest.raises(SoundjudgeError) as error:
            write()
        assert f"{message}{earlier + 1}: write both" in str(error.value)
    assert not out.exists()


def test_training_ratings_spell_listeners_in_the_same_way(tmp_path):
    csv, _ = write_both(table(), tmp_path / "ratings")
    other = table(seed=1).assign(listener_id=lambda frame: frame["listener_id"] + " ")
    train, _ = write_both(other, tmp_path / "train")
    with pytest.raises(SoundjudgeError, match=r"listener_id 'l\d+', and .*train\.csv has 'l\d+ '"):
        rating_files.standardize_file(csv, tmp_path / "out.csv", train, 0.0, None)


SCALES = {"1-5": (1, 5), "0-100": (0, 100), "0-1": (0, 1)}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("suffix", [".csv", pytest.param(".parquet", marks=pytest.mark.slow)])
def test_another_scale_is_named_and_taken_if_the_user_says_so(tmp_path, scale, suffix):
    low, high = SCALES[scale]
    frame = table()
    frame["score"] = np.random.default_rng(0).choice([0.0, 2.5, 5.0, 7.5, 10.0], len(frame))
    other = frame.assign(score=low + frame["score"] * (high - low) / 10)
    kinds = [".csv", ".parquet"]
    ten = write_both(frame, tmp_path / "ten")[kinds.index(suffix)]
    path = write_both(other, tmp_path / "other")[kinds.index(suffix)]
    out, expected = tmp_path / f"out{suffix}", tmp_path / f"expected{suffix}"
    for command in ("screen", "standardize"):
        words = [command, str(path), "-o", str(out), "--overwrite"]
        refused = CliRunner().invoke(app, words)
        assert refused.exit_code == 2
        assert f"look like a scale of {scale}, not 0-10: name it with --scale" in refused.stderr
        result = CliRunner().invoke(app, [*words, "--scale", scale])
        assert result.exit_code == 0, result.output
        words = [command, str(ten), "-o", str(expected), "--overwrite"]
        assert CliRunner().invoke(app, words).exit_code == 0
        read = pd.read_csv if suffix == ".csv" else pd.read_parquet
        if command == "screen":
            assert read(out)["took"].tolist() == read(expected)["took"].tolist()
            assert read(out)["score"].tolist() == pytest.approx(
                (low + read(expected)["score"] * (high - low) / 10).tolist()
            )
        else:
            pd.testing.assert_frame_equal(read(out), read(expected))


def test_a_scale_of_0_to_10_that_looks_like_another_is_taken_if_the_user_says_so(tmp_path):
    frame = table()
    frame["score"] = np.arange(len(frame)) % 5 + 1.0
    csv, _ = write_both(frame, tmp_path / "ratings")
    out = tmp_path / "out.csv"
    assert rating_files.standardize_file(csv, out, None, 0.0, None, scale=(0.0, 10.0)) == 40
    expected = frame.groupby("wav_file_name", sort=False)["score"].mean()
    assert pd.read_csv(out)["mean_score"].tolist() == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("text", ["5", "5-1", "1-x", "1_0-20", "-1--5", ""])
def test_what_is_no_scale_is_a_sentence(tmp_path, text):
    csv, _ = write_both(table(), tmp_path / "ratings")
    words = ["screen", str(csv), "-o", str(tmp_path / "out.csv"), f"--scale={text}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert f"the scale {text!r} is not like 1-5" in result.stderr


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl"])
def test_ratings_with_tabs_or_as_json_lines_give_the_same(tmp_path, suffix):
    csv, _ = write_both(table(), tmp_path / "ratings")
    path = csv.with_suffix(suffix)
    if suffix == ".tsv":
        table().to_csv(path, sep="\t", index=False)
    else:
        table().to_json(path, orient="records", lines=True, double_precision=15)
    for source in (csv, path):
        rating_files.standardize_file(
            source, tmp_path / f"{source.suffix[1:]}.csv", None, 2.0, None
        )
        rating_files.screen_file(source, tmp_path / f"kept-{source.suffix[1:]}.csv", rules())
    assert (tmp_path / "csv.csv").read_bytes() == (tmp_path / f"{suffix[1:]}.csv").read_bytes()
    kept = [pd.read_csv(tmp_path / f"kept-{name}.csv") for name in ("csv", suffix[1:])]
    pd.testing.assert_frame_equal(*kept)
    rating_files.screen_file(path, tmp_path / "kept.tsv", rules())
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "kept.tsv", sep="\t"), kept[0])
