"""How the judge of a last fit is told from that of the selection run, wherever it goes."""

from dataclasses import replace

from soundjudge.scoring.judge.card import Packaging

NO_TEST = "all rated pairs, so that no honest test is left"


def final_packaging(packaging: Packaging) -> Packaging:
    """The name, which begins the score id, and the data of the model card say it."""
    data = f"{packaging.data.rstrip()} Last fit: on {NO_TEST}."
    return replace(packaging, name=f"{packaging.name}-final", data=data)


def final_note(note: str) -> str:
    """What stands beside every score."""
    return f"{note}, {NO_TEST}" if note else NO_TEST
