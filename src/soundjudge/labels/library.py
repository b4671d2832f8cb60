"""Screening and standardization of anyone's ratings as DataFrames: part of the public library."""

from dataclasses import replace

import pandas as pd
from pandas.api.types import is_integer_dtype

from soundjudge.data.tables import spellings, tables
from soundjudge.data.tables.schema import check_table
from soundjudge.data.user_files import id_forms
from soundjudge.errors import SoundjudgeError
from soundjudge.labels import scales
from soundjudge.labels.ratings import rating_arrays, screening, standardization
from soundjudge.labels.ratings.config import (
    LatentConfig,
    Method,
    Screening,
    Shrinkage,
    Standardization,
)
from soundjudge.labels.scales import Scale

RATINGS = tables.RATINGS.without("split", "model_id")


def screen(
    ratings: pd.DataFrame,
    *,
    method: Method = Screening.method,
    tolerance: float = Screening.tolerance,
    careless_threshold: float = Screening.careless_threshold,
    straightline_min_ratings: int = Screening.straightline_min_ratings,
    scale: Scale | None = None,
) -> pd.DataFrame:
    """Keeps the ratings that can be trusted.

    Parameters
    ----------
    ratings : DataFrame
        Columns wav_file_name, text, listener_id and score (0 to 10), and any others.
        Without a column text, a pair is a sound.
    method : {"rating", "listener", "both", "none"}
        Drop ratings that no other rating of the same pair comes near (SPO-CLAPScore), careless
        listeners, or both: first those listeners, then such ratings.
    tolerance : float
        Rating points within which another rating of the pair must lie.
    careless_threshold : float
        Probability of carelessness above which a listener is dropped.
    straightline_min_ratings : int
        Number of ratings, all equal, from which on a listener is dropped.
    scale : (float, float), optional
        The lowest and highest rating of another scale than 0-10; the other numbers are points of
        0-10 all the same.

    Returns
    -------
    DataFrame
        The kept rows of `ratings`, with index and columns unchanged.

    Raises
    ------
    SoundjudgeError
        If a row is not valid, or no rating is kept.

    Examples
    --------
    >>> ratings = pd.DataFrame({
    ...     "wav_file_name": ["a.wav"] * 3,
    ...     "text": ["a dog barks"] * 3,
    ...     "listener_id": ["l1", "l2", "l3"],
    ...     "score": [9.0, 8.0, 1.0],
    ... })
    >>> screen(ratings, method="rating")["listener_id"].tolist()
    ['l1', 'l2']
    """
    rules = Screening(
        method=method,
        tolerance=tolerance,
        careless_threshold=careless_threshold,
        straightline_min_ratings=straightline_min_ratings,
    )
    arrays = rating_arrays.rating_arrays(checked_ratings(ratings, scale))
    kept: pd.DataFrame = ratings[screening.kept_rows(arrays, rules, "ratings")]
    return kept


def standardize(
    ratings: pd.DataFrame,
    *,
    shrinkage: Shrinkage = Standardization.shrinkage,
    latent: bool = True,
    shrink_means: bool = False,
    statistics_from: pd.DataFrame | None = None,
    scale: Scale | None = None,
) -> pd.DataFrame:
    """Averages ratings to one target per pair, raw and with listeners on one scale.

    Parameters
    ----------
    ratings : DataFrame
        Columns wav_file_name, text, listener_id and score (0 to 10), and any others.
        Without a column text, a pair is a sound.
    shrinkage : float or "empirical_bayes"
        Draws listeners' means and standard deviations towards the global ones as if by so many
        ratings, 0 not at all (SPO-CLAPScore), or as strongly as the listeners' differences call
        for.
    latent : bool
        Whether to add the score of the latent model and its standard error, in rating points.
    shrink_means : bool
        Whether mean_score is drawn towards the mean of all pairs where ratings are few.
    statistics_from : DataFrame, optional
        Ratings whose listeners keep their own mean and standard deviation; all others have the
        global ones. By default `ratings` themselves.
    scale : (float, float), optional
        The lowest and highest rating of another scale than 0-10, which targets are on.

    Returns
    -------
    DataFrame
        Pairs in order of first appearance: wav_file_name, text, mean_score (0 to 10), spo_score
        (standard deviations), latent_score and latent_se (points) if `latent`, ratings (number).
        1.96 latent_se hold .91 to .96 of the truths, and 1.1 times as much .93 to .98, by how far a
        scale cuts ratings at its ends (benchmarks/intervals.md).

    Raises
    ------
    SoundjudgeError
        If a row or `shrinkage` is not valid, or every rating has a listener of its own.

    Examples
    --------
    >>> ratings = pd.DataFrame({
    ...     "wav_file_name": ["a.wav", "b.wav"] * 2,
    ...     "text": ["a dog barks", "rain"] * 2,
    ...     "listener_id": ["l1", "l1", "l2", "l2"],
    ...     "score": [9.0, 5.0, 6.0, 4.0],
    ... })
    >>> targets = standardize(ratings, shrinkage=0.0)
    >>> targets["mean_score"].tolist()
    [7.5, 4.5]
    >>> targets["spo_score"].round(3).tolist()
    [0.707, -0.707]
    """
    arrays = reference = rating_arrays.rating_arrays(checked_ratings(ratings, scale))
    if statistics_from is not None:
        reference = rating_arrays.rating_arrays(checked_ratings(statistics_from, scale))
        names = ("ratings", "statistics_from")
        spellings.check_same_spellings(arrays.listener_ids, reference.listener_ids, *names)
    config = LatentConfig() if latent else None
    return standardization.pair_targets(
        ratings, arrays, reference, shrinkage, config, shrink_means=shrink_means
    )


def checked_ratings(ratings: pd.DataFrame, scale: Scale | None) -> pd.DataFrame:
    """The ratings with scores on 0 to 10; SoundjudgeError names what is wrong with them.

    Ids may be whole numbers, as in files: pandas reads them so.
    """
    for name in ("wav_file_name", "listener_id"):
        if name in ratings and is_integer_dtype(ratings[name]) and not ratings[name].hasnans:
            ratings = ratings.assign(**{name: ratings[name].astype("str")})
    table = replace(RATINGS, ranges={})
    check_table(ratings, table if "text" in ratings else table.without("text"), "ratings")
    if ratings.empty:
        raise SoundjudgeError("ratings is empty: give at least one row")
    spellings.check_ids(ratings, "ratings")
    id_forms.check_forms(ratings, "ratings")
    return ratings.assign(score=scales.to_ten(ratings["score"].to_numpy(), scale, "ratings"))
