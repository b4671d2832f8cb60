"""The command line: arguments in, one call, a few lines out; an error is a sentence and code 2."""

import typer

from soundjudge.cli import console, evaluation_commands, rating_commands, scoring_commands

app = typer.Typer(
    cls=console.SentenceGroup,
    help="How well does this sound match this text, as people hear it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (scoring_commands.app, rating_commands.app, evaluation_commands.app):
    app.add_typer(commands)


def main() -> None:
    """The entry point of the package."""
    app()
