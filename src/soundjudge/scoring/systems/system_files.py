"""Prompts, and each system's sounds of them, as users have them on disk.

A system is a folder of sounds, each named by the id of its prompt, or a table as of `score-table`:
names of sounds, relative to the table, and perhaps texts and pred_score. N prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.audio import formats
from soundjudge.data.tables import spellings
from soundjudge.data.tables.schema import Kind, Table, check_table
from soundjudge.data.user_files import user_tables
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.files import listed_pairs
from soundjudge.scoring.files.pair_table import read_pair_table

PROMPTS = Table(name="prompts", columns={"id": "str", "text": "str"}, key=("id",))
SHOWN = 3  # names in an error


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """What every system was asked for."""

    ids: list[str]  # (N,), each once
    texts: list[str]  # (N,)
    path: Path


@dataclass(frozen=True, kw_only=True)
class System:
    """One system's sounds by the ids of their prompts, and its scores where a table has them."""

    name: str
    path: Path
    sounds: Mapping[str, Path]
    scores: Mapping[str, float] | None = None
    extra: tuple[str, ...] = ()  # sounds of no prompt


def read_prompts(
    path: Path, audio_column: str | None = None, text_column: str | None = None
) -> Prompts:
    """The rows of a CSV, TSV, JSON Lines or Parquet file: a text and the name of its sounds each.

    The columns are `id` and a usual name of texts (`pair_columns`), or as named. Raises
    SoundjudgeError, which shows the choice where several columns may be meant.
    """
    table = read_pair_table(path)
    if audio_column is None and "id" in table.columns:
        audio_column = "id"

    def are_ids(column: str) -> bool:
        cells = table.column(column)
        return all(cells) and len(set(cells)) == len(cells)

    ids, texts = listed_pairs.find_columns(
        table.columns, table.where, audio=audio_column, text=text_column, fits=are_ids
    )
    frame = pd.DataFrame({"id": table.column(ids), "text": table.column(texts)}, dtype=str)
    check_table(frame, PROMPTS, table.where)
    return Prompts(ids=list(frame["id"]), texts=list(frame["text"]), path=path)


def read_systems(paths: Sequence[Path], prompts: Prompts) -> list[System]:
    """Each path as a system. Raises SoundjudgeError, also where only some have scores."""
    systems = [
        (_read_folder if path.is_dir() else _read_table)(name, path, prompts)
        for name, path in zip(system_names(paths), paths, strict=True)
    ]
    scored = [system.scores is not None for system in systems]
    if any(scored) and not all(scored):
        with_scores = systems[scored.index(True)].path
        without = systems[scored.index(False)].path
        raise SoundjudgeError(
            f"{with_scores} has {PREDICTION} and {without} has not: one judge must score all "
            f"systems; give folders, or tables that all have {PREDICTION}"
        )
    return systems


def system_names(paths: Sequence[Path]) -> list[str]:
    """The shortest of name, path and numbered path by which no two systems are called the same."""
    short = [
        path.stem if path.suffix and not path.is_dir() else path.resolve().name for path in paths
    ]
    for names in (short, [str(path) for path in paths]):
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({number})" for number, path in enumerate(paths, start=1)]


def _read_folder(name: str, folder: Path, prompts: Prompts) -> System:
    listed = sorted(path for path in folder.rglob("*") if _is_sound(path))
    if not listed:
        raise SoundjudgeError(f"{folder} holds no sounds: name the folder of a system's sounds")
    relative = {path.relative_to(folder).as_posix(): path for path in listed}
    return _match_ids(name, folder, relative, prompts)


def _is_sound(path: Path) -> bool:
    is_hidden = path.name.startswith(".")
    return path.suffix.lower() in formats.SUFFIXES and not is_hidden and path.is_file()


def _read_table(name: str, path: Path, prompts: Prompts) -> System:
    columns = user_tables.read_header(path) if path.is_file() else []
    # Parquet is read by our names alone.
    names = {} if path.suffix.lower() == ".parquet" else _usual_names(columns)
    header = [names.get(name, name) for name in columns]
    kinds: dict[str, Kind] = {"wav_file_name": "str"}
    if "text" in header:
        kinds["text"] = "str"
    if PREDICTION in header:
        kinds[PREDICTION] = "float"
    limits = {PREDICTION: (-matching.LIMIT, matching.LIMIT)} if PREDICTION in kinds else {}
    table = Table(name="system", columns=kinds, key=("wav_file_name",), ranges=limits)
    frame = user_tables.read_user_table(path, table, names=names)
    files = {str(file): path.parent / str(file) for file in frame["wav_file_name"]}
    system = _match_ids(name, path, files, prompts)
    ids = {sound: prompt for prompt, sound in system.sounds.items()}
    rows = {ids[sound]: row for row, sound in enumerate(files.values()) if sound in ids}
    if "text" in frame:
        _check_texts(path, list(frame["text"]), rows, prompts)
    if PREDICTION not in frame:
        return system
    values = list(frame[PREDICTION])
    scores = {prompt: float(values[row]) for prompt, row in rows.items()}
    return System(name=name, path=path, sounds=system.sounds, scores=scores, extra=system.extra)


def _usual_names(columns: Sequence[str]) -> dict[str, str]:
    """Our names of the columns that `score-table`, too, takes for sounds and texts."""
    names = {}
    for usual in listed_pairs.USUAL_NAMES.values():
        candidates = [name for name in columns if name.strip().lower() in usual]
        if len(candidates) == 1:
            names[candidates[0]] = usual[0]
    return names


def _check_texts(path: Path, texts: list[str], rows: dict[str, int], prompts: Prompts) -> None:
    for prompt, text in zip(prompts.ids, prompts.texts, strict=True):
        if prompt in rows and texts[rows[prompt]].strip() != text.strip():
            raise SoundjudgeError(
                f"{path}, row {rows[prompt] + 1}: the text of {prompt} is not that of "
                f"{prompts.path}: its scores are of other prompts"
            )


def _match_ids(name: str, path: Path, files: Mapping[str, Path], prompts: Prompts) -> System:
    """Sounds by id: an id is a file's name, with or without its suffix, or its path likewise."""
    owners: dict[str, list[str]] = {}
    for file in files:
        keys = {file, Path(file).name, Path(file).stem, Path(file).with_suffix("").as_posix()}
        for key in keys:
            owners.setdefault(key, []).append(file)
    sounds: dict[str, Path] = {}
    for prompt in prompts.ids:
        found = [prompt] if prompt in files else owners.get(prompt, [])
        if len(found) > 1:
            raise SoundjudgeError(
                f"{path} has {' and '.join(found[:SHOWN])} for the prompt {prompt!r}: keep one"
            )
        if found:
            sounds[prompt] = files[found[0]]
    used = set(sounds.values())
    extra = tuple(file for file, sound in files.items() if sound not in used)
    return System(name=name, path=path, sounds=sounds, extra=extra)


def check_complete(systems: Sequence[System], prompts: Prompts) -> None:
    """SoundjudgeError unless every system has a sound for every prompt and no others."""
    for system in systems:
        missing = [prompt for prompt in prompts.ids if prompt not in system.sounds]
        if missing:
            other = spellings.other_spelling(missing[0], [Path(file).stem for file in system.extra])
            hint = "" if other is None else f" (but it has {other!r}: write both in one way)"
            raise SoundjudgeError(
                f"{system.path} has no sound for {len(missing)} of {len(prompts.ids)} prompts: "
                f"{_show(missing)}{hint}; add them, or choose --on-missing skip"
            )
        if system.extra:
            raise SoundjudgeError(
                f"{system.path} has {len(system.extra)} sounds of no prompt in {prompts.path}: "
                f"{_show(system.extra)}; remove them, or choose --on-missing skip"
            )


def _show(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
