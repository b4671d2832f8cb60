"""Commands that write or serve pages: systems against each other, a judge in the browser."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from soundjudge.cli import console
from soundjudge.cli import judge_options as options
from soundjudge.errors import SoundjudgeError

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge

app = typer.Typer()


@app.command()
def report(
    systems: Annotated[
        list[Path],
        typer.Argument(
            help="A folder per system, its sounds named by the prompts' ids; or tables with "
            "wav_file_name, with or without pred_score."
        ),
    ],
    prompts: Annotated[Path, typer.Option(help="CSV, TSV, JSONL or Parquet with id and text.")],
    out: console.Page,
    model: options.Model = options.JUDGE,
    on_missing: Annotated[
        Literal["fail", "skip"],
        typer.Option(
            help="A sound that is missing, unreadable or of no prompt: stop, or leave its prompt "
            "out for all systems, which the page lists."
        ),
    ] = "fail",
    compare_clap: Annotated[
        str | None,
        typer.Option(
            help="Show the CLAPScore of this CLAP beside the score, for comparison with older "
            "tables: a folder (of import-clap, or a checkpoint), a .pt file or hf://owner/name."
        ),
    ] = None,
    embed_sounds: Annotated[
        float, typer.Option(min=0, help="Megabytes of sounds inside the page; more become links.")
    ] = 20.0,
    listen: Annotated[
        int, typer.Option(min=0, help="Lost prompts per system whose sounds the page plays.")
    ] = 10,
    json_: Annotated[
        bool, typer.Option("--json", help="Write all numbers as JSON beside the page, too.")
    ] = False,
    audio_column: Annotated[
        str | None, typer.Option(help="Column of --prompts by which sounds are named; else id.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of --prompts with texts.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of prompts.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of resamples and sign flips.")] = 0,
    batch_size: options.BatchSize = 32,
    overwrite: console.Overwrite = False,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    no_verify: options.NoVerify = False,
) -> None:
    """Compare text-to-audio systems on the same prompts, without ratings, as a page with sounds.

    Means with 95 % intervals over prompts, paired tests with Holm's correction, prompts won, and
    sounds of the lost ones. To compare judges, by listeners' ratings, use `compare`.
    """
    from soundjudge.page import report as reports

    def load_clap(source: str) -> "Judge":
        from transformers.utils import logging

        logging.disable_progress_bar()  # of writing one file
        return reports.clap_judge(source, device)

    with console.progress("scoring") as progress:
        result = reports.write_report(
            systems,
            prompts,
            out,
            load_judge=partial(_load, model, device, no_verify, precision),
            load_clap=None if compare_clap is None else partial(load_clap, compare_clap),
            progress=progress,
            on_missing=on_missing,
            audio_column=audio_column,
            text_column=text_column,
            embed_megabytes=embed_sounds,
            listen=listen,
            resamples=resamples,
            seed=seed,
            batch_size=batch_size,
            json=json_,
            overwrite=overwrite,
        )
    console.print_table(result.table())
    console.tell(f"score id {result.score_id}: {out}")
    if result.clap is not None:
        console.tell(f"clap: {result.clap.score_id}")
    if left_out := len(result.scores.left_out):
        console.tell(f"{left_out} prompts are left out: the page lists them")


@app.command()
def serve(
    model: options.Model = options.JUDGE,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than 127.0.0.1 let others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 is any free one.")] = 8765,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name that browsers may call the page by.")
    ] = None,
    max_megabytes: Annotated[float, typer.Option(min=0.1, help="Limit of one request.")] = 200.0,
    max_seconds: Annotated[float, typer.Option(min=1, help="Limit of one sound.")] = 120.0,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    no_verify: options.NoVerify = False,
) -> None:
    """Serve a local page: drop sounds, type texts, see scores over time; score a table with a zip.

    Nothing leaves this machine, and no sound is kept.
    """
    from soundjudge.page.limits import Limits

    try:
        from soundjudge.page import application as serving
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "multipart", "python_multipart"):
            raise
        raise SoundjudgeError(
            f"{error.name} is not installed: pip install 'soundjudge[page]'"
        ) from error

    serving.serve(
        partial(_load, model, device, no_verify, precision),
        host=host,
        port=port,
        names=allow_host or (),
        limits=Limits(megabytes=max_megabytes, seconds=max_seconds),
        tell=console.tell,
    )


@app.command()
def curves(
    out: console.Page,
    plots: Annotated[
        Path, typer.Argument(help="Folder with the histories that trainings wrote.")
    ] = Path("plots"),
    note: Annotated[
        str, typer.Option(help="Stands above the curves, such as 'simulated ratings'.")
    ] = "",
    overwrite: console.Overwrite = False,
) -> None:
    """Draw the learning curves of all trainings of a pipeline, as one HTML file."""
    from soundjudge.page import training_curves

    count = training_curves.write_curves(plots, out, note=note, overwrite=overwrite)
    console.tell(f"learning curves of {count} trainings: {out}")


def _load(model: str, device: str, no_verify: bool, precision: options.Precision) -> "Judge":
    judge = options.load_judge(model, device, no_verify, precision)
    options.tell_note(judge)
    return judge
