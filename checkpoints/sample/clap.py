"""Trains the stand-in CLAP on scenes of the sample's recordings and their captions.

reads   ../../data/sample/clips/
writes  clap/ in the layout of a transformers ClapModel
"""

import logging
from pathlib import Path

from soundjudge import params
from soundjudge.runtime.artifacts import atomic_folder
from soundjudge.sample.composition import scenes
from soundjudge.sample.standins import standin_clap

CLIPS = Path("../../data/sample/clips")
CLAP = Path("clap")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("clap", standin_clap.ClapTraining)
    clap = standin_clap.train_clap(scenes.load_recordings(CLIPS), training, logging.info)
    clap.model.half()  # half the bytes in git; it is loaded as float32
    with atomic_folder(CLAP) as folder:
        clap.save(folder)


if __name__ == "__main__":
    main()
