"""Commands around a judge: score with it, check it, list what training one needs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundjudge.cli import console

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge

FAILED_ROWS = 1
"""Exit code of a run that ended, but could not score every row or has unmet needs."""

app = typer.Typer()

Model = Annotated[
    str,
    typer.Option(
        envvar="SOUNDJUDGE_MODEL",
        help="A judge's folder, hf://owner/name@revision of the hub, or a name of `judges`.",
    ),
]
NoVerify = Annotated[
    bool, typer.Option("--no-verify", help="Trust the judge's files: compute no sha256.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
JUDGE = "checkpoints/judge"
CUT = "what is behind its limit does not count"


class OnError(StrEnum):
    """What happens to a row whose sound cannot be read."""

    fail = "fail"
    skip = "skip"
    nan = "nan"


@app.command()
def score(
    sound: Annotated[Path, typer.Argument(help="A sound file of any rate, channels and length.")],
    text: Annotated[
        str, typer.Argument(help="What the sound should match; -- goes before one like -x.")
    ],
    model: Model = JUDGE,
    device: Device = "auto",
    no_verify: NoVerify = False,
) -> None:
    """Print one number from 0 (does not match at all) to 10 (matches exactly)."""
    from soundjudge.data.audio import audio
    from soundjudge.scoring.members.windows import clean_text

    clean_text(text)  # a judge takes seconds to load
    loaded = audio.read_sound(sound)
    judge = _judge(model, device, no_verify)
    (value,) = judge.score_waves([loaded.wave], [text], batch_size=1)
    typer.echo(value)
    typer.echo(judge.score_id, err=True)
    for sentence in loaded.flags.sentences():
        typer.echo(sentence, err=True)
    if judge.cut_texts([text])[0]:
        typer.echo(f"the text is longer than a member reads: {CUT}", err=True)


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
        bool, typer.Option("--resume", help="Continue after the rows that OUT has already.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew and replace an OUT that exists.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs at once: memory and speed.")] = 32,
    device: Device = "auto",
    no_verify: NoVerify = False,
) -> None:
    """Score every row of a table; each batch of rows is written at once."""
    from soundjudge.scoring.files import score_table as tables

    judge = _judge(model, device, no_verify)
    with console.progress("scoring") as progress:
        summary = tables.score_table(
            judge,
            table,
            audio_dir,
            out,
            on_error=on_error.value,
            resume=resume,
            overwrite=overwrite,
            batch_size=batch_size,
            progress=progress,
        )
    resumed = f", {summary.resumed} of them before" if summary.resumed else ""
    typer.echo(f"{summary.rows} rows{resumed}, scored by {judge.score_id}: {out}", err=True)
    for sentence, names in summary.flagged.items():
        typer.echo(f"{sentence} ({len(names)} sounds, {names[0]} first)", err=True)
    pairs = tables.read_pair_table(table)
    if cut := sum(judge.cut_texts([pairs.pair(row)[1] for row in range(len(pairs.rows))])):
        typer.echo(f"{cut} texts are longer than a member reads: {CUT}", err=True)
    if summary.failed:
        typer.echo(f"{summary.failed} rows have no score: {out}.errors.csv", err=True)
        raise typer.Exit(FAILED_ROWS)


@app.command()
def doctor(
    params: Annotated[Path, typer.Option(help="The params.yaml to check.")] = Path("params.yaml"),
    model: Annotated[
        str | None,
        typer.Option(help="Check this judge instead: whether it is whole, and what it needs."),
    ] = None,
) -> None:
    """Check a params.yaml: its keys, what it needs, what is missing and where to get it."""
    from soundjudge.doctor import judge_check, requirements, sections

    if model is not None:
        typer.echo("\n".join(judge_check.judge_lines(_judge_folder(model))))
        return
    problems = sections.find_problems(params)
    needs = requirements.find_requirements(params)
    typer.echo("\n".join(requirements.report_lines(needs, problems)))
    if problems or requirements.unmet_requirements(needs):
        raise typer.Exit(FAILED_ROWS)


def _judge_folder(model: str) -> Path:
    """A folder, or a judge that was fetched by name.

    What does not say that it is of the hub is never looked up there: a typo must download nothing.
    """
    from soundjudge.scoring.published import installed

    return Path(model) if Path(model).is_dir() else installed.find_judge(model) or Path(model)


def _judge(model: str, device: str, no_verify: bool) -> "Judge":
    from soundjudge.data.hub import hub
    from soundjudge.scoring.judge.judge import Judge

    name = model if model.startswith(hub.SCHEME) else _judge_folder(model)
    return Judge.from_pretrained(name, device, verify=not no_verify)
