"""Figures without global state, saved as PNG or PDF whose bytes depend on the plot alone."""

from pathlib import Path

from matplotlib.figure import Figure

from soundjudge.runtime import artifacts

DOTS_PER_INCH = 120
UNDATED: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def create_figure(width: float, height: float, title: str, note: str) -> Figure:
    """An empty figure, sizes in inches; a `note` such as "simulated ratings" joins the title."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title_with_note(title, note))
    return figure


def title_with_note(title: str, note: str) -> str:
    """The title with the note about its numbers, if there is one."""
    return f"{title} ({note})" if note else title


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a .png or .pdf file, atomically and without dates or software names."""
    kind = path.suffix.removeprefix(".")
    with artifacts.atomic_file(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=DOTS_PER_INCH, metadata=UNDATED[kind])


def save_for_print(figure: Figure, path: Path) -> None:
    """Writes `path` with the suffixes .png and .pdf."""
    for suffix in UNDATED:
        save_figure(figure, path.with_suffix(f".{suffix}"))
