"""The error about a column that a file lacks: it names the remedy."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from soundjudge.errors import SoundjudgeError

SPELLINGS = {
    "wav_file_name": ("wave_file_name", "path", "audio", "file"),
    "text": ("caption", "prompt"),
    "listener_id": ("listener", "rater", "rater_id", "worker_id"),
    "average_score": ("average_semantic_alignement_score",),
}
"""What users and the challenge's own pages write for our columns."""
AVERAGES = ("average_score", "mean_score", "average_semantic_alignement_score")


def missing_column_error(column: str, header: Sequence[str], path: Path) -> SoundjudgeError:
    """The error about a missing `column` of a file with this `header`."""
    return SoundjudgeError(
        f"{path}: the column {column!r} is missing (there are {', '.join(header)}): "
        + _remedy(column, header)
    )


def has_text(header: Sequence[str], path: Path) -> bool:
    """Whether a file has texts. SoundjudgeError if a column looks like texts under another name."""
    if "text" not in header and _remedy("text", header).startswith("rename"):
        raise missing_column_error("text", header, path)
    return "text" in header


def _remedy(column: str, header: Sequence[str]) -> str:
    if len(header) == 1 and any(separator in header[0] for separator in ";\t|"):
        return "separate columns by commas"
    averages = [name for name in header if name in AVERAGES]
    if column in ("listener_id", "score") and averages and "score" not in header:
        return f"{averages[0]!r} holds averages, and each listener's own ratings are needed"
    normalized = {name.strip().lower(): name for name in header}
    for spelling in (column, *SPELLINGS.get(column, ())):
        if spelling in normalized:
            return f"rename {normalized[spelling]!r} to {column!r}"
    close = difflib.get_close_matches(column, header, n=1, cutoff=0.7)
    return f"rename {close[0]!r} to {column!r}" if close else "add it, or name the file that has it"
