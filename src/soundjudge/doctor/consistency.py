"""A check of all params before the first stage: a typo costs seconds, not a night."""

import subprocess
import sys

from soundjudge import params
from soundjudge.errors import ParamsError


def check_params() -> None:
    """Raises ParamsError if a stage could not read its params, or if they contradict each other.

    Another process imports what knows all sections, so no stage depends on the others' code.
    """
    params.load("", dict[str, object])
    command = [sys.executable, "-P", "-m", "soundjudge.doctor.sections", "params.yaml"]
    problems = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    if problems:
        raise ParamsError(problems)
