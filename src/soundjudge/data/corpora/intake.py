"""Writes listed sounds to clips in shards, shard by shard, so that a killed run can resume.

`work` holds each complete shard and the record of its sounds, rejected ones included; sounds come
in the order of their clip ids, so the next shard begins after those of all records.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import pandas as pd

from soundjudge.data.arrays.array_store import shard_path
from soundjudge.data.corpora.acceptance import Preparation, SoundCheck, check_sound
from soundjudge.data.corpora.clip_writer import Clip, ClipRow, ClipWriter
from soundjudge.data.corpora.corpus import Rejection, Sound
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.runtime.progress import ProgressReport
from soundjudge.runtime.read_ahead import read_ahead

READ_AHEAD = 8  # sounds per worker


@dataclass(kw_only=True)
class ShardRecord:
    """The clips of one shard, and the sounds that were rejected on the way to it."""

    sounds: int = 0
    clips: list[ClipRow] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)  # clips cut at max_seconds, by corpus
    silent: list[str] = field(default_factory=list)  # ids of silent clips


@dataclass(frozen=True, kw_only=True)
class IntakeResult:
    """All clips and rejected sounds."""

    clips: pd.DataFrame  # a CLIPS table
    rejections: list[Rejection]
    cut: Counter[str]
    silent: list[str]  # clip ids


def intake_identity(sounds: Iterable[Sound], config: Preparation) -> dict[str, object]:
    """All that the shards depend on: settings, and name, size and time of every sound's file."""
    files = hashlib.sha256()
    for sound in _sort_sounds(sounds):
        file = (sound.clip_id, sound.corpus, sound.split, *_file_state(sound.path))
        files.update(f"{file!r}\n".encode())
    settings = ("min_seconds", "max_seconds", "silence_dbfs", "level_dbfs", "shard_samples")
    return {name: getattr(config, name) for name in settings} | {"files": files.hexdigest()}


def _file_state(path: Path | None) -> tuple[object, ...]:
    try:
        status = path.stat() if path else None
    except OSError as error:
        return (path, error.errno)
    return (path, status.st_size, status.st_mtime_ns) if status else ()


def _sort_sounds(sounds: Iterable[Sound]) -> list[Sound]:
    return sorted(sounds, key=lambda sound: sound.clip_id)


def write_shards(
    sounds: Iterable[Sound],
    folder: Path,
    work: Path,
    config: Preparation,
    workers: int,
    log: Callable[[str], None],
    refuse: Callable[[list[Rejection]], None],
) -> IntakeResult:
    """Reads all sounds, writes the accepted ones to folder/shards/; resumes from `work`.

    The result does not depend on the number of workers or of runs, and memory not on the number of
    sounds. `refuse` is called after each shard with all rejections so far, and may raise.
    """
    ordered = _sort_sounds(sounds)
    records = list(_read_records(work))
    read = sum(record.sounds for record in records)
    if records:
        log(f"{read} of {len(ordered)} sounds were read before: resuming after them")
    check, ahead = partial(check_sound, config=config), READ_AHEAD * workers
    reading = read_ahead(check, ordered[read:], ahead, threads=workers)
    writer = ClipWriter(work, config.shard_samples, len(records))
    with closing(reading), closing(ProgressReport("sounds", log)) as report:
        checks = (future.result() for future in reading)
        rejected = sum(len(record.rejections) for record in records)
        shown = _show_progress(checks, report, read, len(ordered), rejected)
        for record in _iter_shards(shown, writer):
            artifacts.write_json(_record_path(work, len(records)), asdict(record))
            records.append(record)
            refuse([rejection for record in records for rejection in record.rejections])
    (folder / "shards").mkdir(parents=True)
    for number, record in enumerate(records):
        if record.clips:
            artifacts.link_or_copy(shard_path(work, number), shard_path(folder, number))
    return _merge_records(records)


def _show_progress(
    checks: Iterable[SoundCheck], report: ProgressReport, read: int, total: int, rejected: int
) -> Iterator[SoundCheck]:
    """The checks of the sounds behind the first `read` of all, of which some are `rejected`."""
    for done, check in enumerate(checks, read + 1):
        rejected += check.pcm is None
        report.update(done, total, f"{rejected} rejected".format)
        yield check


def _iter_shards(checks: Iterable[SoundCheck], writer: ClipWriter) -> Iterator[ShardRecord]:
    """The record of each shard as soon as the shard is on disk."""
    record = ShardRecord()
    for check in checks:
        sound, pcm = check.sound, check.pcm
        if pcm is not None and not writer.fits(len(pcm)):
            yield replace(record, clips=writer.close())
            record = ShardRecord()
        record.sounds += 1
        if pcm is None:
            record.rejections.append(sound.reject(check.reason))
            continue
        record.cut[sound.corpus] = record.cut.get(sound.corpus, 0) + check.cut
        record.silent += [sound.clip_id] * check.silent
        writer.add(Clip(clip_id=sound.clip_id, corpus=sound.corpus, split=sound.split, pcm=pcm))
    if record.sounds:
        yield replace(record, clips=writer.close())


def _read_records(work: Path) -> Iterator[ShardRecord]:
    """The records of complete shards, in order."""
    number = 0
    while (path := _record_path(work, number)).is_file():
        record = artifacts.read_json(path)
        clips = [tuple(row) for row in record["clips"]]
        rejections = [Rejection(**values) for values in record["rejections"]]
        yield ShardRecord(**record | {"clips": clips, "rejections": rejections})
        number += 1


def _record_path(work: Path, number: int) -> Path:
    return work / "parts" / f"{number:05d}.json"


def _merge_records(records: Sequence[ShardRecord]) -> IntakeResult:
    rows = [row for record in records for row in record.clips]
    return IntakeResult(
        clips=pd.DataFrame(rows, columns=list(tables.CLIPS.columns)),
        rejections=[rejection for record in records for rejection in record.rejections],
        cut=sum((Counter(record.cut) for record in records), Counter()),
        silent=[clip_id for record in records for clip_id in record.silent],
    )
