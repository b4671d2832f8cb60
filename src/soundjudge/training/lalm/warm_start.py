"""The model that a training of the audio language model starts from."""

from pathlib import Path

from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm


def initialize_lalm(warm_start: Path | None, *, reference: Path, llm: Path) -> Lalm:
    """The model in the folder `warm_start`, or with None a new one around the language model `llm`.

    A new one takes its configuration from the model in `reference`; the weights of its projector
    and score head come from torch's random numbers, which the stage has seeded.
    """
    if warm_start is not None:
        return checkpoint.load_lalm(warm_start)
    model = checkpoint.load_lalm(reference)
    return Lalm.from_llm(llm, model.config, model.frontend, model.feature_dim)
