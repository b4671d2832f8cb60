"""Reports on anyone's ratings as DataFrames, reliability and study: part of the public library."""

import pandas as pd

from soundjudge.labels.library import checked_ratings
from soundjudge.labels.ratings import agreement_intervals, panel, rating_arrays
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.ratings.panel import Panel
from soundjudge.labels.scales import Scale
from soundjudge.labels.study.held_out import Settings, StudyConfig
from soundjudge.labels.study.study import Study, study_ratings

SETTINGS = Settings(screening=Screening(), standardization=Standardization())


def reliability(
    ratings: pd.DataFrame, *, resamples: int = 200, seed: int = 0, scale: Scale | None = None
) -> dict[str, float | str]:
    """Measures how well listeners agree, and the best correlation with their mean.

    Parameters
    ----------
    ratings : DataFrame
        Columns wav_file_name, text, listener_id and score (0 to 10), and any others.
        Without a column text, a pair is a sound.
    resamples : int
        Bootstrap resamples of the pairs, for 95 % intervals.
    seed : int
        Of the resamples and of the split halves.
    scale : (float, float), optional
        The lowest and highest rating of another scale than 0-10.

    Returns
    -------
    dict
        ratings, listeners, pairs, ratings_per_listener, ratings_per_pair (counts and medians);
        icc, icc_mean, alpha, split_half; the noise ceilings ceiling_{srcc,lcc,ktau} and floor_mse
        by split halves, and those of deconvolution with the suffix _deconvolved. Coefficients have
        their interval, _lo and _hi, for other pairs rated by the same listeners. Ceilings are left
        out where raters agree no better than by chance, intervals of fewer than 10 pairs;
        no_ceiling and no_intervals then say why.

    Raises
    ------
    SoundjudgeError
        If a row is not valid, or no pair has two ratings.

    Examples
    --------
    >>> ratings = pd.DataFrame({
    ...     "wav_file_name": ["a.wav", "b.wav", "c.wav"] * 2,
    ...     "listener_id": ["l1"] * 3 + ["l2"] * 3,
    ...     "score": [9.0, 5.0, 1.0, 8.0, 6.0, 2.0],
    ... })
    >>> round(reliability(ratings, resamples=50)["icc"], 3)
    0.96
    """
    checked = checked_ratings(ratings, scale)
    design = panel.describe_panel(rating_arrays.rating_arrays(checked))
    return reliability_numbers(checked, design, resamples=resamples, seed=seed)


def reliability_numbers(
    ratings: pd.DataFrame, design: Panel, *, resamples: int, seed: int
) -> dict[str, float | str]:
    """The numbers of `reliability` of checked ratings, of which `design` is the panel."""
    names = ("ratings", "listeners", "pairs", "ratings_per_listener", "ratings_per_pair")
    numbers: dict[str, float | str] = {name: getattr(design, name) for name in names}
    return numbers | agreement_intervals.agreement_intervals(
        ratings, resamples=resamples, seed=seed
    )


def study(
    ratings: pd.DataFrame,
    *,
    splits: int = StudyConfig.splits,
    held_out: float = StudyConfig.held_out,
    resamples: int = StudyConfig.resamples,
    seed: int = StudyConfig.seed,
    scale: Scale | None = None,
) -> Study:
    """Finds which screening and which target serve these ratings, by held-out listeners.

    Parameters
    ----------
    ratings : DataFrame
        As in `reliability`; listeners must have rated several pairs.
    splits : int
        Random divisions of the listeners, 2 or more.
    held_out : float
        Share of listeners whose mean ratings a target is compared with, between 0 and 1.
    resamples : int
        Bootstrap resamples of the pairs, for a variance.
    seed : int
        Of divisions and resamples.
    scale : (float, float), optional
        The lowest and highest rating of another scale than 0-10.

    Returns
    -------
    Study
        `verdict` (a sentence), `chosen`, `table` with a row per screening and target: srcc and lcc
        with held-out listeners, the difference of SRCC to the default, 95 % intervals (_lo, _hi)
        and p after Holm; `notes()` says what the ratings cannot show, `as_json()` is all of it.

    Raises
    ------
    SoundjudgeError
        If a row is not valid, every rating has a listener of its own, or listeners are too few.

    Examples
    --------
    >>> ratings = pd.DataFrame(
    ...     [
    ...         (f"{pair}.wav", f"l{who}", float((pair * 7 + who * pair % 3) % 11))
    ...         for pair in range(30)
    ...         for who in range(8)
    ...     ],
    ...     columns=["wav_file_name", "listener_id", "score"],
    ... )
    >>> result = study(ratings, splits=2, resamples=50)
    >>> sorted(set(result.table["target"]))
    ['latent', 'mean', 'mean_shrunken', 'spo', 'spo_shrunken']
    """
    arrays = rating_arrays.rating_arrays(checked_ratings(ratings, scale))
    config = StudyConfig(splits=splits, held_out=held_out, resamples=resamples, seed=seed)
    return study_ratings(arrays, SETTINGS, config)
