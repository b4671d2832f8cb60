"""Anyone's files of predictions against anyone's mean ratings."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.evaluation.systems import EvaluationConfig
from soundjudge.scoring.files import comparison

FEW = EvaluationConfig(resamples=100, seed=0)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_evaluation_gives_the_four_numbers_worked_out_by_hand(tmp_path):
    reference = write(
        tmp_path / "average.csv",
        "wav_file_name,text,average_score\n" + "".join(f"{n},x,{n}\n" for n in range(10)),
    )
    guesses = [9, 8, 7, 6, 5, 3, 4, 2, 1, 0]  # in another order of pairs
    rows = "".join(f"{9 - n},{guess}\n" for n, guess in enumerate(guesses))
    guess = write(tmp_path / "guess.csv", "wav_file_name,pred_score\n" + rows)
    evaluation = comparison.evaluate_files(
        guess, reference, None, EvaluationConfig(resamples=200, seed=0)
    )
    numbers, slices = evaluation.numbers, evaluation.slices
    # Ranks 4 and 5 are swapped: 1 - 6 * 2 / (10 * 99); of 45 pairs of ranks one does not agree.
    assert numbers["srcc"] == pytest.approx(1 - 12 / 990)
    assert numbers["lcc"] == pytest.approx(1 - 12 / 990)
    assert numbers["ktau"] == pytest.approx(43 / 45)
    assert numbers["mse"] == pytest.approx(0.2)
    assert numbers["pairs"] == 10
    assert numbers["srcc_lo"] <= 1 - 12 / 990 <= numbers["srcc_hi"]
    bands = ["0 to 2", "2 to 4", "4 to 6", "6 to 8", "8 to 10"]
    assert slices["value"].tolist() == ["1 to 5 words", "1", *bands]


def test_evaluation_needs_ratings_of_every_evaluated_clip(tmp_path):
    reference = write(tmp_path / "average.csv", "wav_file_name,average_score\na,1\nb,2\n")
    guess = write(tmp_path / "guess.csv", "wav_file_name,pred_score\na,1\nb,2\n")
    ratings = write(
        tmp_path / "ratings.csv", "wav_file_name,text,score,listener_id\na,x,1,l\na,x,2,m\n"
    )
    with pytest.raises(SoundjudgeError, match="no rating of 1 clips.*is b"):
        comparison.evaluate_files(guess, reference, ratings, FEW)


def test_a_reference_may_be_the_pipelines_own_targets(tmp_path):
    targets = write(
        tmp_path / "targets.csv",
        "wav_file_name,text,mean_score,spo_score,ratings\na,x,1,0,4\nb,x,2,0,4\nc,x,4,0,4\n",
    )
    guess = write(tmp_path / "guess.csv", "wav_file_name,pred_score\na,1\nb,2\nc,3\n")
    numbers = comparison.evaluate_files(guess, targets, None, FEW).numbers
    assert numbers["mse"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("id,text", "the columns 'wav_file_name' and 'average_score' are missing (there are id, "),
        ("wav_file_name,text", "the column 'average_score' is missing (there are wav_file_name, "),
        ("wave_file_name,score", "the column 'average_score' is missing (there are wav_file_name"),
        ("wav_file_name,Average_Score", "rename 'Average_Score' to 'average_score'"),
    ],
)
def test_a_table_without_mean_ratings_is_told_what_a_reference_is(tmp_path, header, missing):
    guess, _ = tables(tmp_path, [1, 2, 3, 4], [1, 3, 2, 4])
    prompts = write(tmp_path / "prompts.csv", f"{header}\na,1\n")
    for command in (["evaluate", guess], ["compare", guess, guess]):
        result = CliRunner().invoke(app, [*map(str, command), "--reference", str(prompts)])
        assert result.exit_code == 2 and result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert missing in line
        assert "A reference has the mean rating of each pair" in line
        assert "`soundjudge standardize`" in line
        assert "without ratings, compare generators by `soundjudge report`" in line


@pytest.mark.slow
def test_generators_of_the_ratings_file_can_be_resampled_and_are_slices(tmp_path):
    pairs = [(f"{n}.wav", 1 + n % 6 + n / 10, f"g{n % 6}") for n in range(30)]
    reference = write(
        tmp_path / "average.csv",
        "wav_file_name,mean_score\n" + "".join(f"{wav},{mean}\n" for wav, mean, _ in pairs),
    )
    guess = write(
        tmp_path / "guess.csv",
        "wav_file_name,pred_score\n" + "".join(f"{wav},{mean % 5}\n" for wav, mean, _ in pairs),
    )
    rows = "".join(
        f"{wav},{mean + step},l{who},{name}\n"
        for wav, mean, name in pairs
        for who, step in enumerate((-0.2, 0.2))
    )
    ratings = write(tmp_path / "ratings.csv", "wav_file_name,score,listener_id,model_id\n" + rows)
    config = EvaluationConfig(resamples=100, seed=0, cluster="model_id")
    with pytest.raises(SoundjudgeError, match="its model_id"):
        comparison.evaluate_files(guess, reference, None, config)
    evaluation = comparison.evaluate_files(guess, reference, ratings, config)
    slices = evaluation.slices
    names = slices[slices["slice"] == "generator"]["value"].tolist()
    assert names == [f"g{n}" for n in range(6)]
    assert "generator_srcc_lo" in evaluation.numbers


def test_a_system_does_not_differ_from_itself(tmp_path):
    rows = "".join(f"{n},{(7 * n) % 11}\n" for n in range(11))
    reference = write(tmp_path / "average.csv", f"wav_file_name,average_score\n{rows}")
    guess = "".join(f"{n},{(5 * n + 3) % 11}\n" for n in range(11))
    path = write(tmp_path / "guess.csv", f"wav_file_name,pred_score\n{guess}")
    compared = comparison.compare_files(
        [path, path], reference, EvaluationConfig(resamples=200, seed=0)
    )
    table = compared.table
    assert not compared.other_scales
    assert table["metric"].tolist() == ["srcc", "lcc", "ktau", "mse"]
    assert table["first"][0] == f"{path} (1)"
    assert (table["difference"] == 0).all()
    assert (table["p_bootstrap"] == 1).all()


CLIPS = "abcdefghijkl"


def tables(folder: Path, values: list[float], guesses: list[object]) -> tuple[Path, Path]:
    """Predictions and their reference."""
    rows = "".join(f"{clip}.wav,x,{value}\n" for clip, value in zip(CLIPS, values, strict=False))
    reference = write(folder / "average.csv", "wav_file_name,text,average_score\n" + rows)
    rows = "".join(f"{clip}.wav,x,{guess}\n" for clip, guess in zip(CLIPS, guesses, strict=False))
    return write(folder / "guess.csv", "wav_file_name,text,pred_score\n" + rows), reference


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({"l": [1.04, 2, 3, 4] * 3}, "two ratings of one pair"),
        ({"l": [0, 2, 4, 8] * 3, "m": [2, 2, 2, 0] * 3}, "raters"),
    ],
)
def test_without_a_ceiling_everything_else_is_reported_with_the_reason(tmp_path, scores, reason):
    guess, reference = tables(tmp_path, [1, 2, 3, 4] * 3, [1, 3, 2, 4] * 3)
    rows = "".join(
        f"{clip}.wav,x,{score},{listener}\n"
        for listener, row in scores.items()
        for clip, score in zip(CLIPS, row, strict=False)
    )
    ratings = write(tmp_path / "r.csv", "wav_file_name,text,score,listener_id\n" + rows)
    numbers = comparison.evaluate_files(guess, reference, ratings, FEW).numbers
    assert numbers["srcc"] == pytest.approx(0.8)
    assert numbers["mse"] == pytest.approx(0.5)
    assert reason in str(numbers["no_ceiling"])
    assert not [name for name in numbers if name.startswith("ceiling")]
    words = [str(w) for w in ("evaluate", guess, "--reference", reference, "--ratings", ratings)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "srcc 0.8000" in result.stdout
    assert result.stderr.startswith("no ceiling: ")


@pytest.mark.parametrize("pairs", [2, 3, 4, 5, 9])
def test_few_pairs_have_no_interval_and_no_test(tmp_path, pairs):
    guess, reference = tables(tmp_path, range(pairs), [value**1.1 for value in range(pairs)])
    numbers = comparison.evaluate_files(guess, reference, None, FEW).numbers
    assert numbers["srcc"] == pytest.approx(1.0)
    assert "srcc_lo" not in numbers
    assert numbers["no_intervals"] == f"{pairs} pairs are too few: give 10 or more"
    with pytest.raises(SoundjudgeError, match=f"{pairs} pairs are too few"):
        comparison.compare_files([guess, guess], reference, FEW)


@pytest.mark.parametrize("value", ["6.3e+300", "-1e7", "1e999", "nan", "1_0", "\u0667", "0x1p3"])
def test_an_absurd_number_is_one_sentence_with_its_row(tmp_path, value):
    guess, reference = tables(tmp_path, [1, 2, 3, 4], [1, value, 2, 4])
    with pytest.raises(SoundjudgeError, match=r"guess\.csv, row 2: pred_score .*remove the row"):
        comparison.evaluate_files(guess, reference, None, FEW)


def test_the_column_names_of_the_challenges_page_are_taken(tmp_path):
    guess, reference = tables(tmp_path, [1, 2, 3, 4], [1, 3, 2, 4])
    text = reference.read_text().replace("average_score", "average_semantic_alignement_score")
    reference.write_text(text.replace("wav_file_name", "wave_file_name"))
    numbers = comparison.evaluate_files(guess, reference, None, FEW).numbers
    assert numbers["srcc"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("mean_score", "the mean ratings may be in average_score or mean_score: rename or remove"),
        (
            "average_semantic_alignement_score",
            "average_score may be 'average_score' or 'average_semantic_alignement_score': rename",
        ),
        ("wave_file_name", "wav_file_name may be 'wav_file_name' or 'wave_file_name': rename or"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_of_two_columns_that_may_be_meant_none_is_taken_in_silence(
    tmp_path, extra, message, suffix
):
    guess, reference = tables(tmp_path, [1, 2, 3, 4], [1, 3, 2, 4])
    frame = pd.read_csv(reference).assign(**{extra: "9"})
    path = tmp_path / f"two{suffix}"
    if suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    for run in (
        comparison.evaluate_files,
        lambda a, b, _, config: comparison.compare_files([a], b, config),
    ):
        with pytest.raises(SoundjudgeError, match=message):
            run(guess, path, None, FEW)


def test_a_text_of_any_length_is_told_on_a_line(tmp_path):
    guess, reference = tables(tmp_path, [1, 2, 3, 4], [1, 3, 2, 4])
    frames = {path: pd.read_csv(path).assign(text="a dog") for path in (guess, reference)}
    frames[reference]["text"] = "a dog " * 10_000
    for path, frame in frames.items():
        frame.to_csv(path, index=False)
    with pytest.raises(SoundjudgeError, match="lacks 4 pairs") as error:
        comparison.evaluate_files(guess, reference, None, FEW)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".parquet", ".CSV"])
def test_predictions_and_references_may_be_in_other_formats(tmp_path, suffix):
    paths = []
    for path in tables(tmp_path, [1, 2, 3, 4], [1, 3, 2, 4]):
        frame = pd.read_csv(path)
        paths.append(path.with_name(f"{path.stem}-{suffix}").with_suffix(suffix))
        if suffix == ".parquet":
            frame.to_parquet(paths[-1])
        elif suffix == ".jsonl":
            frame.to_json(paths[-1], orient="records", lines=True)
        else:
            frame.to_csv(paths[-1], sep="\t" if suffix == ".tsv" else ",", index=False)
    numbers = comparison.evaluate_files(*paths, None, FEW).numbers
    assert numbers["srcc"] == pytest.approx(0.8)


def test_a_pair_in_another_spelling_is_told(tmp_path):
    guess, reference = tables(tmp_path, [1, 2, 3, 4], [1, 3, 2, 4])
    guess.write_text(guess.read_text().replace("b.wav", "B.wav "))
    with pytest.raises(SoundjudgeError, match=r"'b.wav' \+ 'x'; 'B.wav ' \+ 'x' differs "):
        comparison.evaluate_files(guess, reference, None, FEW)


def test_numbers_are_written_beside_no_input_and_over_nothing(tmp_path):
    guess, reference = tables(tmp_path, [1, 2, 3, 4], [1, 3, 2, 4])
    out = tmp_path / "new/numbers.json"
    for overwrite in (False, True):
        numbers = comparison.evaluate_files(
            guess, reference, None, FEW, out=out, overwrite=overwrite
        ).numbers
        assert json.loads(out.read_text())["srcc"] == pytest.approx(numbers["srcc"])
    for wrong, message in ((out, "exists already"), (guess, r"end in \.json")):
        with pytest.raises(SoundjudgeError, match=message):
            comparison.evaluate_files(guess, reference, None, FEW, out=wrong)


def test_a_compared_system_of_another_scale_is_told(tmp_path):
    cosine, _ = tables(tmp_path, range(10), [0.1 * n for n in range(10)])
    cosine = cosine.rename(tmp_path / "cosine.csv")
    first, reference = tables(tmp_path, range(10), [1, 0, 2, 3, 4, 5, 6, 7, 9, 8])
    files, out = [first, cosine], tmp_path / "numbers.json"
    remarks = comparison.compare_files(files, reference, FEW, out=out).other_scales
    assert list(remarks) == ["cosine"] and "within -1 to 1" in remarks["cosine"]
    assert json.loads(out.read_text())["mse_of_another_scale"] == remarks


def test_of_compared_systems_the_one_on_five_points_is_told(tmp_path):
    rows = [f"{n}.wav,{n / 2.9},{1 + n / 7.25},{n * n / 84.1}\n" for n in range(30)]
    header = "wav_file_name,average_score,five,ten\n"
    frame = pd.read_csv(write(tmp_path / "all.csv", header + "".join(rows)))
    for name in ("five", "ten"):
        renamed = frame.rename(columns={name: "pred_score"})
        renamed[["wav_file_name", "pred_score"]].to_csv(tmp_path / f"{name}.csv", index=False)
    files = [tmp_path / "five.csv", tmp_path / "ten.csv"]
    compared = comparison.compare_files(files, tmp_path / "all.csv", FEW)
    assert list(compared.other_scales) == ["five"]
    assert "pred_score runs from 1 to 5 and the mean" in compared.other_scales["five"]


@pytest.mark.parametrize(
    ("texts", "generators", "choice"),
    [(30, 30, None), (15, None, "text"), (16, 15, "model_id"), (6, 6, "both"), (5, 5, None)],
)
def test_intervals_over_pairs_that_share_texts_or_generators_are_said_to_be_narrow(
    tmp_path, texts, generators, choice
):
    names = [n % generators if generators else "" for n in range(30)]
    rows = [f"{n}.wav,t{n % texts},{names[n]},{n / 3},{n % 8}\n" for n in range(30)]
    header = "wav_file_name,text,model_id,average_score,pred_score\n"
    both = write(tmp_path / "both.csv", header + "".join(rows))
    other, out = write(tmp_path / "other.csv", both.read_text()), tmp_path / "numbers.json"
    numbers = comparison.evaluate_files(both, other, None, FEW).numbers
    compared = comparison.compare_files([both, other], both, FEW, out=out)
    written = json.loads(out.read_text())
    if choice is None:
        assert "intervals_over_pairs" not in numbers | written
    else:
        assert f"--cluster {choice} " in str(numbers["intervals_over_pairs"])
        assert written["intervals_over_pairs"] == numbers["intervals_over_pairs"]
        assert compared.narrow_intervals == numbers["intervals_over_pairs"]
    if choice == "both":
        clustered = dataclasses.replace(FEW, cluster="both")
        numbers = comparison.evaluate_files(both, other, None, clustered).numbers
        assert "intervals_over_pairs" not in numbers


def test_predictions_of_another_scale_are_told(tmp_path):
    guess, reference = tables(tmp_path, [1, 2, 3, 4], [0.1, 0.3, -0.2, 1.0])
    numbers = comparison.evaluate_files(guess, reference, None, FEW).numbers
    assert "within -1 to 1" in str(numbers["mse_of_another_scale"])
    guess, _ = tables(tmp_path, [1, 2, 3, 4], [0.1, 0.3, -0.2, 1.1])
    numbers = comparison.evaluate_files(guess, reference, None, FEW).numbers
    assert "mse_of_another_scale" not in numbers
    guess, _ = tables(tmp_path, [1, 2, 3, 4], [10, 80, 55, 100])
    numbers = comparison.evaluate_files(guess, reference, None, FEW).numbers
    assert "runs to 100: calibrate them" in str(numbers["mse_of_another_scale"])
    guess, _ = tables(tmp_path, [10, 80, 55, 100], [1, 3, 2, 4])
    with pytest.raises(SoundjudgeError, match="average_score 80.0 lies outside 0 to 10"):
        comparison.evaluate_files(guess, reference, None, FEW)


@pytest.mark.parametrize(("scale", "told"), [(5, "within 1 to 5"), (6, None), (1, "within 0 to 1")])
def test_mean_ratings_of_a_five_point_scale_are_told(tmp_path, scale, told):
    low = 0 if scale == 1 else 1
    header, clips = "wav_file_name,average_score,pred_score\n", range(20)
    rows = [f"{n}.wav,{low + (scale - low) * n / 19},{2 + n % 7}\n" for n in clips]
    both = write(tmp_path / "both.csv", header + "".join(rows))
    other = write(tmp_path / "other.csv", both.read_text())
    numbers = comparison.evaluate_files(both, other, None, FEW).numbers
    remarks = comparison.compare_files([both, other], both, FEW).other_scales
    if told is None:
        assert "mse_of_another_scale" not in numbers and not remarks
    else:
        assert told in str(numbers["mse_of_another_scale"])
        assert told in remarks["the reference"]


@pytest.mark.parametrize(("low", "step"), [(5.0, 0.0), (5.0, 1e-13), (0.0, 1e-310), (0.0, 0.0)])
def test_scores_without_a_spread_beyond_rounding_are_constant(tmp_path, low, step):
    guess, reference = tables(tmp_path, range(10), [low + step * n for n in range(10)])
    with pytest.raises(SoundjudgeError, match=r"constant(: no| has no) correlation"):
        comparison.evaluate_files(guess, reference, None, FEW)
