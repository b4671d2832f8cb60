"""The captioner as a member: it compares how likely a text is given a sound and given others.

reads   checkpoints/caption/, data/features/, data/prepared/ clips and captions
writes  checkpoints/likelihood/
"""

from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.model.lalm.checkpoint import load_lalm
from soundjudge.model.likelihood import likelihood
from soundjudge.runtime import devices

CAPTIONER = Path("checkpoints/caption")
FEATURES = Path("data/features")
CLIPS = Path("data/prepared/clips.parquet")
CAPTIONS = Path("data/prepared/captions.parquet")
CHECKPOINT = Path("checkpoints/likelihood")


def main() -> None:
    devices.make_deterministic()
    config = params.load("likelihood", likelihood.LikelihoodConfig)
    splits = params.load("caption.train_splits", tuple[str, ...])

    device = devices.process_state(params.load("device", str)).device

    features, clips = ArrayStore(FEATURES), tables.read_table(CLIPS, tables.CLIPS)
    captions = tables.read_table(CAPTIONS, tables.CAPTIONS)
    captioned = clips["clip_id"].isin(captions["clip_id"]) & clips["split"].isin(splits)
    clip_ids = clips["clip_id"][captioned].tolist()
    selected = likelihood.select_references(features, clip_ids, config)
    references = torch.from_numpy(features.gather(selected)).float().to(device)
    lalm = load_lalm(CAPTIONER).to(device)
    texts = captions["text"][captions["clip_id"].isin(clip_ids)].tolist()
    with torch.no_grad():
        floor = likelihood.Likelihood(lalm, references, config).lowest_prior(texts)
    member = likelihood.Likelihood(lalm, references, config, floor)
    likelihood.save_likelihood(CHECKPOINT, CAPTIONER, selected, member)


if __name__ == "__main__":
    main()
