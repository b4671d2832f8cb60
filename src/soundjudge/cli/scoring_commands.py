"""Commands around a judge: score with it, import one, see what making one needs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundjudge.cli import console

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge

FAILED_ROWS = 1
"""Exit code of a run that ended, but could not score every row or meet every need."""

app = typer.Typer()

Model = Annotated[str, typer.Option(help="A judge's folder, or its hub id.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
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
    from soundjudge.scoring.judge.judge import load_waveform

    wave = load_waveform(sound)
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
    from soundjudge.scoring.files.score_table import score_table as run

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
def doctor(
    params: Annotated[Path, typer.Option(help="The params.yaml to look at.")] = Path("params.yaml"),
    model: Annotated[
        Path | None, typer.Option(help="Look at this judge instead: what it needs beside itself.")
    ] = None,
) -> None:
    """Say what this params.yaml needs, what is there, what is missing and where to get it."""
    from soundjudge.doctor import requirements
    from soundjudge.scoring.members import own_m2d

    if model is not None:
        typer.echo(own_m2d.check_copy(model))
        return
    found = requirements.find_requirements(params)
    typer.echo("\n".join(requirements.report_lines(found)))
    if requirements.unmet_requirements(found):
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

    from soundjudge.scoring.published import tmu

    logging.disable_progress_bar()  # of the language model's weights, gone in an instant
    contents = tmu.import_tmu(model, beats, llm, out)
    typer.echo(f"{contents.score_id}: {out}", err=True)


def _judge(model: str, device: str) -> "Judge":
    from transformers.utils import logging

    from soundjudge.scoring.judge.judge import Judge

    logging.disable_progress_bar()  # one for each member's weights, gone in an instant
    return Judge.from_pretrained(model, device)
