"""Scores a user's table of pairs, batch by batch, into a file that a later run can resume."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from soundjudge.data.audio import audio
from soundjudge.data.user_files import outputs
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.scoring.files import score_reader
from soundjudge.scoring.files.batch_scores import (
    BatchPlan,
    BatchScores,
    ScoreBatches,
    score_batches,
)
from soundjudge.scoring.files.listed_pairs import ListedPairs
from soundjudge.scoring.files.pair_reports import Details, Scorer
from soundjudge.scoring.files.pair_table import SUFFIXES
from soundjudge.scoring.files.score_reader import Written
from soundjudge.scoring.files.score_writer import (
    ScoreWriter,
    errors_path,
    is_report,
    working_path,
)
from soundjudge.scoring.files.system_means import SystemMeans, system_means

# Points of the 0-10 scale that a judge's scores may differ by on one kind of machine.
SAME_JUDGE_TOLERANCE = 1e-3
CHECKED_ROWS = 5  # written rows that a resumed run scores again

OnError = Literal["fail", "skip", "nan"]


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """Counts of rows, and their means."""

    rows: int
    resumed: int  # done by an earlier run
    failed: int  # without a score, in this run or an earlier one
    mean: float | None  # of all scores in the output, earlier ones too; None without any
    systems: SystemMeans | None = None  # of the same scores, where the table has several systems
    flagged: dict[str, list[str]] = field(default_factory=dict)
    "what is to be known of a pair -> sounds, of this run"


def score_table(
    load: Callable[[], Scorer],
    pairs: ListedPairs,
    out: Path,
    *,
    inputs: Sequence[Path] = (),
    details: Details = Details(),  # noqa: B008  frozen
    on_error: OnError,
    resume: bool,
    overwrite: bool = False,
    batch_size: int,
    progress: Callable[[int, int], None],
    engine: ScoreBatches = score_batches,
) -> ScoreSummary:
    """Scores `pairs` into `out`, calling `progress(rows done, rows in all)` after every batch.

    `load` is called when all that can be known without the judge is checked. A sound that cannot be
    read ends the run (`fail`), is left out (`skip`) or gets an empty cell (`nan`), and is always
    listed in `out`.errors.csv. `resume` scores the rows of an existing `out` that have no score,
    too. `inputs` are never written over. `engine` scores in this process, or elsewhere. Raises
    SoundjudgeError.
    """
    if resume and overwrite:
        raise SoundjudgeError("--resume and --overwrite exclude one another: choose one")
    outputs.check_output(out, inputs, SUFFIXES)
    outputs.check_output(errors_path(out), inputs, (".csv",))
    locked = outputs.locked_output(out, inputs, SUFFIXES, overwrite=overwrite, resume=resume)
    with locked as target:
        if not (resume or overwrite):
            _check_beside(target)
        written = _read_earlier_scores(pairs, target) if resume else Written()
        total = len(pairs.table.rows)
        open_rows = [row for row in range(written.done) if row not in written.cells]
        open_rows += range(written.done, total)
        if on_error == "fail":
            pairs.check_sounds(open_rows)
        scorer = load()
        added = details.columns(scorer)
        _check_added(added, written, pairs, out)
        _check_same_judge(scorer, pairs, written, out)
        writer = ScoreWriter(
            pairs.table,
            added,
            target,
            blank=on_error == "nan",
            scores=written.cells,
            done=written.done,
        )
        flagged: dict[str, list[str]] = {}
        progress(len(writer.scores), total)
        plan = BatchPlan(size=batch_size, stops=on_error == "fail", details=details)
        with closing(engine(scorer, pairs, open_rows, plan)) as batches:
            for batch in batches:
                _write(batch, writer, written.done)
                for row, sentences in batch.flags.items():
                    for sentence in sentences:
                        flagged.setdefault(sentence, []).append(pairs.table.pair(row)[0])
                if batch.reasons:
                    _report(batch, writer, on_error, pairs)
                progress(max(len(writer.scores), writer.done), total)
        writer.finish()
    scores = {row: float(cells[0]) for row, cells in writer.scores.items()}  # pred_score is first
    return ScoreSummary(
        rows=total,
        resumed=len(written.cells),
        failed=len(writer.failures),
        mean=float(np.mean([*scores.values()])) if scores else None,
        systems=system_means(pairs.table, scores),
        flagged=flagged,
    )


def _check_beside(target: Path) -> None:
    """SoundjudgeError where a run would write over what an earlier one, or a person, left."""
    working, report = working_path(target), errors_path(target)
    if working.exists():
        raise SoundjudgeError(
            f"{working} has rows of an earlier run: --resume to go on, or --overwrite to begin anew"
        )
    if report.exists() and not is_report(report):
        raise SoundjudgeError(f"{report} is there and no report of this command: move it")


def _read_earlier_scores(pairs: ListedPairs, target: Path) -> Written:
    """What an earlier run left: its working file, or its whole output."""
    for path in dict.fromkeys((working_path(target), target)):
        if path.exists():
            return score_reader.read_scores(pairs.table, path)
    return Written()


def _check_added(added: list[str], written: Written, pairs: ListedPairs, out: Path) -> None:
    if double := [name for name in added if name in pairs.table.columns]:
        raise SoundjudgeError(
            f"{pairs.table.where} has a column {double[0]!r} already: drop or rename it"
        )
    if written.cells and written.added != added:
        raise SoundjudgeError(
            f"{out} has the columns {', '.join(written.added)} behind the table's, and this run "
            f"would write {', '.join(added)}: resume with the options of the first run"
        )


def _write(batch: BatchScores, writer: ScoreWriter, done: int) -> None:
    """Rows before `done` are inserted; of the others those up to the first failure if it stops."""
    early = {row: cells for row, cells in batch.cells.items() if row < done}
    if early:
        writer.insert(early)
    if batch.stop > done and (batch.cells or not batch.stopped):
        late = {row: cells for row, cells in batch.cells.items() if row >= done}
        writer.append(batch.stop, late)


def _report(batch: BatchScores, writer: ScoreWriter, on_error: OnError, pairs: ListedPairs) -> None:
    writer.report_failures(batch.reasons)
    if on_error == "fail":
        writer.save()
        ((row, reason),) = batch.reasons.items()
        raise SoundjudgeError(
            f"{pairs.where(row)}: {reason}; correct it and continue with --resume, "
            "or choose --on-error skip or nan"
        )


def _check_same_judge(scorer: Scorer, pairs: ListedPairs, written: Written, out: Path) -> None:
    """Scores some written rows again: remaining rows must get the same judge and sounds."""
    rows = sorted(written.cells)
    spread = np.linspace(0, len(rows) - 1, min(CHECKED_ROWS, len(rows))).astype(int)
    unreadable = None
    checked = 0
    for row in (rows[position] for position in spread):
        name, text = pairs.table.pair(row)
        try:
            sound = audio.read_sound(pairs.paths[row])
        except AudioError as error:
            unreadable = error
            continue
        (pair,) = scorer.score_sounds([sound], [text], 1)
        checked += 1
        if abs(pair.value - float(written.cells[row][0])) > SAME_JUDGE_TOLERANCE:
            raise SoundjudgeError(
                f"{out} has {float(written.cells[row][0])} for {name}, but this judge gives "
                f"{pair.value:.4f}: resume with the judge and the sounds of the first run, or "
                "choose another output"
            )
    if unreadable and not checked:
        raise SoundjudgeError(
            f"{out} cannot be held to this judge, for the sounds of its scores are gone: "
            f"{unreadable}"
        )
