"""Trains the stand-in language model on scenes of the sample's captions.

reads   ../../data/sample/clips/
writes  llm/ in the layout of a Qwen2 folder with its tokenizer
"""

import logging
from pathlib import Path

from soundjudge import params
from soundjudge.runtime.artifacts import atomic_folder
from soundjudge.sample.composition import scenes
from soundjudge.sample.standins import standin_llm

CLIPS = Path("../../data/sample/clips")
LLM = Path("llm")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("llm", standin_llm.StandinLlmTraining)
    llm, tokenizer = standin_llm.train_llm(scenes.load_recordings(CLIPS), training, logging.info)
    with atomic_folder(LLM) as folder:
        llm.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
