"""Commands for params: check a params.yaml or a judge, print a recipe merged with the defaults."""

from pathlib import Path
from typing import Annotated

import typer

from soundjudge.cli.judge_options import FAILED_ROWS

app = typer.Typer()


@app.command()
def doctor(
    params: Annotated[Path, typer.Option(help="The params.yaml to check.")] = Path("params.yaml"),
    model: Annotated[
        str | None,
        typer.Option(help="Check this judge instead: whether it is whole, and what it needs."),
    ] = None,
) -> None:
    """Check a params.yaml: its keys, what it needs, what is missing and where to get it."""
    from soundjudge.doctor import judge_check, report, requirements, sections

    if model is not None:
        from soundjudge.scoring.judge.loading import find_folder

        typer.echo("\n".join(judge_check.judge_lines(find_folder(model))))
        return
    problems = sections.find_problems(params)
    needs = requirements.find_requirements(params)
    typer.echo("\n".join(report.report_lines(needs, problems)))
    if problems or requirements.unmet_requirements(needs):
        raise typer.Exit(FAILED_ROWS)


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="A file of the folder recipes/, without .yaml.")],
) -> None:
    """Print a whole params.yaml: a recipe merged with the defaults, with comments."""
    from soundjudge import recipes

    typer.echo(recipes.recipe_text(name), nl=False)
