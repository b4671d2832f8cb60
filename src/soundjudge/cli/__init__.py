"""The command line: arguments in, one call, a few lines out; an error is a sentence and code 2."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from soundjudge.cli import (
    console,
    doctor_commands,
    evaluation_commands,
    fetch_commands,
    page_commands,
    rating_commands,
    scoring_commands,
    table_commands,
)

app = typer.Typer(
    cls=console.ErrorGroup,
    help="How well does this sound match this text, as people hear it?\n\n"
    "The help of each command ends with examples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (
    scoring_commands,
    table_commands,
    doctor_commands,
    fetch_commands,
    rating_commands,
    evaluation_commands,
    page_commands,
):
    app.add_typer(commands.app)


def print_version(value: bool) -> None:
    """Prints the version and ends the command, where it was asked for."""
    if value:
        from soundjudge import __version__

        typer.echo(f"soundjudge {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options of `soundjudge` itself."""


def main() -> None:
    """The entry point of the package; its output is UTF-8, names of files as the bytes they are."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    app()
