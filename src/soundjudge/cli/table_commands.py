"""The command that scores a table of pairs."""

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from soundjudge.cli import console
from soundjudge.cli import judge_options as options
from soundjudge.errors import SoundjudgeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundjudge.scoring.files.batch_scores import ScoreBatches
    from soundjudge.scoring.files.score_table import ScoreSummary
    from soundjudge.scoring.judge.judge import Judge

app = typer.Typer()
STDOUT = Path("-")


@app.command("score-table")
def score_table(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV, TSV, JSON Lines or Parquet; - for standard input; Kaldi's folder with "
            "wav.scp and text; or a folder with a .txt file per sound."
        ),
    ],
    audio_dir: Annotated[
        Path | None,
        typer.Option(help="Folder that names of sounds are relative to; else the table's."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--output", "-o", help="The table plus pred_score; - prints it.")
    ] = STDOUT,
    model: options.Model = options.JUDGE,
    audio_column: Annotated[
        str | None, typer.Option(help="Column of the sounds, if not a usual name.")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column of the texts, if not a usual name.")
    ] = None,
    members: options.Members = False,
    spread: options.Spread = False,
    interval: options.Interval = False,
    windows: options.Windows = False,
    flags: Annotated[
        bool, typer.Option("--flags", help="Faults of each sound: silent, clipped, ...")
    ] = False,
    on_error: Annotated[
        Literal["fail", "skip", "nan"],
        typer.Option(
            help="A sound that cannot be read: stop, leave its row out, or leave its cell empty. "
            "Each is listed in OUT.errors.csv; with skip and nan the exit code is then 1."
        ),
    ] = "fail",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after the rows that OUT has already.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start again and replace an OUT that exists.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: the I-th of N consecutive shares of the rows."),
    ] = None,
    as_json: options.Json = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Score in this process, or on the Ray cluster that is running."),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of engine ray; else one per GPU or processor."),
    ] = None,
    batch_size: options.BatchSize = 32,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    no_verify: options.NoVerify = False,
) -> None:
    """Score every row of a table, in its format, all columns kept; each batch is written at once.

    Scores have 4 decimals. Columns are found by their usual names: wav_file_name, path, audio,
    file, name, id; text, caption, prompt, description.
    """
    from soundjudge.scoring.files import listed_pairs, pair_reports
    from soundjudge.scoring.files import score_table as tables
    from soundjudge.scoring.files.pair_reports import Details

    if out == STDOUT and (resume or as_json or engine == "ray"):
        raise SoundjudgeError(
            "--resume, --json and --engine ray need a file to write: name it by -o"
        )
    if workers is not None and engine == "local":
        raise SoundjudgeError("--workers counts processes of a cluster: add --engine ray")
    pairs = listed_pairs.list_pairs(
        table, audio_dir, audio_column=audio_column, text_column=text_column, shard=_shard(shard)
    )
    details = Details(
        members=members, spread=spread, interval=interval, windows=windows, flags=flags
    )
    judges: list[Judge] = []

    def load_on(device: str) -> "Judge":
        return options.load_judge(model, device, no_verify, precision)

    def load() -> "Judge":
        # Where actors score, this process only holds a resumed output to the judge.
        judges.append(load_on(device if engine == "local" else "cpu"))
        return judges[0]

    with TemporaryDirectory() as folder, console.progress("scoring") as progress:
        target = Path(folder) / f"scores{pairs.table.suffix}" if out == STDOUT else out
        summary = tables.score_table(
            load,
            pairs,
            target,
            inputs=[table] if table.is_file() else [],
            details=details,
            on_error=on_error,
            resume=resume,
            overwrite=overwrite,
            batch_size=batch_size,
            progress=progress,
            engine=_engine(engine, load_on, device, workers, target),
        )
        if out == STDOUT:
            sys.stdout.buffer.write(target.read_bytes())
    if as_json:
        record = asdict(summary) | {"output": str(out)} | pair_reports.judge_json(judges[0])
        typer.echo(json.dumps(record))
    _tell_summary(summary, judges[0], out)


def _engine(
    engine: str, load: "Callable[[str], Judge]", device: str, workers: int | None, target: Path
) -> "ScoreBatches":
    from soundjudge.scoring.files import batch_scores

    if engine == "local":
        return batch_scores.score_batches
    folder = target.absolute().with_name(f".{target.name}.parts")
    return batch_scores.RayBatches(load=load, device=device, workers=workers, folder=folder)


def _tell_summary(summary: "ScoreSummary", judge: "Judge", out: Path) -> None:
    resumed = f", {summary.resumed} of them before" if summary.resumed else ""
    scored = (
        f"{summary.rows - summary.failed} of {summary.rows}" if summary.failed else summary.rows
    )
    where = "" if str(out) == "-" else f": {out}"
    several = summary.mean is None or summary.systems is not None
    mean = "" if several else f", mean {summary.mean:.4f}"
    console.tell(f"{scored} rows{resumed}{mean}, scored by {judge.score_id}{where}")
    if summary.systems is not None:
        console.tell(summary.systems.sentence())
    for sentence, names in summary.flagged.items():
        console.tell(f"{sentence} ({len(names)} rows, {names[0]} first)")
    options.tell_note(judge)
    if summary.failed:
        hint = ", all of them: is --audio-dir right?" if summary.failed == summary.rows else ""
        console.tell(f"{summary.failed} rows have no score: {out}.errors.csv{hint}")
        raise typer.Exit(options.FAILED_ROWS)


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise SoundjudgeError(f"--shard is {text!r}: write I/N, such as 1/4 for the first of four")
    return int(match[1]), int(match[2])
