"""Commands for scores that are there: evaluate, compare and submit them."""

from pathlib import Path
from typing import Annotated

import typer

from soundjudge.cli import console

app = typer.Typer()

Predictions = Annotated[Path, typer.Argument(help="CSV with wav_file_name and pred_score.")]
Reference = Annotated[
    Path, typer.Option(help="CSV with wav_file_name and average_score (or mean_score).")
]
Resamples = Annotated[int, typer.Option(min=100, help="Bootstrap resamples.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the bootstrap.")]


@app.command()
def evaluate(
    predictions: Predictions,
    reference: Reference,
    ratings: Annotated[
        Path | None, typer.Option(help="Single ratings, for the noise ceiling.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", help="The numbers, JSON.")] = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
) -> None:
    """Correlate predictions with mean ratings."""
    from soundjudge.runtime import artifacts
    from soundjudge.scoring.files import comparison

    found = comparison.evaluate_files(
        predictions, reference, ratings, resamples=resamples, seed=seed
    )
    if out is not None:
        artifacts.write_json(out, found)
    console.print_numbers(found)


@app.command()
def compare(
    a: Predictions,
    b: Predictions,
    reference: Reference,
    resamples: Resamples = 2000,
    seed: Seed = 0,
) -> None:
    """Test whether two systems really differ on the same pairs."""
    from soundjudge.scoring.files import comparison

    console.print_numbers(comparison.compare_files(a, b, reference, resamples=resamples, seed=seed))


@app.command()
def submit(
    predictions: Predictions,
    listed: Annotated[Path, typer.Option("--list", help="CSV whose wav_file_name are asked for.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The submission.")],
) -> None:
    """Write the challenge's format, checked against its list."""
    from soundjudge.scoring.files import submission

    rows = submission.write_submission(predictions, listed, out)
    typer.echo(f"{rows} rows, checked: {out}", err=True)
