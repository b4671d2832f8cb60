"""What a regressor's scores owe to each of its encoders: scores with one encoder's rows shuffled.

A shuffle gives each pair the features that one encoder has of another pair, sound and text alike.
Permutation importance: L. Breiman, "Random forests", Machine Learning 45, 2001, section 10.

N pairs, K encoders.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.clap.encoders.encoder import clip_embedder, encode_distinct
from soundjudge.clap.regression.kernel_machine import Embeddings, KernelMachine
from soundjudge.clap.regression.regressor import Regressor
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.data.tables.texts import clean_text
from soundjudge.scoring.blocks import block_table

REPEATS = 5  # shuffles of each encoder's rows


def write_blocks(
    regressor: Regressor, clips: ClipStore, pairs: pd.DataFrame, batch_size: int, folder: Path
) -> None:
    """Writes the block table of a RATED table, of the first window of each sound, into `folder`."""
    ids = [tables.rated_clip_id(name) for name in pairs["wav_file_name"]]
    texts = list(map(clean_text, pairs["text"]))
    sounds, words = [], []  # K x (N, E_k)
    for clap in regressor.claps:
        sounds.append(encode_distinct(clip_embedder(clap, clips), ids, batch_size))
        words.append(encode_distinct(clap.embed_texts, texts, batch_size))
    machine, rng = regressor.machine, np.random.default_rng(0)
    scores = {
        block_table.SCORE: machine(np.concatenate(sounds, axis=1), np.concatenate(words, axis=1))
    }
    for number, clap in enumerate(regressor.claps):
        for repeat in range(REPEATS):
            column = block_table.column_name(number, clap.name(), repeat)
            scores[column] = shuffled_scores(machine, sounds, words, number, rng)
    block_table.write_block_table(folder, pairs, scores)


def shuffled_scores(
    machine: KernelMachine,
    sounds: list[Embeddings],
    texts: list[Embeddings],
    number: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Scores of pairs, K x (N, E_k) each, with the rows of encoder `number` shuffled: (N,)."""
    order = rng.permutation(len(sounds[0]))
    sides = (
        np.concatenate([e[order] if k == number else e for k, e in enumerate(side)], axis=1)
        for side in (sounds, texts)
    )
    scores: NDArray[np.float64] = machine(*sides)
    return scores
