"""The commit whose code made the figures of a page."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def figures_of_commit() -> str:
    """A line for a page; with "and changes" where tracked files differ from the commit."""
    commit, changes = (
        subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()
        for words in (
            ["git", "rev-parse", "--short=7", "HEAD"],  # noqa: S607
            ["git", "status", "--porcelain", "--untracked-files=no", "benchmarks", "src"],  # noqa: S607
        )
    )
    return f"Figures of commit {commit or 'unknown'}{' and changes' if changes else ''}."
