"""The command for recipes: print one merged with the defaults."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="A file of the folder recipes/, without .yaml.")],
) -> None:
    """Print a whole params.yaml: a recipe merged with the defaults, with comments."""
    from soundjudge import recipes

    typer.echo(recipes.recipe_text(name), nl=False)
