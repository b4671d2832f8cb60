"""Scores a user's table of pairs, batch by batch, into a file that a later run can resume."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.data.tables import spellings
from soundjudge.data.tables.schema import Table
from soundjudge.data.user_files import delimited, outputs
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.files import score_reader
from soundjudge.scoring.files.score_writer import PairTable, ScoreWriter, errors_path

PAIRS = Table(name="pairs", columns={"wav_file_name": "str", "text": "str"})
# Points of the 0-10 scale that a judge's scores may differ by on one kind of machine.
SAME_JUDGE_TOLERANCE = 1e-3
CHECKED_ROWS = 5  # written rows that a resumed run scores again

OnError = Literal["fail", "skip", "nan"]


class Scorer(Protocol):
    """The part of a judge that a table needs."""

    def score_waves(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str], batch_size: int
    ) -> list[float]:
        """A score per pair, 0 to 10; waves (T,) are mono at 16 kHz."""


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """Counts of rows."""

    rows: int
    resumed: int  # done by an earlier run
    failed: int  # without a score, in this run or an earlier one
    flagged: dict[
        str, list[str]
    ]  # what is to be known of a sound (`SoundFlags`) -> files, this run


def score_table(
    scorer: Scorer,
    table: Path,
    audio_folder: Path,
    out: Path,
    *,
    on_error: OnError,
    resume: bool,
    overwrite: bool = False,
    batch_size: int,
    progress: Callable[[int, int], None],
) -> ScoreSummary:
    """Scores `table` into `out`, calling `progress(rows done, rows in all)` after every batch.

    A sound that cannot be read ends the run (`fail`), is left out (`skip`) or gets an empty cell
    (`nan`), and is always listed in `out`.errors.csv. `resume` scores the rows of an existing `out`
    that have no score, too. Raises SoundjudgeError.
    """
    if resume and overwrite:
        raise SoundjudgeError("--resume and --overwrite exclude one another: choose one")
    if not audio_folder.is_dir():
        raise SoundjudgeError(f"{audio_folder} is no folder: name the one that holds the sounds")
    outputs.check_output(errors_path(out), [table], (".csv",))
    locked = outputs.locked_output(out, [table], (".csv",), overwrite=overwrite, resume=resume)
    with locked as target:
        pairs = read_pair_table(table)
        scores: dict[int, float] = {}
        done = 0
        if resume and target.exists():
            scores, done = score_reader.read_scores(pairs, target)
            _check_same_judge(scorer, pairs, scores, audio_folder, out)
        writer = ScoreWriter(pairs, target, blank=on_error == "nan", scores=scores, done=done)
        flagged: dict[str, list[str]] = {}
        total = len(pairs.rows)
        progress(len(scores), total)
        for batch in _batches([row for row in range(done) if row not in scores], batch_size):
            run = _score_batch(scorer, pairs, audio_folder, batch, on_error)
            writer.insert(run.scores)
            _add_flags(flagged, run, pairs)
            _report(run, writer, on_error, table)
            progress(len(writer.scores), total)
        for batch in _batches(range(done, total), batch_size):
            run = _score_batch(scorer, pairs, audio_folder, batch, on_error)
            is_over = run.reasons and on_error == "fail"
            if run.scores or not is_over:
                stop = batch[0] + len(run.scores) if is_over else batch[-1] + 1
                writer.append(stop, run.scores)
            _add_flags(flagged, run, pairs)
            _report(run, writer, on_error, table)
            progress(writer.done, total)
        writer.finish()
    return ScoreSummary(
        rows=total, resumed=len(scores), failed=len(writer.failures), flagged=flagged
    )


def read_pair_table(table: Path) -> PairTable:
    """The table's rows with all their columns, as they were written."""
    if table.suffix.lower() == ".parquet":
        kinds = ", ".join(delimited.SUFFIXES)
        raise SoundjudgeError(f"{table}: save the table of pairs as one of {kinds}")
    # The names are those of files, which may differ by case alone.
    read_user_table(table, PAIRS, check_ids=False)
    columns, rows = delimited.read_rows(table)
    if PREDICTION in columns:
        raise SoundjudgeError(f"{table} has a column {PREDICTION!r} already: drop or rename it")
    if not rows:
        raise SoundjudgeError(f"{table} has no rows")
    return PairTable(columns=columns, rows=rows)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Scores, reasons where there is none, and flags of the sounds, by row."""

    scores: dict[int, float]
    reasons: dict[int, str]
    flags: dict[int, list[str]]


def _batches(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _score_batch(
    scorer: Scorer, pairs: PairTable, audio_folder: Path, batch: Sequence[int], on_error: OnError
) -> _Batch:
    waves: dict[int, NDArray[np.float32]] = {}
    flags: dict[int, list[str]] = {}
    reasons: dict[int, str] = {}
    for row in batch:
        name = pairs.pair(row)[0]
        try:
            sound = audio.read_sound(audio_folder / name)
            waves[row], flags[row] = sound.wave, sound.flags.sentences()
        except AudioError as error:
            hint = _other_name(audio_folder, name) if error.reason == "missing" else ""
            reasons[row] = f"{error}{hint}"
            if on_error == "fail":
                break
    texts = [pairs.pair(row)[1] for row in waves]
    scores = scorer.score_waves(list(waves.values()), texts, len(batch)) if waves else []
    return _Batch(scores=dict(zip(waves, scores, strict=True)), reasons=reasons, flags=flags)


def _add_flags(flagged: dict[str, list[str]], run: _Batch, pairs: PairTable) -> None:
    for row, sentences in run.flags.items():
        for sentence in sentences:
            flagged.setdefault(sentence, []).append(pairs.pair(row)[0])


def _report(run: _Batch, writer: ScoreWriter, on_error: OnError, table: Path) -> None:
    if not run.reasons:
        return
    writer.report_failures(run.reasons)
    if on_error == "fail":
        writer.save()
        ((row, reason),) = run.reasons.items()
        raise SoundjudgeError(
            f"{table} row {row + 1}: {reason}; correct it and continue with --resume, "
            "or choose --on-error skip or nan"
        )


def _other_name(folder: Path, name: str) -> str:
    """A hint where the folder has the file under another spelling of its name."""
    path = folder / name.replace("\\", "/")
    if path.is_file():
        return f", but {path} is there: write / in place of \\"
    if not path.parent.is_dir():
        return ""
    other = spellings.other_spelling(path.name, (entry.name for entry in path.parent.iterdir()))
    return "" if other is None else f", but {other!r} is there: write it so, blanks and case too"


def _check_same_judge(
    scorer: Scorer, pairs: PairTable, scores: dict[int, float], audio_folder: Path, out: Path
) -> None:
    """Scores some written rows again: remaining rows must get the same judge and sounds."""
    rows = sorted(scores)
    spread = np.linspace(0, len(rows) - 1, min(CHECKED_ROWS, len(rows))).astype(int)
    unreadable = None
    checked = 0
    for row in (rows[position] for position in spread):
        name, text = pairs.pair(row)
        try:
            wave = audio.read_audio(audio_folder / name)
        except AudioError as error:
            unreadable = error
            continue
        (score,) = scorer.score_waves([wave], [text], 1)
        checked += 1
        if abs(score - scores[row]) > SAME_JUDGE_TOLERANCE:
            raise SoundjudgeError(
                f"{out} has {scores[row]} for {name}, but this judge gives {score:.4f}: resume "
                "with the judge and the sounds of the first run, or choose another output"
            )
    if unreadable and not checked:
        raise SoundjudgeError(
            f"{out} cannot be held to this judge, for the sounds of its scores are gone: "
            f"{unreadable}"
        )
