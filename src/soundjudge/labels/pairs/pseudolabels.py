"""The teacher's score of every pair, from stored embeddings, and a summary of the scores.

Pairs of silence and captions get the lowest one: no caption describes silence.

N pairs, E embedding dimensions, C captions.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables.tables import SILENCE_CORPUS
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.pairs.caption_index import allocate
from soundjudge.labels.pairs.unit_vectors import take_float32
from soundjudge.reporting import plotting

BLOCK = 8192  # pairs at once, B
KIND = "silent"


def score_pairs(
    pairs: pd.DataFrame, audio_embeddings: ArrayStore, text_embeddings: ArrayStore
) -> pd.DataFrame:
    """The pairs with their CLAPScore, the cosine of clip and caption, block by block."""
    clip_rows = _row_indices(pairs["clip_id"], audio_embeddings)  # (N,)
    caption_rows = _row_indices(pairs["caption_id"], text_embeddings)  # (N,)
    scores = np.empty(len(pairs))
    for start in range(0, len(pairs), BLOCK):
        block = slice(start, start + BLOCK)
        audio = take_float32(audio_embeddings, clip_rows[block])  # (B, E)
        text = take_float32(text_embeddings, caption_rows[block])
        scores[block] = np.einsum("ne,ne->n", audio, text)
    return pairs.assign(clap_score=scores)


def _row_indices(ids: "pd.Series[Any]", embeddings: ArrayStore) -> NDArray[np.int64]:
    distinct = ids.astype("category").cat
    return embeddings.row_indices(distinct.categories.to_numpy())[distinct.codes.to_numpy()]


def summarize_pairs(pairs: pd.DataFrame) -> dict[str, object]:
    """Numbers of pairs, mean scores, and AUC of matched against mismatched pairs."""
    matched = pairs["matched"].to_numpy(dtype=bool)
    scores = pairs["clap_score"].to_numpy(dtype=np.float64)
    counts = {"matched": int(matched.sum()), "mismatched": int((~matched).sum())}
    summary: dict[str, object] = {**counts}
    if matched.any():
        summary["matched_score"] = float(scores[matched].mean())
    if matched.any() and not matched.all():
        summary["mismatched_score"] = float(scores[~matched].mean())
        summary["auc"] = _auc(scores[matched], scores[~matched])
    for kind in negative_kinds(pairs):
        rows = (pairs["kind"] == kind).to_numpy()
        summary[kind] = {
            "pairs": int(rows.sum()),
            "score": float(scores[rows].mean()),
            "auc": _auc(scores[matched], scores[rows]),
        }
    return summary


def negative_kinds(pairs: pd.DataFrame) -> list[str]:
    """The kinds of mismatched pairs among these, in alphabetical order."""
    return sorted(pairs["kind"].dropna().unique())


def _auc(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """Area under the ROC curve, 0 to 1: how often `higher` exceeds `lower`, ties counting half.

    Mann and Whitney's U over all pairs (Hanley and McNeil 1982).
    """
    statistic = stats.mannwhitneyu(higher, lower, method="asymptotic").statistic
    return float(statistic / (len(higher) * len(lower)))


def plot_scores(pairs: pd.DataFrame, note: str) -> Figure:
    """Histograms of the scores of matched pairs and of each kind of mismatched ones."""
    figure = plotting.create_figure(6, 3.6, "CLAPScore of pseudo-labelled pairs", note)
    axes = figure.subplots()
    low, high = (pairs["clap_score"].min(), pairs["clap_score"].max()) if len(pairs) else (-1, 1)
    edges = list(np.linspace(low, high, 61))
    groups = {"matched": pairs["matched"]}
    groups |= {kind: pairs["kind"] == kind for kind in negative_kinds(pairs)}
    for label, rows in groups.items():
        scores = pairs["clap_score"][rows].to_numpy()
        weights = np.full(len(scores), 1 / max(len(scores), 1))
        axes.hist(scores, bins=edges, weights=weights, histtype="step", linewidth=1.5, label=label)
    axes.set(xlabel="CLAPScore (cosine)", ylabel="share of pairs")
    axes.legend()
    return figure


def add_silent_pairs(
    pairs: pd.DataFrame, clips: pd.DataFrame, num_silent: float, seed: int
) -> pd.DataFrame:
    """Scored `pairs`, and silent clips with captions of their split.

    `num_silent` per matched pair in the mean; each has the lowest score of all pairs, which the
    teacher gave another. Raises SoundjudgeError where there are too few silent clips.
    """
    if not num_silent or not len(pairs):
        return pairs
    silent = clips[clips["corpus"] == SILENCE_CORPUS]
    if num_silent > len(silent):
        raise SoundjudgeError(
            f"pseudolabel.num_silent is {num_silent:g}, and there are {len(silent)} silent clips: "
            "lower it, or raise prepare.num_silent"
        )
    split = clips.set_index("clip_id")["split"]
    matched = pairs[pairs["matched"]]
    of_split = matched["clip_id"].astype(str).map(split).isin(silent["split"])
    captions = matched["caption_id"].astype(str)[of_split].to_numpy()  # (C,)
    rng = np.random.default_rng([seed, *KIND.encode()])
    counts = allocate(len(captions), num_silent, rng)
    clip_ids = [rng.choice(silent["clip_id"].to_numpy(), count, replace=False) for count in counts]
    added = pd.DataFrame(
        {
            "clip_id": np.concatenate([*clip_ids, np.empty(0, dtype=object)]),
            "caption_id": np.repeat(captions, counts),
            "matched": False,
            "clap_score": pairs["clap_score"].min(),
            "kind": KIND,
        }
    )
    columns = {name: pairs[name].astype(object) for name in ("clip_id", "caption_id", "kind")}
    return pd.concat([pairs.assign(**columns), added], ignore_index=True)
