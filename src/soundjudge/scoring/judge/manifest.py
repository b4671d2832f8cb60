"""judge.json: what a judge is made of, under an id that follows from it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from soundjudge import params
from soundjudge.data.audio import level
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.members.windows import PredictionConfig

MANIFEST = "judge.json"
FORMAT_VERSION = 3  # raise it when an older judge would be misread
Long = Literal["windows", "cut"]  # of a sound longer than the window: all of it, or its beginning
PLAIN_NAME = re.compile(r"\w[\w.-]*")  # of a file or folder: no "..", no separator, no drive


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What a file of the judge's folder must be."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class JudgeManifest:
    """judge.json."""

    format: int
    score_id: str
    "name@version+fingerprint: two judges with one id give the same scores"
    window_seconds: float
    ensemble: Ensemble
    files: dict[str, FileRecord]
    "of all members and encoders, by their paths from the judge's folder"
    long: Long = "windows"
    "what is scored of a sound longer than the window"
    intervals: Intervals | None = None
    "of the scores, where they were learned from ratings"
    note: str = ""
    "what must be told beside every score, such as that the ratings were simulated"
    silence_dbfs: float | None = None
    "a sound whose peak lies below is silent: it gets the ensemble's silent_score"
    level_dbfs: float | None = None
    "root mean square that every other sound is brought to before it is scored; None = as it is"

    def __post_init__(self) -> None:
        PredictionConfig(window_seconds=self.window_seconds, batch_size=1)
        for name in self.ensemble.members:
            check_plain(name)
            if "/" in name:
                raise SoundjudgeError(f"ensemble.members has {name!r}: a name without / is needed")
        for name in self.files:
            check_plain(name)
        needs_silence = self.ensemble.silent_score is not None or self.level_dbfs is not None
        if needs_silence and self.silence_dbfs is None:
            raise SoundjudgeError("silent_score and level_dbfs need silence_dbfs: what is silent")
        for name in ("silence_dbfs", "level_dbfs"):
            dbfs = getattr(self, name)
            if dbfs is not None and dbfs >= 0:
                raise SoundjudgeError(f"{name} is {dbfs}: it must lie below 0")

    def prepare(self, wave: NDArray[np.float32]) -> tuple[bool, NDArray[np.float32]]:
        """Whether a sound (T,) is silent, and what members get: cut, at the trainings' level."""
        if self.long == "cut":
            wave = wave[: round(self.window_seconds * SAMPLE_RATE)]
        if self.silence_dbfs is None:
            return False, wave
        silent = level.is_silent(wave, self.silence_dbfs)
        if silent or self.level_dbfs is None:
            return silent, wave
        return silent, level.normalize_level(wave, self.level_dbfs, self.silence_dbfs)

    def size(self) -> str:
        """What the files of members and encoders take, such as 1,204.5 MB."""
        return f"{sum(file.bytes for file in self.files.values()) / 1e6:,.1f} MB"

    def contents(self) -> dict[str, object]:
        """What judge.json holds."""
        contents: dict[str, Any] = asdict(self)
        for field in fields(self):  # so that older judges keep their ids
            if getattr(self, field.name) == field.default:
                del contents[field.name]
        if self.ensemble.silent_score is None:
            del contents["ensemble"]["silent_score"]
        return contents

    def fingerprint(self) -> str:
        """8 hex digits that change with everything that decides a score."""
        unnamed = replace(self, score_id="").contents()
        canonical = json.dumps(unnamed, sort_keys=True, allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def check_plain(path: str) -> None:
    """Raises SoundjudgeError unless `path` leads into the folder that it starts from."""
    if not all(PLAIN_NAME.fullmatch(part) for part in path.split("/")):
        raise SoundjudgeError(
            f"{path!r} is no plain path inside the judge's folder: the judge is not to be trusted"
        )


def read_manifest(folder: Path) -> JudgeManifest:
    """judge.json, strictly; SoundjudgeError also where its id is not that of its contents."""
    path = folder / MANIFEST
    if not folder.is_dir():
        raise SoundjudgeError(f"{folder.absolute()} is no folder: {REMEDY}")
    try:
        is_there = path.is_file()
    except OSError as error:
        raise SoundjudgeError(f"{path} can't be read: {error.strerror}") from error
    if not is_there:
        raise SoundjudgeError(f"{folder.absolute()} holds no {MANIFEST}: {REMEDY}")
    values = artifacts.read_json(path)
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise SoundjudgeError(
            f"{path} is of format {version}, and this version reads format {FORMAT_VERSION} alone: "
            "package that judge again with 'dvc repro package'"
        )
    manifest = params.build(JudgeManifest, values, f"{path}: ")
    fingerprint = manifest.fingerprint()
    if not re.fullmatch(rf"[\w-]+@[^\s@+]+\+{fingerprint}", manifest.score_id):
        raise SoundjudgeError(
            f"{path} has been changed: its score id is {manifest.score_id!r}, and its contents "
            f"have the fingerprint {fingerprint}: copy the judge again, or package it again"
        )
    return manifest


REMEDY = (
    "name the folder of a judge (--model, or the environment variable SOUNDJUDGE_MODEL; a judge of "
    "the hub is hf://owner/name@revision), get a published one with 'soundjudge fetch tmu2026', or "
    "make one with 'dvc repro package'"
)
