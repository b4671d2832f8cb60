"""The command line as people use it: results on stdout, one sentence for every mistake."""

import csv
import functools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_judge
import tiny_pairs
from optional_packages import soundfile
from tiny_pairs import read_cells, spoil
from typer.testing import CliRunner, Result

from soundjudge.cli import app
from soundjudge.scoring.judge.judge import Judge


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def sentence(result: Result) -> str:
    """The one line of an error, which has exit code 2 and no traceback."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert "Traceback" not in line
    return line


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return tiny_pairs.write_sounds(tmp_path / "sounds")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tiny_pairs.write_table(tmp_path / "table.csv")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "checkpoints/judge", root)


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """A folder is loaded in its first command alone: other tests are of loading."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "from_pretrained", functools.cache(Judge.from_pretrained))
        yield


def test_score_prints_one_number_and_the_score_id_beside_it(judge, sounds):
    result = run("score", sounds / "e.wav", "a dog barks", "--model", judge)
    assert result.exit_code == 0, result.output
    assert 0 <= float(result.stdout) <= 10
    assert result.stderr.startswith("tiny@1.0+")
    again = run("score", sounds / "e.wav", "a dog barks", "--model", judge, "--device", "cpu")
    assert again.stdout == result.stdout


def test_a_text_that_a_member_cuts_is_told(judge, sounds, tmp_path):
    long = run("score", sounds / "e.wav", "a dog " * 5, "--model", judge)
    assert long.exit_code == 0
    assert "the text is longer than a member reads" in long.stderr.splitlines()[1]
    assert long.stderr.splitlines()[1].startswith("cut text: ")
    table = tmp_path / "long.csv"
    table.write_text(f"wav_file_name,text\na.wav,{'a dog ' * 5}\nb.wav,a dog\n")
    out = ["--audio-dir", sounds, "-o", tmp_path / "out.csv", "--model", judge]
    told = run("score-table", table, *out).stderr
    assert "the text is longer than a member reads" in told and "(1 rows, a.wav first)" in told


def test_what_is_to_be_known_of_a_sound_is_told_beside_its_score(judge, sounds, tmp_path):
    soundfile.write(sounds / "silence.wav", np.zeros(16_000), 16_000)
    told = run("score", sounds / "silence.wav", "a dog", "--model", judge)
    assert told.exit_code == 0, told.output
    assert told.stderr.splitlines()[1] == "silent: its peak is below -60 dBFS"
    table = tmp_path / "flagged.csv"
    table.write_text("wav_file_name,text\ne.wav,a dog\nsilence.wav,a dog\nsilence.wav,a cat\n")
    out = ["--audio-dir", sounds, "-o", tmp_path / "out.csv", "--model", judge]
    told = run("score-table", table, *out)
    assert "silent: its peak is below -60 dBFS (2 rows, silence.wav first)" in told.stderr


def test_details_are_printed_behind_the_score_and_all_of_them_as_json(judge, sounds):
    words = ["score", sounds / "e.wav", "a dog barks", "--model", judge]
    plain = run(*words).stdout
    asked = run(*words, "--members", "--spread", "--windows").stdout.splitlines()
    assert asked[0] == plain.strip() and len(asked[0].split(".")[1]) == 4
    names = ["clapscore", "regress", "one", "two"]
    assert [line.split()[:2] for line in asked[1:5]] == [["member", name] for name in names]
    assert asked[5].startswith("spread ")
    assert asked[6:] == [f"window 0-0.5 s {plain.strip()}"]
    whole = json.loads(run(*words, "--json").stdout)
    assert whole["score"] == float(plain) and list(whole["members"]) == names
    assert whole["windows"] == [{"start": 0.0, "end": 0.5, "score": float(plain)}]
    assert whole["flags"] == [] and whole["score_id"].startswith("tiny@1.0+")
    assert "has no intervals" in sentence(run(*words, "--interval"))


def test_events_of_a_text_are_scored_by_themselves(judge, sounds):
    words = ["score", sounds / "e.wav", "A dog barks, then rain", "--model", judge]
    lines = run(*words, "--events").stdout.splitlines()
    for line, event in zip(lines[1:3], ("A dog barks", "rain"), strict=True):
        alone = run("score", sounds / "e.wav", event.capitalize(), "--model", judge).stdout.strip()
        assert line == f"event {alone} {event}"
    assert lines[3].startswith("lowest ") and lines[4].startswith("order ")
    assert len(json.loads(run(*words, "--events", "--json").stdout)["events"]) == 2
    assert "cannot be split into events" in sentence(
        run("score", sounds / "e.wav", "a dog", "--model", judge, "--events")
    )


def test_a_judge_of_simulated_ratings_says_so_once(judge, sounds, table, tmp_path):
    noted = Path(shutil.copytree(judge, tmp_path / "judge"))
    tiny_judge.forge(noted, lambda values: values.update(note="simulated ratings"))
    told = run("score", sounds / "e.wav", "a dog", "--model", noted).stderr
    assert told.count("simulated ratings") == 1
    out = ["--audio-dir", sounds, "-o", tmp_path / "out.csv", "--model", noted, "--batch-size", 1]
    assert run("score-table", table, *out).stderr.count("simulated ratings") == 1
    assert "simulated" not in run("score", sounds / "e.wav", "a dog", "--model", judge).stderr


def test_a_table_gets_details_as_columns_and_shards_add_up(judge, sounds, table, tmp_path):
    words = ["score-table", table, "--audio-dir", sounds, "--model", judge, "--spread", "--flags"]
    whole = tmp_path / "whole.csv"
    told = run(*words, "--members", "-o", whole, "--json")
    assert told.exit_code == 0, told.output
    summary = json.loads(told.stdout)
    assert (summary["rows"], summary["failed"], summary["output"]) == (5, 0, str(whole))
    added = read_cells(whole)[0][3:]
    members = ["member_clapscore", "member_regress", "member_one", "member_two"]
    assert added == ["pred_score", *members, "spread", "flags"]
    parts = []
    for number in (1, 2):
        out = tmp_path / f"{number}.csv"
        assert run(*words, "--members", "-o", out, "--shard", f"{number}/2").exit_code == 0
        parts += read_cells(out)[1:]
    assert parts == read_cells(whole)[1:]
    assert "write I/N" in sentence(run(*words, "--shard", "3/2"))
    other = run(*words, "-o", whole, "--resume")
    assert "resume with the options of the first run" in other.stderr.splitlines()[-1]


def test_a_mean_per_system_is_told_where_a_table_has_several(judge, sounds, tmp_path):
    table, out = tmp_path / "systems.csv", tmp_path / "out.csv"
    table.write_text(
        "wav_file_name,text,model_id\na.wav,rain,tango\nb.wav,rain,tango\nc.wav,rain,gen\n"
    )
    words = ["score-table", table, "--audio-dir", sounds, "--model", judge, "-o", out, "--json"]
    told = run(*words)
    a, b, c = (float(row[3]) for row in read_cells(out)[1:])
    means = dict(sorted({"tango": (a + b) / 2, "gen": c}.items(), key=lambda pair: -pair[1]))
    listed = ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
    assert f"mean by model_id: {listed}; `soundjudge report` " in told.stderr
    assert "rows, scored by" in told.stderr  # no mean of both
    systems = json.loads(told.stdout)["systems"]
    assert systems == {"column": "model_id", "means": pytest.approx(means)}


def test_a_table_goes_through_standard_input_and_output(judge, sounds, tmp_path):
    lines = f'{{"audio_path": "{sounds / "a.wav"}", "caption": "a dog", "n": 1.50}}\n'
    result = CliRunner().invoke(app, ["score-table", "-", "--model", str(judge)], input=lines)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(lines.rstrip("}\n") + ', "pred_score": ')
    assert set(json.loads(result.stdout)) == {"audio_path", "caption", "n", "pred_score"}


def test_sounds_are_ranked_for_a_text_and_what_is_not_told_apart_shares_a_rank(
    judge, sounds, tmp_path
):
    paths = [sounds / f"{name}.wav" for name in "abcde"]
    result = run("rank", "a dog barks", *paths, "--model", judge)
    assert result.exit_code == 0, result.output
    rows = [line.split("  ") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == list("12345")
    for _, value, name in rows:
        alone = run("score", name, "a dog barks", "--model", judge).stdout
        assert float(value) == pytest.approx(float(alone), abs=1e-4)
    values = [float(row[1]) for row in rows]
    assert values == sorted(values, reverse=True) and values[0] - values[4] > 0.1
    assert "none is a tie" in result.stderr

    noisy = Path(shutil.copytree(judge, tmp_path / "judge"))
    learned = {"coverage": 0.9, "floor": 1.0, "slope": 0.0, "quantile": 1.0}
    difference = (values[0] - values[3]) / 2 + (values[0] - values[4]) / 2
    tiny_judge.forge(noisy, lambda v: v.update(intervals=learned | {"difference": difference}))
    told = run("rank", "a dog barks", *paths, "--model", noisy, "--json")
    record = json.loads(told.stdout)
    assert record["score_id"] == told.stderr.splitlines()[0] and record["precision"] == "fp32"
    ranks = [row["rank"] for row in record["ranked"]]
    assert ranks == [1, 1, 1, 1, 2]  # the last is lower than the first alone by that much
    assert f"within {difference:.1f} points" in told.stderr


def test_texts_are_ranked_for_a_sound(judge, sounds, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("a dog barks\n\nrain\r\nan engine\n")
    result = run("rank", sounds / "e.wav", "--texts", texts, "--model", judge)
    assert sorted(line.split("  ")[2] for line in result.stdout.splitlines()) == [
        "a dog barks", "an engine", "rain",
    ]  # fmt: skip
    assert "one sound and --texts FILE" in sentence(run("rank", "a dog", "--model", judge))
    both = run("rank", sounds / "e.wav", sounds / "a.wav", "--texts", texts, "--model", judge)
    assert "one sound and --texts FILE" in sentence(both)
    texts.write_text("\n")
    assert "has no text" in sentence(run("rank", sounds / "e.wav", "--texts", texts))


def test_a_wrong_column_or_a_missing_sound_costs_no_loading(tmp_path, sounds):
    table = tmp_path / "table.csv"
    for content, reason in (
        ("wav_file_name,words\na.wav,x\n", "no column of texts"),
        ("wav_file_name,text\nz.wav,x\n", "z.wav is missing; 1 of 1 sounds are"),
    ):
        table.write_text(content)
        words = ["score-table", table, "--audio-dir", sounds, "-o", tmp_path / "out.csv"]
        # The judge is not there, and that is not what is complained of.
        assert reason in run(*words, "--model", tmp_path / "nowhere").stderr.splitlines()[-1]


def test_a_text_that_begins_like_an_option_goes_behind_two_dashes(judge, sounds):
    dashed = run("score", "--model", judge, "--", sounds / "e.wav", "-dog barks")
    assert dashed.exit_code == 0, dashed.output
    for text in ("-dog barks", "--dog barks"):
        assert "goes behind --" in run("score", sounds / "e.wav", text).stderr
    assert "behind --" not in run("score", sounds / "e.wav", "a dog", "--modle", judge).stderr


def test_a_text_in_a_wrong_encoding_is_one_sentence(judge, sounds):
    assert "half a character" in sentence(
        run("score", sounds / "e.wav", "d\udcf6g", "--model", judge)
    )


def test_score_table_agrees_with_score(judge, sounds, table, tmp_path):
    out = tmp_path / "out.csv"
    result = run("score-table", table, "--audio-dir", sounds, "-o", out, "--model", judge)
    assert result.exit_code == 0, result.output
    assert "5 rows" in result.stderr and "tiny@1.0+" in result.stderr
    for _, name, text, value in read_cells(out)[1:]:
        alone = run("score", sounds / name, text, "--model", judge)
        assert float(alone.stdout) == pytest.approx(float(value), abs=1e-4)


def test_a_table_has_the_same_scores_in_batches_of_any_size(judge, sounds, table, tmp_path):
    words = ["score-table", table, "--audio-dir", sounds, "--model", judge]
    outs = {size: tmp_path / f"{size}.csv" for size in (1, 2, 5)}
    for size, out in outs.items():
        assert run(*words, "-o", out, "--batch-size", size).exit_code == 0
    assert len({out.read_bytes() for out in outs.values()}) == 1
    assert all(len(row[-1].split(".")[1]) == 4 for row in read_cells(outs[1])[1:])


def test_score_table_writes_over_nothing_unasked(judge, sounds, table, tmp_path):
    out = tmp_path / "out.csv"
    words = ["score-table", table, "--audio-dir", sounds, "--model", judge, "-o", out]
    out.write_text("mine\n")
    refused = run(*words)
    assert refused.exit_code == 2
    assert "out.csv exists already" in refused.stderr.splitlines()[-1]
    assert out.read_text() == "mine\n"
    assert "exclude one another" in run(*words, "--resume", "--overwrite").stderr
    assert run(*words, "--overwrite").exit_code == 0
    assert "5 of them before" in run(*words, "--resume").stderr


def test_rows_without_a_score_show_in_the_exit_code(judge, sounds, table, tmp_path):
    spoil(sounds)
    words = ["score-table", table, "--audio-dir", sounds, "--model", judge, "-o"]
    stopped = run(*words, tmp_path / "fail.csv")
    assert stopped.exit_code == 2
    assert "row 5" in stopped.stderr.splitlines()[-1]  # it is missing: known before row 3 is read
    left_out = run(*words, tmp_path / "skip.csv", "--on-error", "skip")
    assert left_out.exit_code == 1
    with (tmp_path / "skip.csv").open() as file:
        scores = [float(row["pred_score"]) for row in csv.DictReader(file)]
    mean = sum(scores) / 3
    assert f"3 of 5 rows, mean {mean:.4f}, scored by tiny@" in left_out.stderr
    assert "2 rows have no score: " in left_out.stderr and "--audio-dir" not in left_out.stderr
    (tmp_path / "empty").mkdir()
    words[words.index(sounds)] = tmp_path / "empty"
    nothing = run(*words, tmp_path / "none.csv", "--on-error", "skip")
    assert "0 of 5 rows, scored by" in nothing.stderr
    assert "errors.csv, all of them: is --audio-dir right?" in nothing.stderr


def test_mistakes_are_one_sentence_each(judge, sounds, tmp_path):
    nowhere = tmp_path / "nowhere.wav"
    assert "nowhere.wav" in sentence(run("score", nowhere, "a dog", "--model", judge))
    wave = sounds / "a.wav"
    assert "dvc repro package" in sentence(run("score", wave, "a dog", "--model", tmp_path))
    assert "text is empty" in sentence(run("score", wave, " ", "--model", judge))
    assert "abacus" in sentence(run("score", wave, "a dog", "--model", judge, "--device", "abacus"))
    assert "a.csv" in sentence(
        run("submit", tmp_path / "a.csv", "--list", tmp_path / "a.csv", "-o", tmp_path / "b.csv")
    )
    assert "no.yaml" in sentence(run("doctor", "--params", tmp_path / "no.yaml"))


RATINGS = """wav_file_name,text,score,listener_id,room
a,x,10,l1,"3, left"
a,x,4,l2,3
b,y,2,l1,3
b,y,3,l2,3
b,y,9,l3,3
"""


def test_screen_keeps_rows_columns_and_order_as_they_were(tmp_path):
    ratings, kept = tmp_path / "ratings.csv", tmp_path / "kept.csv"
    ratings.write_text(RATINGS)
    # a: 10 and 4 are 6 apart; b: 2 and 3 agree, 9 is 6 from the nearest
    result = run("screen", ratings, "--tolerance", 5, "-o", kept)
    assert result.exit_code == 0
    assert "kept 2 of 5" in result.stderr
    lines = RATINGS.splitlines(keepends=True)
    assert kept.read_text() == "".join([lines[0], lines[3], lines[4]])
    run("screen", ratings, "--tolerance", 6, "-o", kept, "--overwrite")
    assert kept.read_text() == RATINGS
    nothing = run("screen", ratings, "--tolerance", 0.5, "-o", kept, "--overwrite")
    assert nothing.exit_code == 2
    assert "lie within 0.5 points" in nothing.stderr.splitlines()[-1]  # behind a note
    words = ["screen", ratings, "--tolerance", 5, "--method", "listener", "-o", kept]
    assert "listener has no use for it" in sentence(run(*words, "--overwrite"))


def test_standardize_uses_the_statistics_of_the_training_listeners(tmp_path):
    train, new, out = (tmp_path / f"{name}.csv" for name in ("train", "new", "out"))
    train.write_text(
        "wav_file_name,text,score,listener_id\na,x,4,l1\nb,y,8,l1\na,x,6,l2\nb,y,7,l2\n"
    )
    new.write_text("wav_file_name,text,score,listener_id\nc,z,8,l1\nc,z,5,l9\n")
    result = run("standardize", new, "-o", out, "--statistics-from", train, "--published")
    assert result.exit_code == 0, result.output
    # l1: mean 6, std 8**.5; l2: mean 6.5, std .5**.5; all others: mean 6.25, std ((8 + .5) / 2)**.5
    expected = ((8 - 6) / 8**0.5 + (5 - 6.25) / 4.25**0.5) / 2
    header, row = read_cells(out)
    assert header == ["wav_file_name", "text", "mean_score", "spo_score", "ratings"]
    assert row[:2] == ["c", "z"]
    assert [float(cell) for cell in row[2:]] == pytest.approx([6.5, expected, 2])


def test_standardize_alone_uses_the_ratings_themselves(tmp_path):
    ratings, out = tmp_path / "ratings.csv", tmp_path / "out.csv"
    ratings.write_text("wav_file_name,text,score,listener_id\na,x,4,l1\nb,y,8,l1\n")
    assert run("standardize", ratings, "-o", out, "--published").exit_code == 0
    # mean 6, std 8**.5
    assert [float(row[3]) for row in read_cells(out)[1:]] == pytest.approx([-(0.5**0.5), 0.5**0.5])


def test_evaluate_writes_flat_numbers(tmp_path):
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5, 8.0, 9.7]
    (tmp_path / "average.csv").write_text(
        "wav_file_name,text,average_score\n" + "".join(f"{n},t,{v}\n" for n, v in enumerate(values))
    )
    (tmp_path / "guess.csv").write_text(
        "wav_file_name,text,pred_score\n"
        + "".join(f"{n},t,{v / 2 + 1}\n" for n, v in enumerate(values))
    )
    out = tmp_path / "metrics.json"
    guess, average = tmp_path / "guess.csv", tmp_path / "average.csv"
    result = run("evaluate", guess, "--reference", average, "-o", out)
    assert result.exit_code == 0, result.output
    numbers = json.loads(out.read_text())
    assert {"srcc", "lcc", "ktau", "mse", "pairs", "srcc_lo", "srcc_hi"} <= numbers.keys()
    assert numbers["srcc"] == pytest.approx(1.0)
    assert numbers["pairs"] == 10
    assert "srcc 1.0000" in result.stdout
    compared = run("compare", guess, guess, "--reference", average)
    assert compared.exit_code == 0, compared.output
    assert "need several trainings" in compared.stderr
    header, *rows = [line.split() for line in compared.stdout.splitlines()]
    assert [row[0] for row in rows] == ["srcc", "lcc", "ktau", "mse"]
    assert {row[header.index("difference") + 2] for row in rows} == {"0.0000"}


def test_submit_writes_the_format_of_the_challenge(tmp_path):
    (tmp_path / "list.csv").write_text("wav_file_name,text\nb,y\na,x\n")
    (tmp_path / "guess.csv").write_text("wav_file_name,text,pred_score\na,x,1.005\nb,y,2\n")
    out = tmp_path / "out.csv"
    result = run("submit", tmp_path / "guess.csv", "--list", tmp_path / "list.csv", "-o", out)
    assert result.exit_code == 0, result.output
    assert out.read_text() == "wav_file_name,pred_score\nb,2.00\na,1.00\n"


def test_submission_writes_the_whole_entry_and_says_what_is_not_known(judge, tmp_path):
    (tmp_path / "list.csv").write_text("wav_file_name,text\nb,y\na,x\n")
    (tmp_path / "guess.csv").write_text("wav_file_name,text,pred_score\na,x,1.005\nb,y,2\n")
    out = tmp_path / "submission.zip"
    result = run(
        "submission", tmp_path / "guess.csv", "--list", tmp_path / "list.csv", "-o", out,
        "--model", judge,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["guess.csv", "guess.yaml"]
    assert "guess: 2 rows, 1.00 to 2.00, checked" in result.stderr
    assert "guess.yaml: complete 5 lines that say TODO" in result.stderr
    assert "not known: the 2027 rules" in result.stderr


def test_help_does_not_load_torch():
    code = (
        "import sys\nfrom soundjudge.cli import app\n"
        "heavy = {'torch', 'transformers', 'pandas', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", [["score"], ["rank", "--texts", "texts.txt"], ["rank"]])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Dog.WAV", "'dog.wav' is there"),
        ("dog.wav ", "'dog.wav' is there"),
        ("sub\\cat.wav", "write /"),
    ],
)
def test_a_missing_sound_of_almost_that_name_is_told(tmp_path, monkeypatch, command, name, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for path in ("dog.wav", "sub/cat.wav"):
        (tmp_path / path).write_bytes(b"RIFF")
    (tmp_path / "texts.txt").write_text("a dog\n")
    words = [*command, name] if "--texts" in command else [*command, "a dog", name]
    result = run(*(["score", name, "a dog"] if command == ["score"] else words))
    assert result.exit_code == 2
    assert "there is no such file, but " in result.output and hint in result.output


@pytest.mark.slow
def test_names_of_files_are_printed_as_the_bytes_they_are(judge, tmp_path):
    """In a process of its own: the encoding of standard output is the system's affair."""
    name = os.fsdecode(b"d\xffg \xe2\x82\xac.wav")
    tiny_judge.write_sound(tmp_path / "a.wav")
    (tmp_path / "a.wav").rename(tmp_path / name)
    command = [sys.executable, "-m", "soundjudge", "rank", "--model", str(judge), "a dog", name]
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    printed = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=True
    ).stdout
    assert printed.rstrip(b"\n").endswith(os.fsencode(name))
