"""Commands for predictions: evaluate, compare and submit them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from soundjudge.cli import console

app = typer.Typer()


Predictions = Annotated[Path, typer.Argument(help="CSV with wav_file_name and pred_score.")]
Reference = Annotated[
    Path, typer.Option(help="CSV with wav_file_name and average_score (or mean_score).")
]
Resamples = Annotated[int, typer.Option(min=100, help="Bootstrap resamples.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")]
Cluster = Annotated[
    Literal["none", "text", "model_id", "both"],
    typer.Option(help="Resample texts, generators, or both crosswise, with all their pairs."),
]


@app.command()
def evaluate(
    predictions: Predictions,
    reference: Reference,
    ratings: Annotated[
        Path | None, typer.Option(help="Single ratings, for the noise ceiling; --scale is theirs.")
    ] = None,
    scale: console.Scale = None,
    out: console.Numbers = None,
    page: Annotated[
        Path | None, typer.Option("--report", help="Numbers and pictures as one HTML file.")
    ] = None,
    note: Annotated[
        str, typer.Option(help="Stands beside the numbers, such as 'simulated ratings'.")
    ] = "",
    resamples: Resamples = 2000,
    seed: Seed = 0,
    cluster: Cluster = "none",
    overwrite: console.Overwrite = False,
) -> None:
    """Correlate predictions with mean ratings."""
    from soundjudge.scoring.evaluation import markdown_page
    from soundjudge.scoring.evaluation.systems import EvaluationConfig
    from soundjudge.scoring.files import comparison

    evaluation = comparison.evaluate_files(
        predictions,
        reference,
        ratings,
        EvaluationConfig(resamples=resamples, seed=seed, cluster=cluster),
        scale=console.parse_scale(scale),
        out=out,
        page=page,
        note=note,
        overwrite=overwrite,
    )
    console.print_numbers_and_reasons(evaluation.numbers)
    console.print_table(evaluation.slices)
    if "ceiling_srcc" in evaluation.numbers:
        console.tell(markdown_page.RANGE)
    if note:
        console.tell(note)


@app.command()
def compare(
    predictions: Annotated[
        list[Path], typer.Argument(help="Two or more CSVs with wav_file_name and pred_score.")
    ],
    reference: Reference,
    out: console.Numbers = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    cluster: Cluster = "none",
    overwrite: console.Overwrite = False,
) -> None:
    """Test whether judges of the same pairs agree with listeners differently.

    All predictions against all, by four metrics. To compare two text-to-audio generators, use
    `report`.
    """
    from soundjudge.scoring.evaluation.systems import EvaluationConfig
    from soundjudge.scoring.files import comparison

    config = EvaluationConfig(resamples=resamples, seed=seed, cluster=cluster)
    compared = comparison.compare_files(
        predictions, reference, config, out=out, overwrite=overwrite
    )
    console.print_table(compared.table)
    console.tell(comparison.OF_THESE_SCORES)
    if compared.narrow_intervals:
        console.tell(f"intervals over pairs: {compared.narrow_intervals}")
    for name, sentence in compared.other_scales.items():
        console.tell(f"mse of another scale, {name}: {sentence}")


PairList = Annotated[Path, typer.Option("--list", help="CSV with the wav_file_name to submit.")]


@app.command()
def submit(
    predictions: Predictions,
    pair_list: PairList,
    out: Annotated[Path, typer.Option("--output", "-o", help="The system's CSV.")],
    overwrite: console.Overwrite = False,
) -> None:
    """Write one system's CSV of a submission, checked against the challenge's list.

    The single-file form of `submission`, by the same checks.
    """
    from soundjudge.scoring.files import submission

    summary = submission.write_system(predictions, pair_list, out, overwrite=overwrite)
    console.tell(f"{summary}, checked: {out}")


@app.command(name="submission")
def write_submission(
    predictions: Annotated[
        list[Path], typer.Argument(help="A CSV per system, with wav_file_name and pred_score.")
    ],
    pair_list: PairList,
    out: Annotated[Path, typer.Option("--output", "-o", help="The submission, zip.")],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="A judge's folder: that of all systems, or one for each, in their order."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Technical report, PDF.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="YAML for the descriptions: team, authors, summary, ...")
    ] = None,
    decimals: Annotated[int, typer.Option(min=2, max=6, help="Decimals of the scores.")] = 2,
    overwrite: console.Overwrite = False,
) -> None:
    """Write a whole submission to the challenge: CSV and description per system, one zip."""
    from soundjudge.scoring.files import submission

    written = submission.write_submission(
        predictions,
        pair_list,
        out,
        judges=model or [],
        report=report,
        answers=answers,
        decimals=decimals,
        overwrite=overwrite,
    )
    for name, summary in written.systems.items():
        console.tell(f"{name}: {summary}, checked")
    for name, count in written.unfinished.items():
        if count:
            console.tell(
                f"{name}: complete {count} {submission.MARKED}, in the zip or by --answers"
            )
    console.tell(submission.UNKNOWN)
