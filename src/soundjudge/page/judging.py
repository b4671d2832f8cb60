"""What the worker of the local page does: every sound with every text, or a table's pairs.

The picture of a sound: time to the right, 0 to 8 kHz upwards, level as brightness."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib import image
from numpy.typing import NDArray
from scipy import signal

from soundjudge.data.audio import audio
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.data.user_files import delimited
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.page.jobs import Progress, Result
from soundjudge.page.limits import Limits
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.files.pair_reports import number_text
from soundjudge.scoring.files.pair_table import PairTable
from soundjudge.scoring.judge.judge import Judge

SHOWN = 5  # lowest and highest rows of a table
BATCH = 8  # rows of a table between two signs of progress
FFT = 512  # samples
COLUMNS = 900  # at most: what a wide screen shows
RANGE_DB = 70.0


@dataclass(frozen=True, kw_only=True)
class NamedSound:
    """An uploaded file, under the name that people know it by."""

    name: str
    path: Path


def judge_grid(
    judge: Judge,
    sounds: Sequence[NamedSound],
    texts: Sequence[str],
    limits: Limits,
    progress: Progress,
) -> Result:
    """Each sound with each text, its windows and members, and a picture of each sound.

    A sound that cannot be read has its reason in place of scores.
    """
    listed: list[dict[str, object]] = []
    pairs: list[dict[str, object]] = []
    pictures: dict[str, bytes] = {}
    rows = [["wav_file_name", "text", PREDICTION]]
    for number, named in enumerate(sounds):
        progress(number, len(sounds))
        try:
            sound = read_limited(named, limits)
        except SoundjudgeError as error:
            listed.append({"name": named.name, "error": str(error)})
            continue
        pictures[f"{number}.png"] = spectrogram_png(sound.wave)
        listed.append(
            {
                "name": named.name,
                "seconds": len(sound.wave) / SAMPLE_RATE,
                "picture": f"{number}.png",
            }
        )
        scored = judge.score_sounds([sound] * len(texts), texts, BATCH)
        for position, pair in enumerate(scored):
            details = asdict(pair) | {"flags": pair.flag_sentences()}
            pairs.append({"sound": number, "text": position} | details)
            rows.append([named.name, texts[position], number_text(pair.value)])
    page: dict[str, object] = {
        "kind": "grid",
        "score_id": judge.score_id,
        "sounds": listed,
        "texts": list(texts),
        "pairs": pairs,
    }
    return Result(page=page, csv=delimited.rows_text(rows), pictures=pictures)


def judge_table(
    judge: Judge, table: PairTable, files: Mapping[str, Path], limits: Limits, progress: Progress
) -> Result:
    """Every row of a table; one whose sound cannot be read has an empty score and a reason."""
    scores: dict[int, float] = {}
    errors: list[dict[str, object]] = []
    for start in range(0, len(table.rows), BATCH):
        progress(start, len(table.rows))
        waves = {}
        for row in range(start, min(start + BATCH, len(table.rows))):
            name = table.pair(row)[0]
            try:
                waves[row] = read_limited(NamedSound(name=name, path=files[name]), limits).wave
            except SoundjudgeError as error:
                errors.append({"row": row + 1, "sound": name, "reason": str(error)})
        if waves:
            texts = [table.pair(row)[1] for row in waves]
            values = judge.score_waves(list(waves.values()), texts, BATCH)
            scores |= dict(zip(waves, values, strict=True))
    order = sorted(scores, key=lambda row: (-scores[row], row))
    page: dict[str, object] = {
        "kind": "table",
        "score_id": judge.score_id,
        "rows": len(table.rows),
        "mean": sum(scores.values()) / len(scores) if scores else None,
        "errors": errors,
        "highest": [_row(table, row, scores) for row in order[:SHOWN]],
        "lowest": [_row(table, row, scores) for row in order[SHOWN:][::-1][:SHOWN]],
    }
    cells = [
        [*cells, number_text(scores[row]) if row in scores else ""]
        for row, cells in enumerate(table.rows)
    ]
    return Result(page=page, csv=delimited.rows_text([[*table.columns, PREDICTION], *cells]))


def read_limited(named: NamedSound, limits: Limits) -> audio.Sound:
    """A sound within the limit of length; SoundjudgeError calls it by its own name.

    No more than the limit is decoded: a small file may unpack to hours.
    """
    try:
        sound = audio.read_sound(named.path, limits.seconds + 1)
    except AudioError as error:
        raise SoundjudgeError(f"{named.name} is {error.reason}: {error.detail}") from error
    if len(sound.wave) > limits.seconds * SAMPLE_RATE:
        raise SoundjudgeError(f"{named.name} is longer than {limits.seconds:g} s: cut it")
    return sound


def _row(table: PairTable, row: int, scores: Mapping[int, float]) -> dict[str, object]:
    name, text = table.pair(row)
    return {"row": row + 1, "sound": name, "text": text, "value": scores[row]}


def spectrogram_png(wave: NDArray[np.float32]) -> bytes:
    """The levels of a waveform (T,) at 16 kHz, the loudest and 70 dB below it, as a PNG."""
    hop = max(FFT // 8, len(wave) // COLUMNS)
    padded = np.pad(wave, (0, max(0, FFT - len(wave))))
    transform = signal.ShortTimeFFT(
        signal.windows.hann(FFT, sym=False), hop, fs=SAMPLE_RATE, scale_to="magnitude"
    )
    power = transform.spectrogram(padded)  # (frequencies, frames)
    level = 10 * np.log10(np.maximum(power, 1e-14))
    top = max(float(level.max()), -60.0)  # silence is dark
    buffer = io.BytesIO()
    image.imsave(
        buffer, level, vmin=top - RANGE_DB, vmax=top, cmap="magma", origin="lower", format="png"
    )
    return buffer.getvalue()
