"""The page of learning curves: every history is in it, on axes that members of a kind share."""

import re
from pathlib import Path

import pytest
from html_elements import Elements
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.page import training_curves
from soundjudge.training.last_fit import selected_length
from soundjudge.training.loop.history import write_history


def history(path: Path, *validation: float | None, loss: float = 1.0) -> None:
    rows = [
        {"epoch": e, "steps": 10 * e, "learning_rate": 0.1, "loss": loss / e, "validation": value}
        for e, value in enumerate(validation, start=1)
    ]
    write_history(path, rows)


@pytest.fixture
def plots(tmp_path):
    folder = tmp_path / "plots"
    history(folder / "finetune/a/history.csv", 0.2, 0.5, 0.5, 0.4)
    history(folder / "finetune/b/history.csv", 0.8, loss=5.0)
    history(folder / "final/tune_clap.csv", None, None)
    selected_length.write_untrained(folder / "final/finetune/a.csv")
    (folder / "evaluate").mkdir()
    (folder / "evaluate/scores.csv").write_text("score,rating\n1,2\n")
    return folder


def test_a_history_is_named_by_its_place_and_its_best_epoch_is_the_first_of_the_highest(plots):
    found = {training.name: training for training in training_curves.read_trainings(plots)}
    assert list(found) == ["final/finetune/a", "final/tune_clap", "finetune/a", "finetune/b"]
    assert [t.best for t in found.values()] == [None, None, 2, 1]
    assert found["finetune/a"].curves["loss"] == [(10, 1), (20, 0.5), (30, 0.333333), (40, 0.25)]
    assert found["final/finetune/a"].curves == {"loss": [], "validation": []}


def test_trainings_of_a_kind_share_their_axes_and_higher_values_lie_higher(plots):
    drawn = training_curves.pictures(training_curves.read_trainings(plots))
    (loss, validation), (other, _) = drawn["finetune/a"], drawn["finetune/b"]
    assert (loss.steps, loss.values) == (other.steps, other.values)
    assert [picture.label for picture in drawn["final/tune_clap"]] == ["loss"]
    # Steps run from 0 to 40 and validation from .2 to .8, both ends being ticks.
    assert validation.line == [(25, 100), (50, 50), (75, 50), (100, 66.67)]


def test_the_command_draws_all_trainings_on_a_page_that_asks_for_nothing(plots, tmp_path):
    out = tmp_path / "curves.html"
    command = ["curves", str(plots), "-o", str(out), "--note", "simulated ratings"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and "learning curves of 4 trainings" in result.stderr
    html = out.read_text(encoding="utf-8")
    page = Elements(html)
    assert page.asks_for_nothing(html)
    labels = page.attributes("svg", "aria-label")
    assert labels == [
        "final/tune_clap, loss over steps", "finetune/a, loss over steps",
        "finetune/a, validation over steps", "finetune/b, loss over steps",
        "finetune/b, validation over steps",
    ]  # fmt: skip
    for text in ("Simulated ratings: these", "Not trained: its start was", "Best epoch: 2."):
        assert text in page.text
    for line in re.findall(r'points="([^"]*)"', html):
        assert len(line.split()) > 1  # a single point would not be drawn
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2 and "exists already" in again.stderr


def test_a_folder_without_a_history_is_a_sentence(tmp_path):
    with pytest.raises(SoundjudgeError, match="no history of a training: name the folder plots"):
        training_curves.read_trainings(tmp_path)
