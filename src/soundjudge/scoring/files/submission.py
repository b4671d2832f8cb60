"""The challenge's format, and a whole submission as one zip.

A system is a CSV of wav_file_name,pred_score, two decimals, in the order of the challenge's list;
in a submission each has a description, and there is a report."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.outputs import locked_output
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.artifacts import atomic_file
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.ensemble.matching import CLIP
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.evaluation.score_scales import other_scale
from soundjudge.scoring.files import prediction_files
from soundjudge.scoring.files.system_description import TODO, describe_system, read_answers

HEADER = [CLIP, PREDICTION]
LOWEST, HIGHEST = 0.0, 10.0
DECIMALS = 2  # of the challenge's own systems; its rules state none
NO_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest of a zip: the same submission has the same bytes
READABLE = 0o644 << 16
PDF = b"%PDF-"
MARKED = f"lines that say {TODO}"
UNKNOWN = (
    "not known: the 2027 rules of the package (template of the descriptions, names of files, "
    "number of systems, decimals); compare with https://xacle.org/2027/"
)


def write_system(predictions: Path, pair_list: Path, out: Path, *, overwrite: bool = False) -> str:
    """Writes the predictions in the list's order, reads them back, and returns their summary.

    Raises SoundjudgeError as `system_rows`.
    """
    with locked_output(out, [predictions, pair_list], (".csv",), overwrite=overwrite) as target:
        rows, summary = system_rows(predictions, pair_list)
        with atomic_file(target) as temporary:
            temporary.write_bytes(_csv_bytes(rows))
            if delimited.read_rows(temporary) != (HEADER, rows):
                raise SoundjudgeError(f"{out} does not read back as it was written: check the disk")
    return summary


def system_rows(
    predictions: Path, pair_list: Path, decimals: int = DECIMALS
) -> tuple[list[list[str]], str]:
    """Clip and score of each row, in the order of the list, and a line for people about them.

    Raises SoundjudgeError for a pair that is missing, not listed, double, without a number, or off
    the scale 0 to 10, and where all scores are equal or seem to be of another scale.
    """
    frame = matching.match_pairs(
        prediction_files.read_predictions(predictions),
        prediction_files.read_pair_list(pair_list),
        str(predictions),
        str(pair_list),
    )
    if frame[CLIP].duplicated().any():
        name = frame.loc[frame[CLIP].duplicated(), CLIP].iloc[0]
        raise SoundjudgeError(f"{pair_list} lists {name} twice: the format has one row per clip")
    _check_scores(frame, predictions)
    texts = [f"{score:.{decimals}f}" for score in frame[PREDICTION]]
    if len(texts) > 1 and len(set(texts)) == 1:
        raise SoundjudgeError(
            f"{predictions}: with {decimals} decimals all {len(texts)} scores are {texts[0]}, a "
            "constant: calibrate them, or give submission more --decimals"
        )
    rows = [[name, text] for name, text in zip(frame[CLIP], texts, strict=True)]
    return rows, _summarize(frame[PREDICTION], texts)


def _check_scores(frame: pd.DataFrame, predictions: Path) -> None:
    scores = frame[PREDICTION]
    outside = frame[~scores.between(LOWEST, HIGHEST)]
    # Cosines, too, lie in part outside of the scale: what they are is said first.
    if scale := other_scale(scores):
        raise SoundjudgeError(f"{predictions}: {scale}")
    if not outside.empty:
        raise SoundjudgeError(
            f"{predictions}: {outside[CLIP].iloc[0]} has {outside[PREDICTION].iloc[0]}; "
            f"{len(outside)} scores lie outside {LOWEST:g} to {HIGHEST:g}: calibrate or clip them"
        )
    if len(scores) > 1 and scores.nunique() == 1:
        raise SoundjudgeError(
            f"{predictions}: all {len(scores)} scores are {scores.iloc[0]}: a constant has no "
            "correlation, submit another system"
        )


def _summarize(scores: "pd.Series[float]", texts: list[str]) -> str:
    """Rows, range, the ties that rounding made, and those at an end of the scale."""
    before, after = scores.nunique(), len(set(texts))
    ties = f"; rounding ties {before - after} of {before} distinct scores" if after < before else ""
    for end in (LOWEST, HIGHEST):
        if (clipped := int((scores == end).sum())) > 1:
            ties += f"; {clipped} are {end:g}, the end of the scale, and share a rank"
    return f"{len(scores)} rows, {min(texts, key=float)} to {max(texts, key=float)}{ties}"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a submission holds, in lines for people."""

    systems: dict[str, str]  # name -> summary
    unfinished: dict[str, int]  # descriptions -> what a person must add


def write_submission(
    predictions: Sequence[Path],
    pair_list: Path,
    out: Path,
    *,
    judges: Sequence[Path] = (),
    report: Path | None = None,
    answers: Path | None = None,
    decimals: int = DECIMALS,
    overwrite: bool = False,
) -> Submission:
    """Writes the zip: <system>.csv and <system>.yaml, named after the files of predictions.

    `judges`: none, one of all systems, or one per system. `answers`: as `read_answers` reads them.
    The zip is stored, not compressed, so its bytes depend on its contents alone. Raises
    SoundjudgeError as `system_rows`, for two systems of one name, and where judges do not count
    as systems do.
    """
    judge_of, names = _judges(predictions, judges), _system_names(predictions)
    answered = read_answers(answers, names)
    inputs = [*predictions, pair_list, report, answers]
    with locked_output(out, inputs, (".zip",), overwrite=overwrite) as target:
        files: dict[str, bytes] = {}
        summaries = {}
        for name, path, judge in zip(names, predictions, judge_of, strict=True):
            rows, summaries[name] = system_rows(path, pair_list, decimals)
            files[f"{name}.csv"] = _csv_bytes(rows)
            files[f"{name}.yaml"] = describe_system(name, judge, answered[name]).encode()
        if report is not None:
            files[report.name] = _report_bytes(report)
        with atomic_file(target) as temporary:
            _write_zip(temporary, files)
    return Submission(
        systems=summaries,
        unfinished={
            name: sum(TODO in line for line in content.decode().splitlines() if line[:1] != "#")
            for name, content in files.items()
            if name.endswith(".yaml")
        },
    )


def _judges(predictions: Sequence[Path], judges: Sequence[Path]) -> list[Path | None]:
    if len(judges) not in (0, 1, len(predictions)):
        raise SoundjudgeError(
            f"{len(judges)} judges for {len(predictions)} systems: name none, one that made all, "
            "or one for each"
        )
    return [*judges] if len(judges) > 1 else [judges[0] if judges else None] * len(predictions)


def _system_names(predictions: Sequence[Path]) -> list[str]:
    """The files' names or, where these are alike, those of their folders."""
    for names in ([path.stem for path in predictions], [path.parent.name for path in predictions]):
        if len(set(names)) == len(names):
            return names
    stems = [path.stem for path in predictions]
    double = next(stem for stem in stems if stems.count(stem) > 1)
    raise SoundjudgeError(f"two systems are named {double}: rename one file of predictions")


def _csv_bytes(rows: list[list[str]]) -> bytes:
    return delimited.rows_text([HEADER, *rows]).encode()


def _report_bytes(report: Path) -> bytes:
    content = report.read_bytes()
    if not content.startswith(PDF) or report.suffix.lower() != ".pdf":
        raise SoundjudgeError(f"{report} is no PDF: the technical report of a submission is one")
    return content


def _write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Files in alphabetical order; read back and compared."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, NO_DATE)
            info.external_attr, info.create_system = READABLE, 3  # Unix, on every machine
            archive.writestr(info, files[name])
    with zipfile.ZipFile(path) as archive:
        if {name: archive.read(name) for name in archive.namelist()} != files:
            raise SoundjudgeError(
                "the submission does not read back as it was written: check the disk"
            )
