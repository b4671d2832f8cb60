"""Commands for anyone's listening test: screen its ratings, make targets of them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Ratings = Annotated[
    Path,
    typer.Argument(help="CSV or Parquet with wav_file_name, text, score (0-10), listener_id."),
]


class Method(StrEnum):
    """What screening drops."""

    rating = "rating"
    listener = "listener"
    both = "both"


@app.command()
def screen(
    ratings: Ratings,
    out: Annotated[Path, typer.Option("--output", "-o", help="The ratings that are kept.")],
    method: Annotated[
        Method,
        typer.Option(
            help="Drop ratings that no other rating of the same pair comes near, careless "
            "listeners, or both: first those listeners, then such ratings."
        ),
    ] = Method.rating,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Points within which another rating must lie.")
    ] = 5.0,
    careless_threshold: Annotated[
        float, typer.Option(help="Probability of carelessness above which a listener goes.")
    ] = 0.5,
    straightline_min_ratings: Annotated[
        int, typer.Option(help="So many ratings, all equal, and a listener goes.")
    ] = 8,
) -> None:
    """Drop ratings or listeners that the other ratings of the same pairs belie."""
    from soundjudge.labels.files import rating_files
    from soundjudge.labels.ratings.screening import Screening

    rules = Screening(
        method=method.value,
        tolerance=tolerance,
        careless_threshold=careless_threshold,
        straightline_min_ratings=straightline_min_ratings,
        splits=(),
    )
    kept, read = rating_files.screen_file(ratings, out, rules)
    typer.echo(
        f"kept {kept.ratings} of {read.ratings} ratings, {kept.listeners} of {read.listeners} "
        f"listeners, {kept.pairs} of {read.pairs} pairs: {out}",
        err=True,
    )


@app.command()
def standardize(
    ratings: Ratings,
    out: Annotated[Path, typer.Option("--output", "-o", help="One target a pair.")],
    statistics_from: Annotated[
        Path | None,
        typer.Option(help="Training ratings: their listeners keep their own scale."),
    ] = None,
    shrinkage: Annotated[
        str,
        typer.Option(
            help="Pull listeners towards the others as if by so many more ratings, 0 not at all, "
            "or by empirical_bayes as strongly as their differences call for."
        ),
    ] = "0",
    latent: Annotated[
        bool, typer.Option("--latent", help="Add the latent score and its standard error.")
    ] = False,
) -> None:
    """Average ratings to one target a pair, raw and with listeners on one scale."""
    from soundjudge.labels.files import rating_files
    from soundjudge.labels.ratings.shrinkage import parse_strength

    pairs = rating_files.standardize_file(
        ratings, out, statistics_from, parse_strength(shrinkage), model=latent
    )
    typer.echo(f"{pairs} targets: {out}", err=True)
