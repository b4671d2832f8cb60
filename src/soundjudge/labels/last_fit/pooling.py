"""The ratings of all rated splits as those of one training split, and their targets.

Validation and test are standardized as train always is, each listener by their own scale. An id in
two splits counts as two listeners, as everywhere in the pipeline: whether lists number their
listeners anew is not known.
"""

from dataclasses import dataclass

import pandas as pd

from soundjudge.data.tables.target_scale import TargetScale
from soundjudge.labels.ratings import latent, panel, screening
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.ratings.listeners import build_targets, listener_scales
from soundjudge.labels.ratings.rating_arrays import PAIR, rating_arrays

TRAIN = "train"


@dataclass(frozen=True, kw_only=True)
class PooledTargets:
    """What the last fit learns."""

    targets: pd.DataFrame  # TARGETS of all rated splits, as of split train
    overall: TargetScale  # the scale of an unknown listener
    pairs: dict[str, int]  # split -> pairs that have a target


def pool_targets(ratings: pd.DataFrame, rules: Screening, config: Standardization) -> PooledTargets:
    """Targets of every pair in a RATINGS table of any splits, screened as train is.

    Rules for validation hold for nothing here: there is none. A split with one rating per pair,
    such as one of published averages, has no panel: it is not screened, and its ratings are
    standardized by the global statistics. Raises SoundjudgeError.
    """
    panels = [split for split, part in ratings.groupby("split") if part.duplicated(PAIR).any()]
    origin = ratings.drop_duplicates(PAIR).set_index(PAIR)["split"]
    names = ratings["split"] + "/" + ratings["listener_id"]
    pooled = ratings.assign(split=TRAIN, listener_id=names)
    rated, _ = screening.screen_ratings(pooled[ratings["split"].isin(panels)], rules)
    panel.check_listeners(rating_arrays(rated), "rated pairs")
    scales = listener_scales(rated, config.shrinkage)
    kept = pd.concat([rated, pooled[~ratings["split"].isin(panels)]], ignore_index=True)
    table = build_targets(kept, scales.listeners, scales.overall)
    scores = latent.fit_latent(kept, config.latent).pairs
    assert scores[PAIR].equals(table[PAIR]), "the latent model has other pairs"
    targets = table.assign(**scores.drop(columns=PAIR))
    splits = origin.loc[pd.MultiIndex.from_frame(targets[PAIR])].value_counts()
    counts = {str(split): int(count) for split, count in splits.sort_index().items()}
    return PooledTargets(targets=targets, overall=scales.overall, pairs=counts)
