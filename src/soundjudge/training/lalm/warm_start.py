"""What a training of the audio language model begins with."""

from pathlib import Path

from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm


def initialize_lalm(warm: Path | None, *, shape: Path, llm: Path) -> Lalm:
    """The model in folder `warm`, or with None a new one around the language model in `llm`.

    A new one gets the settings of the model in `shape` and none of its weights; its projector and
    score head come from torch's random numbers, which the stage has seeded.
    """
    if warm is not None:
        return checkpoint.load_lalm(warm)
    like = checkpoint.load_lalm(shape)
    return Lalm.from_llm(llm, like.config, like.frontend, like.feature_dim)
