"""What the teacher says of every pair, from embeddings that are there already.

N pairs, E embedding dimensions.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.labels.pairs.unit_vectors import take_float32
from soundjudge.reporting import plotting

BLOCK = 8192  # pairs at once


def score_pairs(pairs: pd.DataFrame, heard: ArrayStore, said: ArrayStore) -> pd.DataFrame:
    """The pairs with their CLAPScore, the cosine of clip and caption, a block at a time."""
    clips, captions = _places(pairs["clip_id"], heard), _places(pairs["caption_id"], said)  # (N,)
    scores = np.empty(len(pairs))
    for start in range(0, len(pairs), BLOCK):
        block = slice(start, start + BLOCK)
        sounds, texts = take_float32(heard, clips[block]), take_float32(said, captions[block])
        scores[block] = np.einsum("ne,ne->n", sounds, texts)
    return pairs.assign(clap_score=scores)


def _places(ids: "pd.Series[Any]", embeddings: ArrayStore) -> NDArray[np.int64]:
    distinct = ids.astype("category").cat
    return embeddings.places(distinct.categories.to_numpy())[distinct.codes.to_numpy()]


def summarize_pairs(pairs: pd.DataFrame) -> dict[str, object]:
    """Numbers of pairs, mean scores, and how often a matched pair outscores a mismatched (AUC)."""
    matched = pairs["matched"].to_numpy(dtype=bool)
    scores = pairs["clap_score"].to_numpy(dtype=np.float64)
    made: dict[str, object] = {"matched": int(matched.sum()), "mismatched": int((~matched).sum())}
    if matched.any():
        made["matched_score"] = float(scores[matched].mean())
    if matched.any() and not matched.all():
        made["mismatched_score"] = float(scores[~matched].mean())
        made["auc"] = auc(scores[matched], scores[~matched])
    for kind in negative_kinds(pairs):
        of = (pairs["kind"] == kind).to_numpy()
        made[kind] = {
            "pairs": int(of.sum()),
            "score": float(scores[of].mean()),
            "auc": auc(scores[matched], scores[of]),
        }
    return made


def negative_kinds(pairs: pd.DataFrame) -> list[str]:
    """The kinds of mismatched pairs that are there, in alphabetical order."""
    return sorted(pairs["kind"].dropna().unique())


def auc(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """How often a value of `higher` lies above one of `lower`, ties counting half: 0 to 1.

    Mann and Whitney's U over all pairs (Hanley and McNeil 1982).
    """
    ranks = pd.Series(np.concatenate([higher, lower])).rank()[: len(higher)]
    above = ranks.sum() - len(higher) * (len(higher) + 1) / 2
    return float(above / (len(higher) * len(lower)))


def plot_scores(pairs: pd.DataFrame, note: str) -> Figure:
    """How the scores of matched pairs lie, and those of each kind of mismatched ones."""
    figure = plotting.create_figure(6, 3.6, "CLAPScore of pseudo-labelled pairs", note)
    axes = figure.subplots()
    low, high = (pairs["clap_score"].min(), pairs["clap_score"].max()) if len(pairs) else (-1, 1)
    edges = list(np.linspace(low, high, 61))
    groups = {"matched": pairs["matched"]} | {
        kind: pairs["kind"] == kind for kind in negative_kinds(pairs)
    }
    for label, of in groups.items():
        scores = pairs["clap_score"][of].to_numpy()
        share = np.full(len(scores), 1 / max(len(scores), 1))
        axes.hist(scores, bins=edges, weights=share, histtype="step", linewidth=1.5, label=label)
    axes.set(xlabel="CLAPScore (cosine)", ylabel="share of pairs")
    axes.legend()
    return figure
