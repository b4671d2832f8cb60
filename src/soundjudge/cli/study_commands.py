"""Commands that report on ratings: their reliability, and which target serves them."""

from pathlib import Path
from typing import Annotated

import typer

from soundjudge.cli import console
from soundjudge.cli.rating_commands import Overwrite, Ratings, Scale, tell

app = typer.Typer()

Output = Annotated[Path | None, typer.Option("--output", "-o", help="The numbers, JSON.")]
COLUMNS = ["screening", "target", "srcc", "lcc", "difference", "difference_lo", "difference_hi"]
COLUMNS += ["p_holm", "pairs_lost", "ratings_dropped"]


@app.command()
def study(
    ratings: Ratings,
    out: Output = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for the figure, as PNG and PDF.")
    ] = None,
    splits: Annotated[int, typer.Option(min=2, help="Random divisions of the listeners.")] = 20,
    held_out: Annotated[float, typer.Option(help="Share of listeners to compare with.")] = 1 / 3,
    resamples: Annotated[int, typer.Option(min=50, help="Bootstrap resamples of the pairs.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of divisions and resamples.")] = 0,
    scale: Scale = None,
    overwrite: Overwrite = False,
) -> None:
    """Find which screening and target serve these ratings, by held-out listeners."""
    from soundjudge.labels import scales
    from soundjudge.labels.files import study_files
    from soundjudge.labels.study.study import INTERVALS, StudyConfig

    config = StudyConfig(splits=splits, held_out=held_out, resamples=resamples, seed=seed)
    limits = None if scale is None else scales.parse_scale(scale)
    result = study_files.study_file(
        ratings, config, scale=limits, out=out, plots=plots, overwrite=overwrite, tell=tell
    )
    console.print_table(result.table[COLUMNS])
    typer.echo(f"verdict: {result.verdict}")
    typer.echo(INTERVALS, err=True)


@app.command()
def reliability(
    ratings: Ratings,
    out: Output = None,
    resamples: Annotated[int, typer.Option(min=50, help="Bootstrap resamples of the pairs.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of resamples and halves.")] = 0,
    scale: Scale = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure how well listeners agree: ICC, alpha, split halves, noise ceilings."""
    from soundjudge.labels import scales
    from soundjudge.labels.files import study_files

    limits = None if scale is None else scales.parse_scale(scale)
    numbers = study_files.reliability_file(
        ratings,
        resamples=resamples,
        seed=seed,
        scale=limits,
        out=out,
        overwrite=overwrite,
        tell=tell,
    )
    console.print_numbers(numbers)
    typer.echo("95 % intervals for other pairs, rated by the same listeners", err=True)
