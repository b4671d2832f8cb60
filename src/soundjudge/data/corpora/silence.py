"""Silent clips of our own making: what `pseudolabel` joins with captions as surely mismatched."""

from pathlib import Path

import numpy as np
import pandas as pd

from soundjudge.data.audio.level import amplitude
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.corpora.clip_writer import Clip, ClipWriter, to_pcm
from soundjudge.data.tables import tables
from soundjudge.data.tables.tables import SAMPLE_RATE, SILENCE_CORPUS

SECONDS = 5.0  # as most generators make them
STEP_DB = 6.0  # between the peaks of two clips
SPLIT = "train"


def write_silent_clips(folder: Path, clips: pd.DataFrame, config: Preparation) -> pd.DataFrame:
    """The CLIPS table `clips` with `num_silent` more, which a shard of their own holds.

    The first is digital silence, the others are white noise, each fainter than the last.
    """
    if not config.num_silent:
        return clips
    samples = int(min(SECONDS, config.max_seconds) * SAMPLE_RATE)
    shard = int(clips["shard"].max()) + 1 if len(clips) else 0
    writer = ClipWriter(folder, config.num_silent * samples, shard)
    for number in range(config.num_silent):
        noise = np.random.default_rng(number).uniform(-1.0, 1.0, samples)
        peak = amplitude(config.silence_dbfs - number * STEP_DB) if number else 0.0
        identity = {"corpus": SILENCE_CORPUS, "split": SPLIT}
        wave = (peak * noise).astype(np.float32)
        clip_id = f"{SILENCE_CORPUS}/{number}"
        writer.add(Clip(clip_id=clip_id, pcm=to_pcm(wave), **identity))
    own = pd.DataFrame(writer.close(), columns=list(tables.CLIPS.columns))
    return pd.concat([clips, own]).sort_values("clip_id", ignore_index=True)
