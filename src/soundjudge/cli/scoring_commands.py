"""Commands that score one pair, or rank: sounds for a text, or texts for a sound."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundjudge.cli import console
from soundjudge.cli import judge_options as options
from soundjudge.errors import SoundjudgeError

if TYPE_CHECKING:
    from soundjudge.scoring.ensemble.intervals import Intervals

app = typer.Typer()
STDIN = Path("-")


@app.command()
def score(
    sound: Annotated[Path, typer.Argument(help="A sound file of any rate, channels and length.")],
    text: Annotated[
        str, typer.Argument(help="What the sound should match; -- goes before one like -x.")
    ],
    model: options.Model = options.JUDGE,
    members: options.Members = False,
    spread: options.Spread = False,
    interval: options.Interval = False,
    windows: options.Windows = False,
    events: Annotated[
        bool, typer.Option("--events", help="Each event of the text alone, and their order.")
    ] = False,
    as_json: options.Json = False,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    no_verify: options.NoVerify = False,
) -> None:
    """Print one number from 0 (does not match at all) to 10 (matches exactly)."""
    from soundjudge.data.tables.texts import clean_text
    from soundjudge.scoring.files import sound_names
    from soundjudge.scoring.judge import argument_order

    clean_text(text)  # a judge takes seconds to load
    if events:
        from soundjudge.scoring.judge.events import score_events, split_events

        split_events(text)
    argument_order.check_order([sound], text, "soundjudge score SOUND TEXT")
    loaded = sound_names.read_sound(sound)
    judge = options.load_judge(model, device, no_verify, precision)
    from soundjudge.scoring.files import pair_reports
    from soundjudge.scoring.files.pair_reports import Details

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
        console.tell(line)
    options.tell_note(judge)


@app.command()
def rank(
    first: Annotated[str, typer.Argument(metavar="TEXT", help="The text; with --texts, a sound.")],
    sounds: Annotated[list[Path] | None, typer.Argument(help="Sounds, for that text.")] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Texts for one sound: a file, one per line; - reads input.")
    ] = None,
    model: options.Model = options.JUDGE,
    as_json: options.Json = False,
    batch_size: options.BatchSize = 32,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    no_verify: options.NoVerify = False,
) -> None:
    """Rank sounds for a text, or texts for a sound, best first: rank, score, name.

    Scores that differ by less than the judge's noise share a rank.
    """
    from soundjudge.data.tables.texts import clean_text
    from soundjudge.scoring.files import sound_names
    from soundjudge.scoring.judge import argument_order

    if (texts is None) == (not sounds):
        raise SoundjudgeError("name a text and its sounds, or one sound and --texts FILE")
    if sounds:
        paths, written = sounds, [first]
        argument_order.check_order(sounds, first, "soundjudge rank TEXT SOUND SOUND ...")
    else:
        paths, usage = [Path(first)], "soundjudge rank SOUND --texts FILE"
        argument_order.check_order(paths, str(texts), usage)
        written = _read_texts(texts or STDIN)
        for text in written:
            argument_order.check_order(paths, text, usage)
    waves = [sound_names.read_sound(path) for path in paths]
    for text in written:
        clean_text(text)
    names = [str(sound) for sound in sounds] if sounds else written
    waves, written = (waves, written * len(waves)) if sounds else (waves * len(written), written)
    judge = options.load_judge(model, device, no_verify, precision)
    from soundjudge.scoring.files import pair_reports
    from soundjudge.scoring.judge.pair_score import rank_scores

    pairs = judge.score_sounds(waves, written, batch_size)
    difference = judge.intervals.difference if judge.intervals else 0.0
    ranks = rank_scores([pair.value for pair in pairs], difference)
    rows = sorted(zip(ranks, names, pairs, strict=True), key=lambda row: -row[2].value)
    if as_json:
        ranked = [{"rank": r, "name": name, **pair_reports.pair_json(p)} for r, name, p in rows]
        record = {"ranked": ranked, **pair_reports.judge_json(judge)}
        typer.echo(json.dumps(record, ensure_ascii=False))
    else:
        typer.echo(
            "\n".join(f"{position}  {pair.value:.4f}  {name}" for position, name, pair in rows)
        )
    console.tell(judge.score_id)
    for _, name, pair in rows:
        for sentence in pair.flag_sentences():
            console.tell(f"{name}: {sentence}")
    console.tell(_tie_sentence(judge.intervals))
    options.tell_note(judge)


def _tie_sentence(intervals: "Intervals | None") -> str:
    if intervals is None:
        return "how much of a difference is noise was not learned for this judge: none is a tie"
    return (
        f"equal ranks: within {intervals.difference:.1f} points; listeners share the order of "
        f"scores that differ by more in {intervals.coverage:.0%} of cases or more"
    )


def _read_texts(path: Path) -> list[str]:
    """The lines of a file that are not blank."""
    try:
        content = sys.stdin.read() if path == STDIN else path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SoundjudgeError(f"{path} is not UTF-8: save it so, one text per line") from error
    lines = [line.strip() for line in content.split("\n") if line.strip()]
    if not lines:
        raise SoundjudgeError(f"{path} has no text: write one per line")
    return lines
