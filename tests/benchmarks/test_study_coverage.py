"""Coverage of a study's intervals: counted against the mean over panels."""

import pandas as pd
import pytest
from repository import ROOT, load_benchmark

coverage = load_benchmark("study_coverage")


def test_a_design_has_a_row_per_candidate_and_its_shares_are_of_the_panels(monkeypatch):
    tables = iter([(0.0, -0.1, 0.1), (0.2, 0.15, 0.3), (0.1, 0.05, 0.2), (0.1, -0.2, -0.1)])

    class Result:
        def __init__(self):
            value, low, high = next(tables)
            names = ["srcc", "difference", "difference_lo", "difference_hi"]
            rows = [[0.5, value, low, high]] * 2
            self.table = pd.DataFrame(rows, columns=names).assign(screening="none", target="spo")

    monkeypatch.setattr(coverage.study, "study_ratings", lambda *_, **__: Result())
    row = coverage.measure((60, 4, 12, "small", 0.0), 4).iloc[0]
    # The mean over panels is .1: the first and third interval hold it, the last lies below 0.
    assert row["difference"] == 0.1
    assert (row["coverage"], row["wrong"]) == (0.5, 0.25)
    assert row["listeners"] == 20
    assert row["candidate"] == "none/spo"


@pytest.mark.slow
def test_two_panels_are_studied():
    table = coverage.measure((60, 6, 12, "small", 0.0), 2)
    assert table["candidate"].tolist() == ["none/spo", "none/spo_shrunken", "listener/latent"]
    assert table["coverage"].between(0, 1).all()
    assert (table["sd over panels"] > 0).all()


def test_the_page_has_every_design():
    page = (ROOT / "benchmarks/study_coverage.md").read_text(encoding="utf-8")
    assert page.count("none/spo |") == len(coverage.DESIGNS)
    assert "python benchmarks/study_coverage.py" in page
