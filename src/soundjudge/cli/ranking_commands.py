"""The command that ranks: sounds for a text, or texts for a sound."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundjudge.cli.judge_options import (
    JUDGE,
    BatchSize,
    Device,
    Json,
    Model,
    NoVerify,
    Precision,
    PrecisionOption,
    load_judge,
    tell_note,
)
from soundjudge.errors import SoundjudgeError

if TYPE_CHECKING:
    from soundjudge.scoring.ensemble.intervals import Intervals
    from soundjudge.scoring.judge.pair_score import PairScore

app = typer.Typer()
STDIN = Path("-")


@app.command()
def rank(
    first: Annotated[str, typer.Argument(metavar="TEXT", help="The text; with --texts, a sound.")],
    sounds: Annotated[list[Path] | None, typer.Argument(help="Sounds, for that text.")] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Texts for one sound: a file, one per line; - reads input.")
    ] = None,
    model: Model = JUDGE,
    as_json: Json = False,
    batch_size: BatchSize = 32,
    device: Device = "auto",
    precision: PrecisionOption = Precision.fp32,
    no_verify: NoVerify = False,
) -> None:
    """Rank sounds for a text, or texts for a sound, best first: rank, score, name.

    Those that the judge's noise does not let it tell apart share a rank.
    """
    from soundjudge.scoring.files import sound_names
    from soundjudge.scoring.members.windows import clean_text

    if (texts is None) == (not sounds):
        raise SoundjudgeError("name a text and its sounds, or one sound and --texts FILE")
    names = [str(sound) for sound in sounds] if sounds else _read_texts(texts or STDIN)
    if sounds:
        waves, written = [sound_names.read_sound(sound) for sound in sounds], [first] * len(sounds)
    else:
        waves, written = [sound_names.read_sound(Path(first))] * len(names), names
    for text in written:
        clean_text(text)
    judge = load_judge(model, device, no_verify, precision)
    pairs = judge.score_sounds(waves, written, batch_size)
    difference = judge.intervals.difference if judge.intervals else 0.0
    rows = _ranked(names, pairs, difference)
    if as_json:
        from soundjudge.scoring.files import pair_reports

        record = {"ranked": [_record(*row) for row in rows], **pair_reports.judge_json(judge)}
        typer.echo(json.dumps(record, ensure_ascii=False))
    else:
        typer.echo("\n".join(f"{place}  {pair.value:.4f}  {name}" for place, name, pair in rows))
    typer.echo(judge.score_id, err=True)
    for _, name, pair in rows:
        for sentence in pair.flag_sentences():
            typer.echo(f"{name}: {sentence}", err=True)
    typer.echo(_tie_sentence(judge.intervals), err=True)
    tell_note(judge)


def _ranked(
    names: Sequence[str], pairs: Sequence["PairScore"], difference: float
) -> list[tuple[int, str, "PairScore"]]:
    """Rank, name and score, best first."""
    from soundjudge.scoring.judge.ranking import rank_scores

    ranks = rank_scores([pair.value for pair in pairs], difference)
    rows = list(zip(ranks, names, pairs, strict=True))
    return sorted(rows, key=lambda row: -row[2].value)


def _record(place: int, name: str, pair: "PairScore") -> dict[str, object]:
    from soundjudge.scoring.files import pair_reports

    return {"rank": place, "name": name, **pair_reports.pair_json(pair)}


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
