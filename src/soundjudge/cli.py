"""The command line: arguments in, one call, a few lines out; an error is a sentence and code 2."""

import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAILED_ROWS = 1
"""Exit code of a run that ended, but could not score every row or meet every need."""
ERROR = 2


class Sentences(TyperGroup):
    """Says what went wrong in one sentence, out of memory included (torch's RuntimeError)."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  typer's own signature
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise  # RuntimeErrors both, and no errors
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            typer.echo(f"soundjudge: {_sentence(error)}", err=True)
            raise typer.Exit(ERROR) from error


app = typer.Typer(
    cls=Sentences,
    help="How well does this sound match this text, as people hear it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Option(help="A judge's folder, or its hub id.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Ratings = Annotated[
    Path, typer.Argument(help="CSV with wav_file_name, text, score (0-10), listener_id.")
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


@app.command()
def score(
    sound: Annotated[Path, typer.Argument(help="A sound file of any rate, channels and length.")],
    text: Annotated[str, typer.Argument(help="What the sound should match.")],
    model: Model = JUDGE,
    device: Device = "auto",
) -> None:
    """Print one number from 0 (does not match at all) to 10 (matches exactly)."""
    from soundjudge.scoring.judge import Judge, waveform

    wave = waveform(sound)
    judge = Judge.from_pretrained(model, device)
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
    from soundjudge.scoring.judge import Judge
    from soundjudge.scoring.table import score_table as run

    judge = Judge.from_pretrained(model, device)
    with _progress("scoring") as progress:
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
    tolerance: Annotated[
        float, typer.Option(min=0, help="Points within which another rating must lie.")
    ] = 5.0,
) -> None:
    """Drop ratings that no other rating of the same pair comes near."""
    from soundjudge.labels import listening_test

    kept, read = listening_test.screen_file(ratings, out, tolerance)
    typer.echo(f"kept {kept} of {read} ratings: {out}", err=True)


@app.command()
def standardize(
    ratings: Ratings,
    out: Annotated[Path, typer.Option("--output", "-o", help="One target a pair.")],
    statistics_from: Annotated[
        Path | None,
        typer.Option(help="Training ratings: their listeners keep their own scale."),
    ] = None,
) -> None:
    """Average ratings to one target a pair, raw and with listeners on one scale."""
    from soundjudge.labels import listening_test

    pairs = listening_test.standardize_file(ratings, out, statistics_from)
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
    _print(found)


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

    _print(comparison.compare_files(a, b, reference, resamples=resamples, seed=seed))


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


def main() -> None:
    """The entry point of the package."""
    app()


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _print(numbers: dict[str, float]) -> None:
    for name, value in numbers.items():
        typer.echo(f"{name} {value}" if isinstance(value, int) else f"{name} {value:.4f}")


@contextmanager
def _progress(doing: str) -> "Iterator[Callable[[int, int], None]]":
    """A bar on standard error; hears (done, all)."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


if __name__ == "__main__":
    sys.exit(main())
