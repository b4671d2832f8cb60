"""Commands for the ratings of any listening test: screen them, make targets, report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from soundjudge.cli import console
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings.config import (
    PUBLISHED_METHOD,
    PUBLISHED_SHRINKAGE,
    LatentConfig,
    Screening,
    Standardization,
    parse_shrinkage,
)

app = typer.Typer()

Ratings = Annotated[
    Path,
    typer.Argument(
        help="CSV or Parquet with wav_file_name, score (0-10), listener_id; and text, if any."
    ),
]
Published = Annotated[
    bool, typer.Option("--published", help="As SPO-CLAPScore does, not as the pipeline does.")
]
COLUMNS = [
    "screening", "target", "srcc", "lcc", "difference", "difference_lo", "difference_hi",
    "p_holm", "share_lost", "share_dropped",
]  # fmt: skip


def tell(sentence: str) -> None:
    """A line on standard error about what the ratings cannot show."""
    console.tell(f"note: {sentence}")


@app.command()
def screen(
    ratings: Ratings,
    out: Annotated[Path, typer.Option("--output", "-o", help="The ratings that are kept.")],
    method: Annotated[
        Literal["rating", "listener", "both"] | None,
        typer.Option(
            help="Drop ratings that no other rating of the same pair comes near, careless "
            "listeners, or both: first those listeners, then such ratings.",
            show_default=Screening.method,
        ),
    ] = None,
    published: Published = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Points within which another rating must lie; alone it means --method rating.",
            show_default=f"{Screening.tolerance:g}",
        ),
    ] = None,
    careless_threshold: Annotated[
        float, typer.Option(help="Probability of carelessness above which a listener is dropped.")
    ] = Screening.careless_threshold,
    straightline_min_ratings: Annotated[
        int, typer.Option(help="Number of ratings, all equal, from which a listener is dropped.")
    ] = Screening.straightline_min_ratings,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for who was dropped and why, reliability, and figures."),
    ] = None,
    scale: console.Scale = None,
    overwrite: console.Overwrite = False,
) -> None:
    """Drop ratings or listeners that the other ratings of the same pairs contradict."""
    from soundjudge.labels.files import rating_files, screening_report

    if published and method is not None:
        raise SoundjudgeError(f"--published is --method {PUBLISHED_METHOD}: give one of the two")
    if tolerance is not None and method == "listener":
        raise SoundjudgeError(
            "--tolerance is of --method rating and both: listener has no use for it"
        )
    default = Screening.method if tolerance is None and not published else PUBLISHED_METHOD
    rules = Screening(
        method=method or default,
        tolerance=Screening.tolerance if tolerance is None else tolerance,
        careless_threshold=careless_threshold,
        straightline_min_ratings=straightline_min_ratings,
    )
    limits = console.parse_scale(scale)
    if report is not None:
        screening_report.check_folder(report, overwrite=overwrite)
    kept, read = rating_files.screen_file(
        ratings, out, rules, scale=limits, overwrite=overwrite, tell=tell
    )
    if report is not None:
        tell("the report's intervals, before and after, take some seconds")
        screening_report.write_report(ratings, report, rules, limits)
    console.tell(
        f"kept {kept.ratings} of {read.ratings} ratings, {kept.listeners} of {read.listeners} "
        f"listeners, {kept.pairs} of {read.pairs} pairs: {out}"
    )


@app.command()
def standardize(
    ratings: Ratings,
    out: Annotated[Path, typer.Option("--output", "-o", help="One target per pair.")],
    statistics_from: Annotated[
        Path | None, typer.Option(help="Training ratings: their listeners keep their own scale.")
    ] = None,
    shrinkage: Annotated[
        str | None,
        typer.Option(
            help="Shrink listeners' means and stds towards the panel's, by so many ratings' "
            "worth; 0 = not at all; empirical_bayes = as their differences call for.",
            show_default=str(Standardization.shrinkage),
        ),
    ] = None,
    latent: Annotated[
        bool | None,
        typer.Option(
            "--latent/--no-latent",
            help="Add the latent score and its standard error.",
            show_default="latent, but not with --published",
        ),
    ] = None,
    shrink_means: Annotated[
        bool,
        typer.Option(
            "--shrink-means", help="Shrink means of few ratings towards that of all pairs."
        ),
    ] = False,
    published: Published = False,
    scale: console.Scale = None,
    overwrite: console.Overwrite = False,
) -> None:
    """Average ratings to one target per pair, raw and with listeners on one scale."""
    from soundjudge.labels.files import rating_files

    if published and shrinkage is not None:
        raise SoundjudgeError(
            f"--published is --shrinkage {PUBLISHED_SHRINKAGE:g}: give one of the two"
        )
    with_latent = not published if latent is None else latent
    config = LatentConfig() if with_latent else None
    strength = PUBLISHED_SHRINKAGE if published else Standardization.shrinkage
    if shrinkage is not None:
        strength = parse_shrinkage(shrinkage)
    pairs = rating_files.standardize_file(
        ratings,
        out,
        statistics_from,
        strength,
        config,
        shrink_means=shrink_means,
        scale=console.parse_scale(scale),
        overwrite=overwrite,
        tell=tell,
    )
    console.tell(f"{pairs} targets: {out}")


@app.command()
def study(
    ratings: Ratings,
    out: console.Numbers = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for the figure, as PNG and PDF.")
    ] = None,
    splits: Annotated[int, typer.Option(min=2, help="Random divisions of the listeners.")] = 20,
    held_out: Annotated[float, typer.Option(help="Share of listeners to compare with.")] = 1 / 3,
    resamples: Annotated[int, typer.Option(min=50, help="Bootstrap resamples of the pairs.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of divisions and resamples.")] = 0,
    scale: console.Scale = None,
    overwrite: console.Overwrite = False,
) -> None:
    """Find which screening and target serve these ratings, by held-out listeners."""
    from soundjudge.labels.files import study_files
    from soundjudge.labels.study.held_out import StudyConfig
    from soundjudge.labels.study.study import INTERVALS

    config = StudyConfig(splits=splits, held_out=held_out, resamples=resamples, seed=seed)
    result = study_files.study_file(
        ratings,
        config,
        scale=console.parse_scale(scale),
        out=out,
        plots=plots,
        overwrite=overwrite,
        tell=tell,
    )
    console.print_table(result.table[COLUMNS])
    typer.echo(f"verdict: {result.verdict}")
    console.tell(INTERVALS)


@app.command()
def reliability(
    ratings: Ratings,
    out: console.Numbers = None,
    resamples: Annotated[int, typer.Option(min=50, help="Bootstrap resamples of the pairs.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of resamples and halves.")] = 0,
    scale: console.Scale = None,
    overwrite: console.Overwrite = False,
) -> None:
    """Measure how well listeners agree: ICC, alpha, split halves, noise ceilings."""
    from soundjudge.labels.files import study_files

    numbers = study_files.reliability_file(
        ratings,
        resamples=resamples,
        seed=seed,
        scale=console.parse_scale(scale),
        out=out,
        overwrite=overwrite,
        tell=tell,
    )
    console.print_numbers_and_reasons(numbers)
    if "no_intervals" not in numbers:
        console.tell("95 % intervals for other pairs, rated by the same listeners")
