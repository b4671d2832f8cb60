"""What every command shares: errors as sentences, help by task, a progress bar, numbers."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from soundjudge.cli.examples import TASKS, find_examples
from soundjudge.errors import DEBUG, HubError, SoundjudgeError, is_disk_full

if TYPE_CHECKING:
    import pandas as pd

ERROR = 2
"""Exit code of a command that could not do what it was asked for."""

OFFLINE = "HF_HUB_OFFLINE"
"""Environment variable of huggingface_hub: nothing is downloaded."""

BUG = "this is a bug of soundjudge: please report it with the lines above"
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")  # what torch says on GPU and CPU


Scale = Annotated[
    str | None, typer.Option(help="Lowest and highest rating where not 0-10: 1-5 or 1 5.")
]
Numbers = Annotated[Path | None, typer.Option("--output", "-o", help="The numbers, JSON.")]
Page = Annotated[Path, typer.Option("--output", "-o", help="The page, one HTML file.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]


class ErrorGroup(TyperGroup):
    """Commands by task; what a user can correct is a sentence, everything else a bug's trace."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401  typer's own signature
        """The command, with examples below its help."""
        command = super().get_command(ctx, cmd_name)
        examples = find_examples(cmd_name)
        if command is not None and examples:
            # \b: these lines are not wrapped.
            command.epilog = "\n".join(("\b", "Examples:", *(f"  {line}" for line in examples)))
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002, ANN401
        """Writes the commands, task by task, with the first sentence of each."""
        for task, names in TASKS.items():
            with formatter.section(task):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(limit=200)) for name in names]
                )

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  typer's own
        """The words of a command line, `--scale 1 5` as `--scale 1:5`."""
        return super().parse_args(ctx, join_scale(args))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  typer's own signature
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:  # all: what has no sentence is raised again, with a note
            sentence = error_sentence(error)
            if sentence is None:
                error.add_note(BUG)  # typer's own exceptions never show theirs
            if sentence is None or os.environ.get(DEBUG):
                raise
            typer.echo(f"soundjudge: {sentence}", err=True)
            raise typer.Exit(ERROR) from error


def join_scale(words: Sequence[str]) -> list[str]:
    """The words with the two numbers behind `--scale` as one: an option takes one word."""
    line = "\0".join(words)
    number = r"-?[0-9]+(?:\.[0-9]+)?"
    return re.sub(rf"((?:^|\0)--scale\0{number})\0({number})(?=\0|$)", r"\1:\2", line).split("\0")


def parse_scale(scale: str | None) -> "tuple[float, float] | None":
    """Lowest and highest rating of `--scale`, where there is one. Raises SoundjudgeError."""
    from soundjudge.labels import scales

    return None if scale is None else scales.parse_scale(scale)


def error_sentence(error: Exception) -> str | None:
    """What a user can correct, on one line; None for a bug."""
    if isinstance(error, OSError) and is_disk_full(error):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}the disk is full: make room and run again, with --resume if there is one"
    if isinstance(error, shutil.Error):  # (source, target, reason) of each file of a folder
        return " ".join(str(error.args[0][0][-1]).split())
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, SoundjudgeError | OSError):
        sentence = " ".join(str(error).split()) or type(error).__name__
        is_offline = os.environ.get(OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE")
        if isinstance(error, HubError) and is_offline and OFFLINE not in sentence:
            sentence += f": {OFFLINE} is set; unset it to download"
        elif isinstance(error, HubError) and (reason := _network_fault(error)):
            sentence += f": the network says {reason!r}"
        return sentence
    # By name: importing torch here would slow down every start.
    out_of_memory = type(error).__name__ in ("OutOfMemoryError", "MemoryError")
    if out_of_memory or any(words in str(error) for words in OUT_OF_MEMORY):
        return "out of memory: choose a smaller --batch-size, or --device cpu"
    return None


def _network_fault(error: BaseException) -> str:
    """What the system says of a connection that failed, at the end of a chain of causes; or ""."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    last = causes[-1]
    return last.strerror or "" if isinstance(last, OSError) else ""


def tell(line: str) -> None:
    """A line on standard error."""
    typer.echo(line, err=True)


def print_numbers(numbers: Mapping[str, float]) -> None:
    """A line per number on standard output, with its interval; counts stay whole."""
    for name, value in numbers.items():
        if name.endswith(("_lo", "_hi")) and name[:-3] in numbers:
            continue
        text = f"{name} {value}" if isinstance(value, int) else f"{name} {value:.4f}"
        if f"{name}_lo" in numbers:
            text += f" [{numbers[f'{name}_lo']:.4f}, {numbers[f'{name}_hi']:.4f}]"
        typer.echo(text)


def print_numbers_and_reasons(numbers: Mapping[str, float | str]) -> None:
    """`print_numbers` of numbers; a sentence on standard error for what is a text."""
    print_numbers({name: value for name, value in numbers.items() if not isinstance(value, str)})
    for name, value in numbers.items():
        if isinstance(value, str):
            tell(f"{name.replace('_', ' ')}: {value}")


def print_table(table: "pd.DataFrame") -> None:
    """Columns side by side on standard output; p-values in two significant digits."""

    def cell(name: str, value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        if value != value:
            return ""
        return f"{value:.2g}" if name.startswith("p_") else f"{value:.4f}"

    if table.empty:
        return
    columns = [[str(name), *(cell(str(name), v) for v in table[name])] for name in table]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; yields the function (done, total) that moves it."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        # Not shown before there is something to show: an error may come first.
        task = bar.add_task(label, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
