"""Members refitted without each generator, for folds that hold out generators.

Only `regress` is refitted: it takes seconds. It learns from the train split alone, so a pair of
validation is scored by a machine that has seen neither it nor any sound of its generator. Members
that were trained by stages that take longer keep their training, generators included. A choice of
the method inside a fold uses the refits without the other generators, which know the held-out one
by its pairs of train.
N = pairs of validation.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.features.stored_clap import load_stored
from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.clap.regression.kernel_machine import RegressionConfig
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import devices
from soundjudge.scoring.ensemble.ensemble import REGRESS, EnsembleConfig
from soundjudge.scoring.ensemble.matching import PAIR


def refit_members(
    config: EnsembleConfig,
    panel: pd.DataFrame,
    train: pd.DataFrame,
    rated: pd.DataFrame,
    prepared: Path,
    features: Path,
    regression: RegressionConfig,
    sources: Sequence[ClapSource],
    device: str,
) -> dict[str, pd.DataFrame]:
    """By generator of both splits: a column of scores (N,) per member, fitted without its pairs.

    None where `hold_out` is none. `panel` are the pairs of validation, `train` the TARGETS of
    train, `rated` a RATED table; `prepared` holds the clips, `features` what clap_features
    stored.
    """
    names = [name for name, checkpoint in config.members.items() if checkpoint == REGRESS]
    if config.hold_out == "none":
        return {}
    processor = devices.process_state(device).device
    clips = ClipStore(prepared)
    claps = [load_stored(source, processor, clips, features) for source in sources]
    sounds, texts = regressor.embed_pairs(
        claps,
        clips,
        [tables.rated_clip_id(n) for f in (train, panel) for n in f["wav_file_name"]],
        [text for frame in (train, panel) for text in frame["text"]],
        regression.batch_size,
    )
    dimensions = [clap.dimensions for clap in claps]
    of_train, of_panel = (
        frame[PAIR].merge(rated, on=PAIR, how="left")["model_id"] for frame in (train, panel)
    )
    target, count, scores = train["mean_score"].to_numpy(dtype=np.float64), len(train), {}
    for generator in sorted({*of_train.dropna()} & {*of_panel.dropna()}):
        kept = (of_train != generator).to_numpy()
        if not kept.any():
            raise SoundjudgeError(
                f"ensemble.hold_out: all training pairs are from {generator}: choose none"
            )
        machine = kernel_machine.fit_kernel_machine(
            sounds[:count][kept], texts[:count][kept], dimensions, target[kept], regression
        )
        scores[generator] = machine(sounds[count:], texts[count:])
    return {
        generator: pd.DataFrame(dict.fromkeys(names, column), index=panel.index)
        for generator, column in scores.items()
    }
