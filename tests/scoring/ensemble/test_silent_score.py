"""A silent sound gets the score of the rule, and no fit knows it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import crossfit, ensemble, panel
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.folds import RatedScores

CONFIG = EnsembleConfig(
    members={"a": "folder"}, method="mean", calibration="linear", folds=5, silent_score=0.0
)


def scored_panel() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Twenty pairs rated at half of a member's score and 2 more, and a silent one scored 9."""
    names = [f"{number}.wav" for number in range(21)]
    scores = np.array([*np.linspace(0.0, 10.0, 20), 9.0])
    pairs = pd.DataFrame({"wav_file_name": names, "text": "t", "a": scores})
    ratings = np.array([*(2.0 + scores[:20] / 2), 0.5])
    targets = pairs[["wav_file_name", "text"]].assign(mean_score=ratings)
    return panel.mark_silent(pairs, {"xacle/20.wav"}), targets


def fitted_on(pairs: pd.DataFrame, targets: pd.DataFrame, config: EnsembleConfig) -> RatedScores:
    rated = pairs[["wav_file_name", "text"]].assign(model_id=None)
    return panel.rated_scores(pairs, targets, rated, ["a"], silent_score=config.silent_score)


def test_a_silent_pair_gets_the_score_and_is_in_no_fit():
    pairs, targets = scored_panel()
    used = fitted_on(pairs, targets, CONFIG)
    fitted = crossfit.fit(used, CONFIG)
    blended = panel.blend_panel(pairs, fitted)["pred_score"].to_numpy()
    assert blended[20] == 0.0
    assert blended[:20] == pytest.approx(2.0 + pairs["a"][:20] / 2)  # exact without the outlier
    held_out = crossfit.crossfit(used, CONFIG)
    blends = panel.blends(pairs, pairs, targets, fitted, held_out)
    crossfitted = blends["validation_crossfitted"]["pred_score"].to_numpy()
    assert crossfitted[20] == 0.0
    assert crossfitted[:20] == pytest.approx(2.0 + pairs["a"][:20] / 2)


def test_without_the_rule_a_silent_pair_is_one_as_all_others():
    pairs, targets = scored_panel()
    plain = replace(CONFIG, silent_score=None)
    fitted = crossfit.fit(fitted_on(pairs, targets, plain), plain)
    assert fitted == crossfit.fit(fitted_on(pairs.drop(columns="silent"), targets, plain), plain)
    assert panel.blend_panel(pairs, fitted)["pred_score"].iloc[20] > 5


def test_other_pairs_do_not_depend_on_which_are_silent():
    scores = np.array([[1.0], [9.0]])
    fitted = ensemble.fit_ensemble(scores, np.array([2.0, 8.0]), CONFIG)
    silent = np.array([False, True])
    assert ensemble.apply_ensemble(fitted, scores, silent) == pytest.approx([2.0, 0.0])
    assert ensemble.apply_ensemble(fitted, scores) == pytest.approx([2.0, 8.0])


@pytest.mark.parametrize("score", [-0.5, 10.5, float("nan")])
def test_a_score_of_silence_outside_of_the_scale_is_refused(score):
    with pytest.raises(SoundjudgeError, match="silent_score is"):
        replace(CONFIG, silent_score=score)
