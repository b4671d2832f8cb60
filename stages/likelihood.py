"""The captioner as a member: it compares how likely a text is given a sound and given others.

reads   checkpoints/caption/, data/features/, data/prepared/ clips and captions
writes  checkpoints/likelihood/
"""

from pathlib import Path

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.model.lalm.checkpoint import load_lalm
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.references import fit_likelihood
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
    lalm = load_lalm(CAPTIONER).to(device)
    selected, member = fit_likelihood(lalm, features, clips, captions, splits, config)
    likelihood.save_likelihood(CHECKPOINT, CAPTIONER, selected, member)


if __name__ == "__main__":
    main()
