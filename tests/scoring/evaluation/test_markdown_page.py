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
