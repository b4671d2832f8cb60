"""What the teacher says of every pair, from embeddings that are there already.

N pairs, E embedding dimensions.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from soundjudge import figures

BLOCK = 65_536  # pairs at once

Embeddings = Callable[[list[str]], NDArray[np.float32]]  # ids -> unit vectors (len, E)


def clap_scores(pairs: pd.DataFrame, clips: Embeddings, captions: Embeddings) -> pd.DataFrame:
    """The pairs with their CLAPScore, the cosine of clip and caption, in a block at a time."""
    scores = np.empty(len(pairs))
    for start in range(0, len(pairs), BLOCK):
        block = pairs.iloc[start : start + BLOCK]
        sounds = clips(list(block["clip_id"])).astype(np.float64)
        texts = captions(list(block["caption_id"])).astype(np.float64)
        scores[start : start + BLOCK] = np.einsum("ne,ne->n", sounds, texts)
    return pairs.assign(clap_score=scores)


def summary(pairs: pd.DataFrame) -> dict[str, float]:
    """Counts, mean scores, and how often a matched pair outscores a mismatched one (AUC)."""
    matched = pairs["matched"].to_numpy(dtype=bool)
    scores = pairs["clap_score"].to_numpy(dtype=np.float64)
    ranks = pairs["clap_score"].rank().to_numpy(dtype=np.float64)
    yes, no = int(matched.sum()), int((~matched).sum())
    made: dict[str, float] = {"matched": yes, "mismatched": no}
    if yes and no:
        made["matched_score"] = float(scores[matched].mean())
        made["mismatched_score"] = float(scores[~matched].mean())
        made["auc"] = float((ranks[matched].sum() - yes * (yes + 1) / 2) / (yes * no))
    return made


def histogram(pairs: pd.DataFrame, note: str) -> Figure:
    """How the scores of matched and of mismatched pairs lie."""
    figure = figures.canvas(6, 3.6, "CLAPScore of pseudo-labelled pairs", note)
    axes = figure.subplots()
    low, high = (pairs["clap_score"].min(), pairs["clap_score"].max()) if len(pairs) else (-1, 1)
    edges = list(np.linspace(low, high, 61))
    for matched, label in ((True, "matched"), (False, "mismatched")):
        scores = pairs["clap_score"][pairs["matched"] == matched].to_numpy()
        share = np.full(len(scores), 1 / max(len(scores), 1))
        axes.hist(scores, bins=edges, weights=share, alpha=0.6, label=label)
    axes.set(xlabel="CLAPScore (cosine)", ylabel="share of pairs")
    axes.legend()
    return figure
