"""The command line as people use it: results on stdout, one sentence for every mistake."""

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_judge
from typer.testing import CliRunner, Result

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files.score_table import score_table

NAMES = ["a.wav", "b.wav", "c.wav", "d.wav", "e.wav"]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def sentence(result: Result) -> str:
    """The one line of an error, which has exit code 2 and no traceback."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert "Traceback" not in line
    return line


class Counting:
    """A judge whose score is the length of the sound in milliseconds over 100; it can be killed."""

    def __init__(self, dies_after: int = 1000) -> None:
        self.scored, self.dies_after = 0, dies_after

    def score_waves(
        self, waves: Sequence[np.ndarray], texts: Sequence[str], batch_size: int
    ) -> list[float]:
        self.scored += len(waves)
        if self.scored > self.dies_after:
            raise KeyboardInterrupt
        return [len(wave) / 1600 for wave in waves]


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number, name in enumerate(NAMES, start=1):
        soundfile.write(folder / name, tiny_judge.noise(0.1 * number, number), 16_000)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "wav_file_name", "text"])
        writer.writerows([f"00{n}", name, f'dog, "{n}"\nline'] for n, name in enumerate(NAMES))
    return path


def score(table: Path, sounds: Path, out: Path, judge: Counting, **changed: object) -> object:
    options = {"on_error": "fail", "resume": False, "batch_size": 2}
    return score_table(
        judge, table, sounds, out, progress=lambda done, total: None, **(options | changed)
    )


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_table_gets_its_scores_in_order_with_all_its_columns(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    summary = score(table, sounds, out, Counting())
    assert (summary.rows, summary.found, summary.failed) == (5, 0, 0)
    assert rows(out)[0] == ["id", "wav_file_name", "text", "pred_score"]
    assert [row[:3] for row in rows(out)] == rows(table)
    assert [float(row[3]) for row in rows(out)[1:]] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert not (tmp_path / "out.csv.errors.csv").exists()


@pytest.mark.parametrize("cut", [0, 7])
def test_a_killed_run_goes_on_where_it_stopped(table, sounds, tmp_path, cut):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    score(table, sounds, whole, Counting())
    with pytest.raises(KeyboardInterrupt):
        score(table, sounds, out, Counting(dies_after=4))
    assert len(rows(out)) == 1 + 4
    # A kill may come in the middle of a line, too.
    out.write_bytes(out.read_bytes()[: len(out.read_bytes()) - cut])
    judge = Counting()
    summary = score(table, sounds, out, judge, resume=True)
    assert summary.found == (3 if cut else 4)
    assert judge.scored == 1 + 5 - summary.found  # one old row again, to see that it is one judge
    assert out.read_bytes() == whole.read_bytes()


def test_resuming_a_finished_table_changes_nothing(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    score(table, sounds, out, Counting())
    before = out.read_bytes()
    assert score(table, sounds, out, Counting(), resume=True).found == 5
    assert out.read_bytes() == before


def test_without_resume_a_table_is_scored_afresh(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("anything\n")
    judge = Counting()
    score(table, sounds, out, judge)
    assert judge.scored == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("b.wav", "z.wav"), "row 2 .* not what the table has"),
        (lambda text: text.replace("id,", "nr,"), "has not the columns"),
        (lambda text: text.replace(",1.0\n", ",1.7\n").replace(",5.0\n", ",5.5\n"), "this judge"),
        (lambda text: text.replace(",2.0\n", ",x\n"), "'x' is no score"),
        (lambda text: text.replace(",2.0\n", ",\n"), "not what the table has"),
        (lambda text: text + text.splitlines()[1] + '\nline",9.0\n', "row 6"),
    ],
)
def test_an_output_that_is_not_this_runs_is_not_resumed(table, sounds, tmp_path, change, reason):
    out = tmp_path / "out.csv"
    score(table, sounds, out, Counting())
    out.write_text(change(out.read_text()))
    with pytest.raises((SoundjudgeError, SoundjudgeError), match=reason):
        score(table, sounds, out, Counting(), resume=True)


def spoil(sounds: Path) -> None:
    (sounds / "c.wav").write_bytes(b"no sound")
    (sounds / "e.wav").unlink()


def test_a_bad_sound_ends_the_run_and_after_mending_it_goes_on(table, sounds, tmp_path):
    out, report = tmp_path / "out.csv", tmp_path / "out.csv.errors.csv"
    good = (sounds / "d.wav").read_bytes()
    (sounds / "d.wav").write_bytes(b"no sound")
    with pytest.raises(SoundjudgeError, match=r"table\.csv row 4: .*d\.wav.*--resume"):
        score(table, sounds, out, Counting())
    assert len(rows(out)) == 1 + 3  # what was before it in the batch is kept
    assert [row[:2] for row in rows(report)] == [["row", "wav_file_name"], ["4", "d.wav"]]
    (sounds / "d.wav").write_bytes(good)
    assert score(table, sounds, out, Counting(), resume=True).found == 3
    assert len(rows(out)) == 1 + 5
    assert not report.exists()


@pytest.mark.parametrize("policy", ["skip", "nan"])
@pytest.mark.parametrize("dies_after", [0, 2, 1000])
def test_bad_sounds_are_reported_and_never_a_number(table, sounds, tmp_path, policy, dies_after):
    spoil(sounds)
    out, report = tmp_path / "out.csv", tmp_path / "out.csv.errors.csv"
    if dies_after < 1000:
        with pytest.raises(KeyboardInterrupt):
            score(table, sounds, out, Counting(dies_after), on_error=policy)
    summary = score(table, sounds, out, Counting(), on_error=policy, resume=True)
    assert summary.failed == 2
    found = {row[1]: row[3] for row in rows(out)[1:]}
    kept = {"a.wav": "1.0", "b.wav": "2.0", "d.wav": "4.0"}
    assert found == (kept if policy == "skip" else kept | {"c.wav": "", "e.wav": ""})
    assert [row[1] for row in rows(out)[1:]] == sorted(found)
    assert [(row[0], row[1]) for row in rows(report)[1:]] == [("3", "c.wav"), ("5", "e.wav")]
    assert all(row[3] for row in rows(report))


def test_a_table_that_cannot_be_scored_is_refused_before_anything_is_written(sounds, tmp_path):
    out = tmp_path / "out.csv"
    for content, reason in (
        ("wav_file_name,caption\na.wav,x\n", "'text' is missing"),
        ("wav_file_name,text\n", "no rows"),
        ("wav_file_name,text,pred_score\na.wav,x,1\n", "pred_score"),
        ("wav_file_name,text\na.wav,\n", "row 1"),
    ):
        table = tmp_path / "table.csv"
        table.write_text(content)
        with pytest.raises(ValueError, match=reason):
            score(table, sounds, out, Counting())
    with pytest.raises(SoundjudgeError, match="is the table itself"):
        score(table, sounds, table, Counting())
    with pytest.raises(SoundjudgeError, match="is no folder"):
        score(table, sounds / "nowhere", out, Counting())
    assert not out.exists()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "checkpoints/judge", root)


def test_score_prints_one_number_and_the_score_id_beside_it(judge, sounds):
    result = run("score", sounds / "e.wav", "a dog barks", "--model", judge)
    assert result.exit_code == 0, result.output
    assert 0 <= float(result.stdout) <= 10
    assert result.stderr.startswith("tiny@1.0+")
    again = run("score", sounds / "e.wav", "a dog barks", "--model", judge, "--device", "cpu")
    assert again.stdout == result.stdout


def test_score_table_agrees_with_score(judge, sounds, table, tmp_path):
    out = tmp_path / "out.csv"
    result = run("score-table", table, "--audio-dir", sounds, "-o", out, "--model", judge)
    assert result.exit_code == 0, result.output
    assert "5 rows" in result.stderr and "tiny@1.0+" in result.stderr
    for _, name, text, value in rows(out)[1:]:
        alone = run("score", sounds / name, text, "--model", judge)
        assert float(alone.stdout) == pytest.approx(float(value), abs=1e-4)


def test_rows_without_a_score_show_in_the_exit_code(judge, sounds, table, tmp_path):
    spoil(sounds)
    words = ["score-table", table, "--audio-dir", sounds, "--model", judge, "-o"]
    stopped = run(*words, tmp_path / "fail.csv")
    assert stopped.exit_code == 2
    assert "row 3" in stopped.stderr.splitlines()[-1]
    left_out = run(*words, tmp_path / "skip.csv", "--on-error", "skip")
    assert left_out.exit_code == 1
    assert "2 rows have no score" in left_out.stderr


def test_mistakes_are_one_sentence_each(judge, sounds, tmp_path):
    nowhere = tmp_path / "nowhere.wav"
    assert "nowhere.wav" in sentence(run("score", nowhere, "a dog", "--model", judge))
    wave = sounds / "a.wav"
    assert "dvc repro package" in sentence(run("score", wave, "a dog", "--model", tmp_path))
    assert "text is empty" in sentence(run("score", wave, " ", "--model", judge))
    assert "abacus" in sentence(run("score", wave, "a dog", "--model", judge, "--device", "abacus"))
    assert "a.csv" in sentence(
        run("submit", tmp_path / "a.csv", "--list", tmp_path / "a.csv", "-o", nowhere)
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
    run("screen", ratings, "--tolerance", 6, "-o", kept)
    assert kept.read_text() == RATINGS
    assert "lie within 0.5 points" in sentence(
        run("screen", ratings, "--tolerance", 0.5, "-o", kept)
    )


def test_standardize_uses_the_statistics_of_the_training_listeners(tmp_path):
    train, new, out = (tmp_path / f"{name}.csv" for name in ("train", "new", "out"))
    train.write_text(
        "wav_file_name,text,score,listener_id\na,x,4,l1\nb,y,8,l1\na,x,6,l2\nb,y,7,l2\n"
    )
    new.write_text("wav_file_name,text,score,listener_id\nc,z,8,l1\nc,z,5,l9\n")
    result = run("standardize", new, "-o", out, "--statistics-from", train)
    assert result.exit_code == 0, result.output
    # l1: mean 6, std 8**.5; l2: mean 6.5, std .5**.5; all others: mean 6.25, std ((8 + .5) / 2)**.5
    expected = ((8 - 6) / 8**0.5 + (5 - 6.25) / 4.25**0.5) / 2
    header, row = rows(out)
    assert header == ["wav_file_name", "text", "mean_score", "spo_score", "ratings"]
    assert row[:2] == ["c", "z"]
    assert [float(cell) for cell in row[2:]] == pytest.approx([6.5, expected, 2])


def test_standardize_alone_uses_the_ratings_themselves(tmp_path):
    ratings, out = tmp_path / "ratings.csv", tmp_path / "out.csv"
    ratings.write_text("wav_file_name,text,score,listener_id\na,x,4,l1\nb,y,8,l1\n")
    assert run("standardize", ratings, "-o", out).exit_code == 0
    # mean 6, std 8**.5
    assert [float(row[3]) for row in rows(out)[1:]] == pytest.approx([-(0.5**0.5), 0.5**0.5])


def test_evaluate_writes_flat_numbers(tmp_path):
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0]
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
    found = json.loads(out.read_text())
    assert {"srcc", "lcc", "ktau", "mse", "n", "srcc_lo", "srcc_hi"} <= found.keys()
    assert found["srcc"] == pytest.approx(1.0)
    assert found["n"] == 7
    assert "srcc 1.0000" in result.stdout
    compared = run("compare", guess, guess, "--reference", average)
    assert compared.exit_code == 0, compared.output
    assert "difference 0.0000" in compared.stdout


def test_submit_writes_the_format_of_the_challenge(tmp_path):
    (tmp_path / "list.csv").write_text("wav_file_name,text\nb,y\na,x\n")
    (tmp_path / "guess.csv").write_text("wav_file_name,text,pred_score\na,x,1.005\nb,y,2\n")
    out = tmp_path / "out.csv"
    result = run("submit", tmp_path / "guess.csv", "--list", tmp_path / "list.csv", "-o", out)
    assert result.exit_code == 0, result.output
    assert out.read_text() == "wav_file_name,pred_score\nb,2.00\na,1.00\n"


def test_help_does_not_load_torch():
    code = (
        "import sys\nfrom soundjudge.cli import app\n"
        "heavy = {'torch', 'transformers', 'pandas', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
