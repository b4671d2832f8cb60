"""The captioner as a member: it compares how likely a text is given a sound and given others.

reads   checkpoints/caption/, data/features/, data/prepared/ clips and captions
writes  checkpoints/likelihood/
"""

from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.model.likelihood import likelihood

CAPTIONER = Path("checkpoints/caption")
FEATURES = Path("data/features")
CLIPS = Path("data/prepared/clips.parquet")
CAPTIONS = Path("data/prepared/captions.parquet")
CHECKPOINT = Path("checkpoints/likelihood")


def main() -> None:
    config = params.load("likelihood", likelihood.LikelihoodConfig)
    splits = params.load("caption.train_splits", tuple[str, ...])

    features, clips = ArrayStore(FEATURES), tables.read_table(CLIPS, tables.CLIPS)
    captioned = clips["clip_id"].isin(tables.read_table(CAPTIONS, tables.CAPTIONS)["clip_id"])
    clip_ids = clips["clip_id"][captioned & clips["split"].isin(splits)].tolist()
    selected = likelihood.select_references(features, clip_ids, config)
    references = {clip: torch.from_numpy(features[clip]) for clip in selected}
    likelihood.save_likelihood(CHECKPOINT, CAPTIONER, references, config)


if __name__ == "__main__":
    main()
