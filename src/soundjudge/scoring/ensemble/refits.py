"""Members refitted without each generator, for folds that hold out generators.

Only `regress` is refitted: it takes seconds. It learns from the train split alone, so a pair of
validation is scored by a machine that has seen neither it nor any sound of its generator. Members
that were trained by stages that take longer keep their training, generators included.
N = pairs of validation.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.clap.regression.kernel_machine import RegressionConfig
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import devices
from soundjudge.scoring.ensemble.matching import PAIR

REGRESS = "regress"  # the checkpoint of what can be refitted


def refit_members(
    members: Mapping[str, str],
    panel: pd.DataFrame,
    train: pd.DataFrame,
    rated: pd.DataFrame,
    clips: ClipStore,
    regression: RegressionConfig,
    sources: Sequence[ClapSource],
    device: str,
) -> dict[str, pd.DataFrame]:
    """By generator of train: a column of scores (N,) per member, fitted without its pairs.

    `members`: name -> checkpoint. `panel` are the pairs of validation, `train` the TARGETS of
    train, `rated` a RATED table.
    """
    names = [name for name, checkpoint in members.items() if checkpoint == REGRESS]
    if not names:
        raise SoundjudgeError(
            f"hold_out is generator, and no member has the checkpoint {REGRESS}, which alone can "
            "be refitted: choose hold_out none"
        )
    processor = devices.process_state(device).device
    claps = [checkpoints.load_encoder(source, processor) for source in sources]
    sounds, texts = regressor.embed_pairs(
        claps,
        clips,
        [tables.rated_clip_id(n) for f in (train, panel) for n in f["wav_file_name"]],
        [text for frame in (train, panel) for text in frame["text"]],
        regression.batch_size,
    )
    scores = _refit((sounds, texts), [clap.dimensions for clap in claps], train, rated, regression)
    return {
        generator: pd.DataFrame(dict.fromkeys(names, column), index=panel.index)
        for generator, column in scores.items()
    }


def _refit(
    embeddings: tuple[kernel_machine.Embeddings, kernel_machine.Embeddings],
    dimensions: Sequence[int],
    train: pd.DataFrame,
    rated: pd.DataFrame,
    regression: RegressionConfig,
) -> dict[str, kernel_machine.Floats]:
    """By generator: scores of the pairs after those of `train`, by a machine fitted without it."""
    sounds, texts = embeddings
    generators = train[PAIR].merge(rated, on=PAIR, how="left")["model_id"]
    target, count = train["mean_score"].to_numpy(dtype=np.float64), len(train)
    scores = {}
    for generator in sorted(generators.dropna().unique()):
        kept = (generators != generator).to_numpy()
        if not kept.any():
            raise SoundjudgeError(
                f"ensemble.hold_out: all training pairs are from {generator}: choose none"
            )
        machine = kernel_machine.fit_kernel_machine(
            sounds[:count][kept], texts[:count][kept], dimensions, target[kept], regression
        )
        scores[generator] = machine(sounds[count:], texts[count:])
    return scores
