"""Prepared folders of a few clips, as the prepare stage writes them."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from soundjudge.data.corpora.clip_writer import Clip, ClipWriter
from soundjudge.data.tables import tables


def write_clips(folder: Path, clips: Iterable[Clip], shard_samples: int) -> pd.DataFrame:
    """Writes folder/shards/, of at most `shard_samples` each; returns the CLIPS table."""
    (folder / "shards").mkdir(parents=True)
    writer = ClipWriter(folder, shard_samples)
    rows = []
    for clip in clips:
        if not writer.fits(len(clip.pcm)):
            rows += writer.close()
        writer.add(clip)
    rows += writer.close()
    return pd.DataFrame(rows, columns=list(tables.CLIPS.columns))
