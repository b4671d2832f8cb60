"""Listed sounds -> clips in shards, shard by shard, so that a killed run goes on where it was.

`work` holds, for each shard that is complete, the shard and what became of the sounds up to its
end; the sounds come in the order of their clip ids, so the next shard begins behind them.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from soundjudge.runtime import artifacts
from soundjudge.data.clips import clip_store
from soundjudge.data.tables import tables
from soundjudge.data.corpora.acceptance import SoundCheck, Preparation, check_sound
from soundjudge.data.corpora.corpus import Rejection, Sound
from soundjudge.data.arrays.array_store import shard_path
from soundjudge.data.corpora.clip_writer import Clip, ClipRow, ClipWriter

AHEAD = 8  # sounds read ahead, per worker


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What became of the sounds of one shard."""

    sounds: int
    clips: list[ClipRow]
    rejections: list[Rejection]
    cut: dict[str, int]
    "number of clips cut at max_seconds, by corpus"


@dataclass(frozen=True, kw_only=True)
class IntakeResult:
    """What became of all sounds; `clips` is the CLIPS table."""

    clips: pd.DataFrame
    rejections: list[Rejection]
    cut: Counter[str]


def intake_identity(sounds: Iterable[Sound], preparation: Preparation) -> dict[str, object]:
    """What the shards depend on: settings, and name, size and time of every sound's file."""
    listing = hashlib.sha256()
    for sound in _ordered(sounds):
        file = (sound.clip_id, sound.corpus, sound.split, *_state(sound.path))
        listing.update(f"{file!r}\n".encode())
    settings = ("min_seconds", "max_seconds", "silence_dbfs", "shard_samples")
    return {name: getattr(preparation, name) for name in settings} | {"files": listing.hexdigest()}


def _state(path: Path | None) -> tuple[object, ...]:
    try:
        status = path.stat() if path else None
    except OSError as error:
        return (path, error.errno)
    return (path, status.st_size, status.st_mtime_ns) if status else ()


def _ordered(sounds: Iterable[Sound]) -> list[Sound]:
    return sorted(sounds, key=lambda sound: sound.clip_id)


def write_shards(
    sounds: Iterable[Sound],
    folder: Path,
    work: Path,
    preparation: Preparation,
    workers: int,
    log: Callable[[str], None],
    refuse: Callable[[list[Rejection]], None],
) -> IntakeResult:
    """Reads all sounds and writes the good ones to folder/shards/; goes on with what `work` holds.

    The result does not depend on the number of workers or of runs, and memory not on the number of
    sounds. `refuse` may raise, after each shard, on what has been rejected so far.
    """
    ordered = _ordered(sounds)
    parts = list(_kept(work))
    read = sum(part.sounds for part in parts)
    if parts:
        log(f"{read} of {len(ordered)} sounds were read before: going on behind them")
    done = map_in_order(lambda sound: check_sound(sound, preparation), ordered[read:], workers)
    for part in _parts(done, ClipWriter(work, preparation.shard_samples, len(parts))):
        artifacts.write_json(_record(work, len(parts)), asdict(part))
        parts.append(part)
        read += part.sounds
        rejections = [rejection for part in parts for rejection in part.rejections]
        log(f"read {read} of {len(ordered)} sounds, {len(rejections)} rejected")
        refuse(rejections)
    (folder / "shards").mkdir(parents=True)
    for number, part in enumerate(parts):
        if part.clips:
            artifacts.link_or_copy(shard_path(work, number), shard_path(folder, number))
    return _together(parts)


def _parts(done: Iterable[SoundCheck], writer: ClipWriter) -> Iterator[ShardRecord]:
    """What became of the sounds, shard by shard, when the shard is on disk."""
    sounds = 0
    rejections: list[Rejection] = []
    cut: Counter[str] = Counter()
    for result in done:
        sound = result.sound
        if result.pcm is not None and not writer.fits(len(result.pcm)):
            yield ShardRecord(sounds=sounds, clips=writer.close(), rejections=rejections, cut=dict(cut))
            sounds, rejections, cut = 0, [], Counter()
        sounds += 1
        if result.pcm is None:
            rejection = Rejection(corpus=sound.corpus, file=sound.file, reason=result.reason)
            rejections.append(rejection)
        else:
            cut[sound.corpus] += result.cut
            identity = {"clip_id": sound.clip_id, "corpus": sound.corpus, "split": sound.split}
            writer.add(Clip(**identity, pcm=result.pcm))
    if sounds:
        yield ShardRecord(sounds=sounds, clips=writer.close(), rejections=rejections, cut=dict(cut))


def _kept(work: Path) -> Iterator[ShardRecord]:
    """The parts that are complete, in order."""
    number = 0
    while (path := _record(work, number)).is_file():
        held = artifacts.read_json(path)
        clips = [tuple(row) for row in held["clips"]]
        rejections = [Rejection(**one) for one in held["rejections"]]
        yield ShardRecord(sounds=held["sounds"], clips=clips, rejections=rejections, cut=held["cut"])
        number += 1


def _record(work: Path, number: int) -> Path:
    return work / "parts" / f"{number:05d}.json"


def _together(parts: Sequence[ShardRecord]) -> IntakeResult:
    rows = [row for part in parts for row in part.clips]
    cut: Counter[str] = Counter()
    for part in parts:
        cut.update(part.cut)
    return IntakeResult(
        clips=pd.DataFrame(rows, columns=list(tables.CLIPS.columns)),
        rejections=[rejection for part in parts for rejection in part.rejections],
        cut=cut,
    )


def map_in_order(
    read: Callable[[Sound], SoundCheck], sounds: Sequence[Sound], workers: int
) -> Iterator[SoundCheck]:
    """`read` of every sound, in order, by threads (decoding happens outside Python's lock)."""
    waiting: deque[Future[SoundCheck]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for sound in sounds:
                waiting.append(pool.submit(read, sound))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
