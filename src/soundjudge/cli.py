"""The command line: arguments in, one call, a few lines out; an error is a sentence and code 2."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundjudge.scoring import console

if TYPE_CHECKING:
    from soundjudge.scoring.judge import Judge

FAILED_ROWS = 1
"""Exit code of a run that ended, but could not score every row or meet every need."""

app = typer.Typer(
    cls=console.Sentences,
    help="How well does this sound match this text, as people hear it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Option(help="A judge's folder, or its hub id.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Ratings = Annotated[
    Path,
    typer.Argument(help="CSV or Parquet with wav_file_name, text, score (0-10), listener_id."),
]
Predictions = Annotated[Path, typer.Argument(help="CSV with wav_file_name and pred_score.")]
Reference = Annotated[
    Path, typer.Option(help="CSV with wav_file_name and average_score (or mean_score).")
]
Resamples = Annotated[int, typer.Option(min=100, help="Bootstrap resamples.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the bootstrap.")]
JUDGE = "checkpoints/judge"


class OnError(StrEnum):
    """What becomes of a row whose sound cannot be read."""

    fail = "fail"
    skip = "skip"
    nan = "nan"


class Method(StrEnum):
    """What screening drops."""

    rating = "rating"
    listener = "listener"
    both = "both"


@app.command()
def score(
    sound: Annotated[Path, typer.Argument(help="A sound file of any rate, channels and length.")],
    text: Annotated[str, typer.Argument(help="What the sound should match.")],
    model: Model = JUDGE,
    device: Device = "auto",
) -> None:
    """Print one number from 0 (does not match at all) to 10 (matches exactly)."""
    from soundjudge.scoring.judge import waveform

    wave = waveform(sound)
    judge = _judge(model, device)
    (value,) = judge.score_waves([wave], [text], batch_size=1)
    typer.echo(value)
    typer.echo(judge.score_id, err=True)


@app.command("score-table")
def score_table(
    table: Annotated[Path, typer.Argument(help="CSV with wav_file_name, text and any others.")],
    audio_dir: Annotated[Path, typer.Option(help="Folder that wav_file_name starts from.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The table plus pred_score.")],
    model: Model = JUDGE,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="A sound that cannot be read: stop, leave its row out, or leave its cell empty. "
            "Each is listed in OUT.errors.csv; with skip and nan the exit code is then 1."
        ),
    ] = OnError.fail,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the rows that OUT has already.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs at once; scores stay.")] = 32,
    device: Device = "auto",
) -> None:
    """Score every row of a table; rows are written as they are done."""
    from soundjudge.scoring.table import score_table as run

    judge = _judge(model, device)
    with console.progress("scoring") as progress:
        summary = run(
            judge,
            table,
            audio_dir,
            out,
            on_error=on_error.value,
            resume=resume,
            batch_size=batch_size,
            progress=progress,
        )
    found = f", {summary.found} of them before" if summary.found else ""
    typer.echo(f"{summary.rows} rows{found}, scored by {judge.score_id}: {out}", err=True)
    if summary.failed:
        typer.echo(f"{summary.failed} rows have no score: {out}.errors.csv", err=True)
        raise typer.Exit(FAILED_ROWS)


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
    careless: Annotated[
        float, typer.Option(help="Probability of carelessness above which a listener goes.")
    ] = 0.5,
    constant: Annotated[
        int, typer.Option(help="So many ratings, all equal, and a listener goes.")
    ] = 8,
) -> None:
    """Drop ratings or listeners that the other ratings of the same pairs belie."""
    from soundjudge.labels import ratings_files
    from soundjudge.labels.screening import Screening

    rules = Screening(
        method=method.value, tolerance=tolerance, careless=careless, constant=constant, splits=()
    )
    kept, read = ratings_files.screen_file(ratings, out, rules)
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
    from soundjudge.labels import ratings_files
    from soundjudge.labels.shrinkage import strength

    pairs = ratings_files.standardize_file(
        ratings, out, statistics_from, strength(shrinkage), model=latent
    )
    typer.echo(f"{pairs} targets: {out}", err=True)


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
    from soundjudge import artifacts
    from soundjudge.scoring import comparison

    found = comparison.evaluate_files(
        predictions, reference, ratings, resamples=resamples, seed=seed
    )
    if out is not None:
        artifacts.write_json(out, found)
    console.show(found)


@app.command()
def compare(
    a: Predictions,
    b: Predictions,
    reference: Reference,
    resamples: Resamples = 2000,
    seed: Seed = 0,
) -> None:
    """Test whether two systems really differ on the same pairs."""
    from soundjudge.scoring import comparison

    console.show(comparison.compare_files(a, b, reference, resamples=resamples, seed=seed))


@app.command()
def submit(
    predictions: Predictions,
    listed: Annotated[Path, typer.Option("--list", help="CSV whose wav_file_name are asked for.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The submission.")],
) -> None:
    """Write the challenge's format, checked against its list."""
    from soundjudge.scoring import submission

    rows = submission.write_submission(predictions, listed, out)
    typer.echo(f"{rows} rows, checked: {out}", err=True)


@app.command()
def doctor(
    params: Annotated[Path, typer.Option(help="The params.yaml to look at.")] = Path("params.yaml"),
) -> None:
    """Say what this params.yaml needs, what is there, what is missing and where to get it."""
    from soundjudge.scoring import requirements

    found = requirements.findings(params)
    typer.echo("\n".join(requirements.lines(found)))
    if requirements.unmet(found):
        raise typer.Exit(FAILED_ROWS)


@app.command("import-tmu")
def import_tmu(
    model: Annotated[Path, typer.Argument(help="The published model.pt.")],
    beats: Annotated[Path, typer.Option(help="Microsoft's BEATs .pt, pre-trained or fine-tuned.")],
    llm: Annotated[
        Path, typer.Option(help="Folder of Qwen2.5-0.5B-Instruct, with tokenizer.json.")
    ],
    out: Annotated[Path, typer.Option("--output", "-o", help="The judge's folder, a new one.")],
) -> None:
    """Make a judge of the published TMU weights (CC-BY-NC-4.0)."""
    from transformers.utils import logging

    from soundjudge.scoring import published

    logging.disable_progress_bar()  # of the language model's weights, gone in an instant
    contents = published.import_tmu(model, beats, llm, out)
    typer.echo(f"{contents.score_id}: {out}", err=True)


def main() -> None:
    """The entry point of the package."""
    app()


def _judge(model: str, device: str) -> "Judge":
    from transformers.utils import logging

    from soundjudge.scoring.judge import Judge

    logging.disable_progress_bar()  # one for each member's weights, gone in an instant
    return Judge.from_pretrained(model, device)


if __name__ == "__main__":
    main()
