"""The command that scores one pair."""

import json
from pathlib import Path
from typing import Annotated

import typer

from soundjudge.cli.judge_options import (
    JUDGE,
    Device,
    Interval,
    Json,
    Members,
    Model,
    NoVerify,
    Precision,
    PrecisionOption,
    Spread,
    Windows,
    load_judge,
    tell_note,
)

app = typer.Typer()


@app.command()
def score(
    sound: Annotated[Path, typer.Argument(help="A sound file of any rate, channels and length.")],
    text: Annotated[
        str, typer.Argument(help="What the sound should match; -- goes before one like -x.")
    ],
    model: Model = JUDGE,
    members: Members = False,
    spread: Spread = False,
    interval: Interval = False,
    windows: Windows = False,
    events: Annotated[
        bool, typer.Option("--events", help="Each event of the text alone, and their order.")
    ] = False,
    as_json: Json = False,
    device: Device = "auto",
    precision: PrecisionOption = Precision.fp32,
    no_verify: NoVerify = False,
) -> None:
    """Print one number from 0 (does not match at all) to 10 (matches exactly)."""
    from soundjudge.scoring.files import sound_names
    from soundjudge.scoring.members.windows import clean_text

    clean_text(text)  # a judge takes seconds to load
    if events:
        from soundjudge.scoring.judge.events import score_events, split_events

        split_events(text)
    loaded = sound_names.read_sound(sound)
    judge = load_judge(model, device, no_verify, precision)
    from soundjudge.scoring.files import pair_reports
    from soundjudge.scoring.files.added_columns import Details

    details = Details(members=members, spread=spread, interval=interval, windows=windows)
    details.columns(judge)  # refuses intervals where there are none
    (pair,) = judge.score_sounds([loaded], [text], 1)
    scored = score_events(judge, loaded, text) if events else None
    if as_json:
        record = {"sound": str(sound), "text": text, **pair_reports.pair_json(pair)}
        record |= pair_reports.judge_json(judge)
        record |= pair_reports.events_json(scored) if scored else {}
        typer.echo(json.dumps(record, ensure_ascii=False))
    else:
        lines = pair_reports.pair_lines(pair, details, judge.intervals)
        lines += pair_reports.event_lines(scored) if scored else []
        typer.echo("\n".join(lines))
    for line in (judge.score_id, *pair.flag_sentences()):
        typer.echo(line, err=True)
    tell_note(judge)
