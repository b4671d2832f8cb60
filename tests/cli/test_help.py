"""Help names every command once, by task, and shows examples that can be run."""

import re
import shlex

import pytest
import typer
from typer.testing import CliRunner

from soundjudge import Judge
from soundjudge.cli import app, console
from soundjudge.cli.examples import TASKS
from soundjudge.errors import HubError, SoundjudgeError

GROUP = typer.main.get_command(app)
EXAMPLES = [line for task in TASKS.values() for lines in task.values() for line in lines]


def test_every_command_belongs_to_one_task_and_has_an_example():
    named = [name for names in TASKS.values() for name in names]
    assert sorted(named) == sorted(GROUP.commands)
    assert all(lines for names in TASKS.values() for lines in names.values())


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_is_understood_by_the_command_that_shows_it(line):
    program, name, *words = shlex.split(line.partition(" > ")[0])
    assert program == "soundjudge"
    GROUP.commands[name].make_context(name, words)  # raises UsageError


def test_help_shows_each_example_on_a_line_of_its_own():
    for names in TASKS.values():
        for name, lines in names.items():
            shown = CliRunner().invoke(app, [name, "--help"]).output
            assert re.findall(r"^    (soundjudge .*)$", shown, re.MULTILINE) == list(lines)


def test_the_overview_has_the_tasks_in_order_and_no_sentence_that_is_cut():
    overview = CliRunner().invoke(app, ["--help"]).output
    headings = re.findall(r"^(\S.*):$", overview, re.MULTILINE)
    assert headings == ["Options", *TASKS]
    assert "..." not in overview.partition("Score sounds:")[2]


def test_a_hub_that_is_switched_off_is_the_reason_that_is_told(monkeypatch, tmp_path):
    error = HubError("the hub does not provide hf://owner/name")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert console.error_sentence(error) == "the hub does not provide hf://owner/name"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    told = console.error_sentence(error)
    assert told == f"{error}: HF_HUB_OFFLINE is set; unset it to download"
    named = HubError("HF_HUB_OFFLINE is set, so nothing is downloaded")
    assert console.error_sentence(named) == str(named)
    assert console.error_sentence(SoundjudgeError("x")) == "x"
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(SoundjudgeError) as no_judge:
        Judge.from_pretrained("hf://owner/name")
    assert "HF_HUB_OFFLINE is set" in str(console.error_sentence(no_judge.value))


def test_a_network_that_is_down_is_the_reason_that_is_told(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    error = HubError("the hub does not provide hf://owner/name")
    error.__cause__ = RuntimeError("cannot find the snapshot folder")
    assert console.error_sentence(error) == str(error)  # what is behind it tells nobody anything
    error.__cause__.__context__ = OSError(-2, "Name or service not known")
    assert console.error_sentence(error) == f"{error}: the network says 'Name or service not known'"
