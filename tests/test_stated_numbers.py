"""Limits and defaults that pages and help texts state are those of the code."""

import inspect
import re
import tomllib
from collections.abc import Callable

import pytest
import yaml
from processor_time import MOST
from repository import ROOT

from soundjudge.clap.encoders import yamnet
from soundjudge.cli import evaluation_commands, fetch_commands, page_commands, table_commands
from soundjudge.data.audio import flags
from soundjudge.data.fetch.catalog import CATALOG, TMU, TMU_TOKENIZER
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.labels.ratings import panel
from soundjudge.labels.ratings.config import Screening
from soundjudge.labels.study.held_out import StudyConfig
from soundjudge.page import report
from soundjudge.page.limits import Limits
from soundjudge.reporting import resampling
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.evaluation import groups, systems
from soundjudge.scoring.files import pair_reports, submission
from soundjudge.scoring.members.windows import MIN_REMAINDER_SAMPLES
from soundjudge.scoring.published import tmu_checkpoint

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SILENCE = PARAMS["prepare"]["silence_dbfs"]
LEAST_WEIGHT = PARAMS["ensemble"]["least_weight"]["zeroshot"]
WORDS = {"A third": 1 / 3, "twenty": 20, "ten": 10, "six": 6, "two": 2, "four": 4}


def size(name: str, unit: float, digits: int) -> float:
    """Of all files of an entry of the catalog."""
    return round(sum(file.bytes for file in CATALOG[name].files) / unit, digits)


@pytest.mark.parametrize(
    ("page", "pattern", "value"),
    [
        ("README.md", r"\((\S+) GB, CC-BY-NC-4.0\)", size(TMU, 1e9, 1)),
        ("README.md", r"Python (\S+) or newer", float(PROJECT["requires-python"].strip(">="))),
        ("README.md", r"(\d+) named kinds of sound", yamnet.CLASSES),
        ("README.md", r"Its weight is at least (\.\d+)", LEAST_WEIGHT),
        ("CONTRIBUTING.md", r"costs (\d+) s of the\s+processor", MOST),
        ("docs/limits.md", r"fewer than (\w+) pairs", resampling.MIN_PAIRS),
        ("docs/limits.md", r"fewer than (\w+) texts or generators", systems.MIN_CLUSTERS),
        ("docs/listening_test.md", r"(A third) of the listeners is held", StudyConfig.held_out),
        ("docs/listening_test.md", r"is held out, (\w+) times", StudyConfig.splits),
        ("docs/listening_test.md", r"than (\w+) ratings per listener", panel.MIN_PER_LISTENER),
        ("docs/listening_test.md", r"lies within (\d+) points", Screening.tolerance),
        ("docs/listening_test.md", r"a slice has (\d+)\s+pairs", groups.MIN_PAIRS),
        ("docs/listening_test.md", r"it needs (\w+) or more of each", systems.MIN_CLUSTERS),
        ("docs/score.md", r"remainder below (\d+) s", MIN_REMAINDER_SAMPLES / SAMPLE_RATE),
        ("docs/score.md", r"rating of listeners in (\d+) %", 100 * EnsembleConfig.coverage),
        ("docs/score.md", r"Scores are written to (\w+)\s+decimals", pair_reports.DECIMALS),
        ("docs/score_your_generator.md", r"peak is below (-\d+) dBFS", SILENCE),
        ("docs/score_your_generator.md", r"dBFS scores (\d+)", PARAMS["ensemble"]["silent_score"]),
        ("docs/score_your_generator.md", r"with (\w+) decimals", pair_reports.DECIMALS),
    ],
)  # fmt: skip
def test_a_page_states_what_the_code_has(page: str, pattern: str, value: float) -> None:
    (stated,) = re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"))
    assert float(WORDS.get(stated, stated)) == value


def test_the_threads_of_the_page_on_dvc_are_those_of_make() -> None:
    page = (ROOT / "docs/dvc.md").read_text(encoding="utf-8")
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    (of_make,) = re.findall(r"^export OMP_NUM_THREADS := (\d+)$", make, re.MULTILINE)
    assert f"`OMP_NUM_THREADS={of_make}` and" in page
    (word,) = re.findall(r"uses (\w+) threads on every machine", page)
    assert WORDS[word] == int(of_make)


def test_a_flag_is_raised_where_the_sample_rejects() -> None:
    assert SILENCE == flags.SILENCE_DBFS
    assert PARAMS["prepare"]["min_seconds"] == flags.SHORT_SECONDS


def help_texts(command: Callable[..., object]) -> str:
    """The docstring of a command, and its options' help."""
    options = inspect.get_annotations(command).values()
    marks = [mark for option in options for mark in getattr(option, "__metadata__", ())]
    return " ".join([command.__doc__ or "", *(mark.help for mark in marks if mark.help)])


@pytest.mark.parametrize(
    ("command", "pattern", "value"),
    [
        (fetch_commands.import_tmu, r"(\d+) MB", size(TMU_TOKENIZER, 1e6, 0)),
        (fetch_commands.import_tmu, r"more than (\d+) s", tmu_checkpoint.WINDOW_SECONDS),
        (table_commands.score_table, r"Scores have (\d+) decimals", pair_reports.DECIMALS),
    ],
)
def test_a_help_text_states_what_the_code_has(
    command: Callable[..., object], pattern: str, value: float
) -> None:
    (stated,) = re.findall(pattern, help_texts(command))
    assert float(stated) == value


OF_REPORT = inspect.signature(report.write_report).parameters


@pytest.mark.parametrize(
    ("command", "option", "default"),
    [
        (page_commands.serve, "max_megabytes", Limits.megabytes),
        (page_commands.serve, "max_seconds", Limits.seconds),
        (page_commands.report, "embed_sounds", OF_REPORT["embed_megabytes"].default),
        *(
            (page_commands.report, name, OF_REPORT[name].default)
            for name in ("listen", "resamples", "seed", "batch_size")
        ),
        (evaluation_commands.write_submission, "decimals", submission.DECIMALS),
    ],
)
def test_an_option_has_the_default_of_what_it_sets(
    command: Callable[..., object], option: str, default: object
) -> None:
    assert inspect.signature(command).parameters[option].default == default
