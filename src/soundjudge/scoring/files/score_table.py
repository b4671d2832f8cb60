"""Scores a user's table of pairs, batch by batch into a file that a later run can continue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.data.tables.schema import Table
from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.scoring.files.ledger import SCORE, Ledger, PairTable

PAIRS = Table(name="pairs", columns={"wav_file_name": "str", "text": "str"})
# Points of the 0-10 scale within which one judge agrees with itself on one kind of machine.
SAME_JUDGE_TOLERANCE = 1e-3

OnError = Literal["fail", "skip", "nan"]


class Scorer(Protocol):
    """The part of a judge that a table needs."""

    def score_waves(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str], batch_size: int
    ) -> list[float]:
        """One score a pair, 0 to 10; waves are mono at 16 kHz."""


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """What a run did, in rows."""

    rows: int
    found: int
    "dealt with by an earlier run"
    failed: int
    "without a score, by this run or an earlier one"


def score_table(
    scorer: Scorer,
    table: Path,
    audio_folder: Path,
    out: Path,
    *,
    on_error: OnError,
    resume: bool,
    batch_size: int,
    progress: Callable[[int, int], None],
) -> ScoreSummary:
    """Scores `table` into `out`; `progress` hears (rows done, rows in all) after every batch.

    A sound that cannot be read ends the run (`fail`), is left out (`skip`) or gets an empty cell
    (`nan`), and is listed in `out`.errors.csv each time.
    """
    for path in (table, out):
        if path.suffix != ".csv":
            raise SoundjudgeError(f"{path}: tables of pairs are .csv files")
    if out.resolve() == table.resolve():
        raise SoundjudgeError(f"{out} is the table itself: choose another output")
    if not audio_folder.is_dir():
        raise SoundjudgeError(f"{audio_folder} is no folder: name the one that holds the sounds")
    pairs = read_pair_table(table)
    ledger = Ledger(pairs, out, resume=resume)
    _check_same_judge(scorer, ledger, audio_folder)
    found = ledger.done
    progress(found, len(pairs.rows))
    while ledger.done < len(pairs.rows):
        batch = range(ledger.done, min(ledger.done + batch_size, len(pairs.rows)))
        _add_batch(scorer, ledger, audio_folder, batch, on_error, table)
        progress(ledger.done, len(pairs.rows))
    return ScoreSummary(rows=len(pairs.rows), found=found, failed=len(ledger.failures))


def read_pair_table(table: Path) -> PairTable:
    """The table's rows with all their columns, as they were written."""
    read_user_table(table, PAIRS)
    columns, rows = delimited.read_rows(table)
    if SCORE in columns:
        raise SoundjudgeError(f"{table} has a column {SCORE!r} already: drop or rename it")
    if not rows:
        raise SoundjudgeError(f"{table} has no rows")
    return PairTable(columns=columns, rows=rows)


def _add_batch(
    scorer: Scorer,
    ledger: Ledger,
    audio_folder: Path,
    batch: range,
    on_error: OnError,
    table: Path,
) -> None:
    waves: dict[int, NDArray[np.float32]] = {}
    reasons: dict[int, str] = {}
    for index in batch:
        try:
            waves[index] = audio.read_audio(audio_folder / ledger.pairs.key(index)[0])
        except AudioError as error:
            reasons[index] = str(error)
            if on_error == "fail":
                break
    texts = [ledger.pairs.key(index)[1] for index in waves]
    scores = scorer.score_waves(list(waves.values()), texts, len(batch)) if waves else []
    by_row = dict(zip(waves, scores, strict=True))
    if reasons and on_error == "fail":
        ledger.add(scores, {}, blank=False)
        row, reason = next(iter(reasons.items()))
        ledger.note(row, reason)
        raise SoundjudgeError(
            f"{table} row {row + 1}: {reason}; mend it and go on with --resume, "
            "or choose --on-error skip or nan"
        )
    ledger.add([by_row.get(index) for index in batch], reasons, blank=on_error == "nan")


def _check_same_judge(scorer: Scorer, ledger: Ledger, audio_folder: Path) -> None:
    """Scores the last written row again: the rest must come from the same judge and sounds."""
    if ledger.last_score is None:
        return
    index, written = ledger.last_score
    name, text = ledger.pairs.key(index)
    (score,) = scorer.score_waves([audio.read_audio(audio_folder / name)], [text], 1)
    if abs(score - written) > SAME_JUDGE_TOLERANCE:
        raise SoundjudgeError(
            f"{ledger.out}: {name} stands there with {written}, but this judge gives {score}: "
            "resume with the judge and the sounds of the first run, or start without --resume"
        )
