"""What the page of numbers says about the fit of the ensemble."""

from dataclasses import replace

import pytest
import tiny_evaluation

from soundjudge.scoring.evaluation import markdown_page


@pytest.mark.parametrize("folds_by", ["generator", "both"])
def test_pooled_scores_of_generators_folds_are_said_to_rank_too_low(folds_by):
    fit = replace(tiny_evaluation.FIT, folds_by=folds_by, crossfitted={"srcc": 0.6789, "mse": 3.0})
    text = " ".join(markdown_page.fit_lines(fit))
    assert "ranks the calibrated scores of all folds together" in text
    assert text.endswith("SRCC of the same weighted sums without it is 0.679.")


@pytest.mark.parametrize("folds_by", ["none", "text"])
def test_where_folds_are_alike_nothing_is_said(folds_by):
    fit = replace(tiny_evaluation.FIT, folds_by=folds_by)
    assert len(markdown_page.fit_lines(fit)) == 1


def test_every_number_of_a_table_has_an_interval_but_counts_and_those_of_few_pairs(tmp_path):
    split = tiny_evaluation.evaluated_split()
    markdown_page.write_page([split], tiny_evaluation.FIT, "", tmp_path / "page.md")
    lines = (tmp_path / "page.md").read_text(encoding="utf-8").splitlines()
    assert markdown_page.RANGE in lines
    (first,) = [line for line in lines if line.startswith("| generator: g0 |")]
    row = split.slices["ensemble"][0]
    bias = [f"{row[f'bias{end}']:+.3f}" for end in ("", "_lo", "_hi")]
    assert first.endswith("| {} [{}, {}] |".format(*bias))
    tables = [line for line in lines if line.startswith("| ") and ("0." in line or "1." in line)]
    few = [f"| {r['slice']}: {r['value']} |" for r in split.slices["ensemble"] if "srcc" not in r]
    for line in tables:
        if line.startswith(tuple(few)):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [c for c in cells[1:] if "." in c and "%" not in c]
        assert all(cell.endswith("]") for cell in numbers), line
