"""What a user can correct is one sentence and exit code 2; a bug traces back, to be reported."""

import inspect
import shutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner, Result

from soundjudge.cli import app, console
from soundjudge.cli.evaluation_commands import compare, evaluate
from soundjudge.cli.rating_commands import reliability, study
from soundjudge.errors import SoundjudgeError
from soundjudge.labels import rating_reports
from soundjudge.scoring.evaluation import report
from soundjudge.scoring.files import comparison

EVALUATE = ["evaluate", "guess.csv", "--reference", "average.csv"]


def run_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Result:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(comparison, "evaluate_files", fail)
    return CliRunner().invoke(app, EVALUATE)


@pytest.mark.slow
def test_a_shape_error_inside_traces_back_and_asks_for_a_report(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from soundjudge.cli import main\n"
        "from soundjudge.scoring.files import comparison\n"
        "comparison.evaluate_files = lambda *_, **__: np.ones(2) @ np.ones(3)\n"
        f"sys.argv = ['soundjudge', *{EVALUATE}]\n"
        "main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = run.stderr.splitlines()
    assert run.returncode == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2].startswith("ValueError: matmul")
    assert lines[-1] == "this is a bug of soundjudge: please report it with the lines above"


@pytest.mark.parametrize(
    "error", [ValueError("x"), RuntimeError("x"), ImportError("x"), KeyError(1)]
)
def test_only_what_a_user_can_correct_is_a_sentence(monkeypatch, error):
    result = run_with(error, monkeypatch)
    assert result.exception is error
    assert error.__notes__ == [console.BUG]


FULL = "the disk is full: make room and run again, with --resume if there is one"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SoundjudgeError("a.csv\nis bad"), "soundjudge: a.csv is bad\n"),
        (FileNotFoundError(2, "No such file", "b.csv"), "soundjudge: b.csv: No such file\n"),
        (ConnectionError("refused"), "soundjudge: refused\n"),
        (OSError(28, "No space left on device"), f"soundjudge: {FULL}\n"),
        (OSError(28, "No space left on device", "c.csv"), f"soundjudge: c.csv: {FULL}\n"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_traces_back_on_demand(monkeypatch, error, sentence):
    result = run_with(error, monkeypatch)
    assert (result.exit_code, result.stderr) == (2, sentence)
    monkeypatch.setenv("SOUNDJUDGE_DEBUG", "1")
    result = run_with(error, monkeypatch)
    assert result.exception is error
    assert not hasattr(error, "__notes__")


def test_too_little_memory_is_a_sentence_with_the_remedy(monkeypatch):
    with pytest.raises(RuntimeError) as on_cpu:
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(MemoryError) as in_numpy:
        np.empty(2**60, dtype=np.uint8)
    on_gpu = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    for error in (on_cpu.value, in_numpy.value, on_gpu, torch.cuda.OutOfMemoryError()):
        result = run_with(error, monkeypatch)
        assert result.exit_code == 2
        assert result.stderr.startswith("soundjudge: out of memory: choose a smaller --batch-size")


def test_what_typer_refuses_is_its_own_message():
    result = CliRunner().invoke(app, ["evaluate", "guess.csv", "--resamples", "many"])
    assert result.exit_code == 2
    assert "Invalid value for '--resamples'" in result.stderr
    assert console.BUG not in result.stderr


@pytest.mark.slow
def test_the_version_is_that_of_the_installed_package():
    for command in (["soundjudge"], [sys.executable, "-m", "soundjudge"]):
        run = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert run.stdout == f"soundjudge {version('soundjudge')}\n"


@pytest.mark.parametrize(
    ("command", "function"),
    [
        (evaluate, report.evaluate),
        (compare, report.compare),
        (reliability, rating_reports.reliability),
        (study, rating_reports.study),
    ],
)
def test_a_command_and_its_function_have_the_same_defaults(command, function):
    of_command, of_function = (inspect.signature(one).parameters for one in (command, function))
    names = {"resamples", "seed", "splits", "held_out"} & set(of_function)
    assert names >= {"resamples", "seed"}
    for name in names:
        assert of_command[name].default == of_function[name].default


def test_a_p_value_has_two_significant_digits_and_other_numbers_four_decimals(capsys):
    """In four decimals the first would be 0.0001, and the second 0."""
    table = pd.DataFrame({"difference": [0.000123, -0.5], "p_bootstrap": [0.000123, 3.84e-17]})
    console.print_table(table)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["difference", "p_bootstrap"], ["0.0001", "0.00012"], ["-0.5000", "3.8e-17"]]


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        ("study r.csv --scale 1 5", "study r.csv --scale 1:5"),
        ("study r.csv --scale -3 3 --seed 1", "study r.csv --scale -3:3 --seed 1"),
        ("study --scale 0.5 5.0 r.csv", "study --scale 0.5:5.0 r.csv"),
        ("study --scale 1-5 6", "study --scale 1-5 6"),
        ("study --scale 1 r.csv", "study --scale 1 r.csv"),
        ("study --seed 1 5", "study --seed 1 5"),
    ],
)
def test_the_two_ends_of_a_scale_may_be_two_words(words, joined):
    assert console.join_scale(words.split()) == joined.split()


@pytest.mark.parametrize("command", ["screen", "standardize", "study", "reliability", "evaluate"])
def test_the_help_of_every_scale_names_both_forms(command):
    help_text = " ".join(CliRunner().invoke(app, [command, "--help"]).output.split())
    assert "Lowest and highest rating where not 0-10: 1-5 or 1 5." in help_text


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("[Errno 28] No space left on device: 'a' -> 'b'", FULL),
        ("[Errno 30] Read-only file system: 'b'", "[Errno 30] Read-only file system: 'b'"),
    ],
)
def test_a_folder_that_cannot_be_copied_is_one_sentence(monkeypatch, reason, sentence):
    result = run_with(shutil.Error([("a", "b", reason), ("c", "d", reason)]), monkeypatch)
    assert (result.exit_code, result.stderr) == (2, f"soundjudge: {sentence}\n")
