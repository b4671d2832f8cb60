"""Trains the stand-in BEATs on scenes of the sample's recordings.

reads   ../../data/sample/clips/
writes  beats.pt in the layout of Microsoft's files
"""

import logging
from pathlib import Path

from soundjudge import params
from soundjudge.model.audio.beats.beats import save_beats
from soundjudge.sample.composition import scenes
from soundjudge.sample.standins import standin_beats

CLIPS = Path("../../data/sample/clips")
BEATS = Path("beats.pt")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("beats", standin_beats.BeatsTraining)
    beats = standin_beats.train_beats(scenes.load_recordings(CLIPS), training, logging.info)
    save_beats(beats, BEATS)


if __name__ == "__main__":
    main()
