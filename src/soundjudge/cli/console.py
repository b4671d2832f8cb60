"""What every command shares: errors as sentences, a progress bar, numbers in lines."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

ERROR = 2
"""Exit code of a command that could not do what it was asked for."""


class SentenceGroup(TyperGroup):
    """Says what went wrong in one sentence, out of memory included (torch's RuntimeError)."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  typer's own signature
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise  # RuntimeErrors both, and no errors
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            typer.echo(f"soundjudge: {error_sentence(error)}", err=True)
            raise typer.Exit(ERROR) from error


def error_sentence(error: Exception) -> str:
    """What an error says, on one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def print_numbers(numbers: Mapping[str, float]) -> None:
    """A line for each number on standard output; counts stay whole."""
    for name, value in numbers.items():
        typer.echo(f"{name} {value}" if isinstance(value, int) else f"{name} {value:.4f}")


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; what it yields hears (done, all)."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
