"""A cell of pages whose script no other test runs: the page is what the code measures."""

import re

import numpy as np
import pytest
from repository import ROOT, load_benchmark

from soundjudge import params
from soundjudge.reporting import metrics
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig


def row(page: str, beginning: str) -> list[str]:
    """The cells of the first row that begins so."""
    text = (ROOT / f"benchmarks/{page}.md").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(beginning)}.*$", text, re.MULTILINE)
    assert found, beginning
    return [cell.strip() for cell in found[0].strip("|").split("|")]


@pytest.mark.slow
def test_a_row_of_the_report_tests_is_measured_again():
    script = load_benchmark("system_tests")
    stated = row("system_tests", "| normal | 6 |")[2:]
    assert [f"{share:.3f}" for share in script.row("normal", 6, 300)] == stated


def test_a_row_of_the_prompts_won_is_measured_again(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("other_intervals")
    monkeypatch.setattr(script, "PROMPTS", (20,))
    (cells,) = script.prompt_rows(200)
    assert list(cells) == row("other_intervals", "| 20 |")


def test_a_row_of_the_score_intervals_is_measured_again(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("other_intervals")
    assert list(next(script.score_rows(200))) == row("other_intervals", "| 100 | like those")


@pytest.mark.slow
def test_a_cell_of_the_noise_ceilings_is_measured_again(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("ceiling")
    size = (600, 4, 1.3, 0.05)
    errors = [script.simulate("uniform", size, seed, 60).errors for seed in range(4)]
    stated = row("ceiling", "| 600 x 4 | 1.3, 5% | uniform |")[3]
    assert " / ".join(f"{error:+.3f}" for error in np.mean(errors, axis=0)[:, 0]) == stated


@pytest.mark.skipif(
    not (ROOT / "data/prepared/rated.parquet").exists(), reason="the sample is not built"
)
def test_the_test_row_of_the_weights_is_measured_again():
    script = load_benchmark("ensembles")
    config = params.load("ensemble", EnsembleConfig, ROOT / "params.yaml")
    validation, test = (
        script.rated_pairs(ROOT, split, config.members) for split in ("validation", "test")
    )
    scores = script.on_test(validation, test, config)
    section = (ROOT / "benchmarks/ensembles.md").read_text(encoding="utf-8").split("## test,")[1]
    srcc, mse = re.search(r"\| nnls \| (\S+) \[.*?\] \| (\S+) \|", section).groups()
    assert f"{metrics.srcc(scores, test.rating):.3f}" == srcc
    assert f"{metrics.mse(scores, test.rating):.2f}" == mse
