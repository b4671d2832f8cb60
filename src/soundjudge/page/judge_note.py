"""What people must know of a judge before they read its scores."""

from pathlib import Path

from soundjudge.scoring.judge.integrity import CARD

SIMULATED = (
    "This judge learned from simulated ratings: its scores show how the tool works, and say "
    "nothing about what people hear."
)


def judge_note(folder: Path) -> str:
    """A sentence where the judge's card says that its ratings are simulated, else nothing."""
    card = folder / CARD
    if not card.is_file():
        return ""
    return SIMULATED if "simulated ratings" in card.read_text(encoding="utf-8") else ""
