"""Pairs of silence and captions, with the lowest label: no caption describes silence.

C captions.
"""

import numpy as np
import pandas as pd

from soundjudge.data.tables.tables import SILENCE_CORPUS
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.pairs.negative_sampling import allocate

KIND = "silent"


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
