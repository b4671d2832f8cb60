"""A table of pairs with its columns, and the files of its sounds, before anything is scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files import pair_folders
from soundjudge.scoring.files.pair_table import STDIN, PairTable, read_pair_table
from soundjudge.scoring.files.sound_names import SoundFolder

Kind = Literal["audio", "text"]  # of a column
KINDS: dict[Kind, str] = {"audio": "sounds", "text": "texts"}
# As people write them, ours first: that one is taken whatever stands beside it.
USUAL_NAMES: dict[Kind, tuple[str, ...]] = {
    "audio": (
        "wav_file_name", "wave_file_name", "wavname", "path", "audio", "audio_path", "audio_file",
        "file", "file_name", "file_path", "filename", "filepath", "name", "id", "audio_id",
    ),
    "text": ("text", "caption", "prompt", "description"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ListedPairs:
    """A table, and the file of each of its sounds."""

    table: PairTable
    folder: SoundFolder
    paths: list[Path]

    def where(self, row: int) -> str:
        """A row in messages: 1 is the first below the header."""
        return f"{self.table.where} row {self.table.first + row + 1}"

    def check_sounds(self, rows: Sequence[int]) -> None:
        """Raises SoundjudgeError if sounds of these rows are missing."""
        missing = [row for row in rows if not self.folder.has(self.paths[row])]
        if missing:
            name = self.table.pair(missing[0])[0]
            raise SoundjudgeError(
                f"{self.where(missing[0])}: {self.paths[missing[0]]} is missing"
                f"{self.folder.hint(name)}; {len(missing)} of {len(rows)} sounds are: add them, "
                "name their folder (--audio-dir), or choose --on-error skip or nan"
            )


def list_pairs(
    path: Path,
    audio_folder: Path | None = None,
    *,
    audio_column: str | None = None,
    text_column: str | None = None,
    shard: tuple[int, int] | None = None,
) -> ListedPairs:
    """The pairs at `path`, which `read_pair_table` reads; the others as `score_table` says."""
    if audio_folder is not None and not audio_folder.is_dir():
        raise SoundjudgeError(f"{audio_folder} is no folder: name the one that holds the sounds")
    table = read_pair_table(path)
    folder = SoundFolder(audio_folder or _default_folder(path))

    def is_there(column: str) -> bool:
        return all(name and folder.has(folder.locate(name)) for name in table.column(column))

    audio, text = find_columns(
        table.columns, table.where, audio=audio_column, text=text_column, fits=is_there
    )
    table = replace(table, audio=audio, text=text)
    for column in (audio, text):
        table.check_cells(column)
    if path.is_dir() and not pair_folders.is_kaldi(path):
        pair_folders.check_complete(path, set(table.column(audio)), folder.folder)
    if shard is not None:
        table = table.shard(*shard)
    pairs = ListedPairs(table=table, folder=folder, paths=[])
    for row in range(len(table.rows)):
        name, words = table.pair(row)
        try:
            if not name.strip():
                raise SoundjudgeError(f"{audio} is empty: name a sound")
            clean_text(words)
            pairs.paths.append(folder.locate(name))
        except SoundjudgeError as error:
            raise SoundjudgeError(f"{pairs.where(row)}: {error}") from error
    return pairs


def _default_folder(path: Path) -> Path:
    """Where names start from: the table's folder; Kaldi's from the working folder."""
    if path == STDIN or (path.is_dir() and pair_folders.is_kaldi(path)):
        return Path()
    return path if path.is_dir() else path.parent


def find_columns(
    columns: Sequence[str],
    where: str,
    *,
    audio: str | None = None,
    text: str | None = None,
    fits: Callable[[str], bool] = lambda name: False,
) -> tuple[str, str]:
    """The columns of sounds and of texts: as named, or the only usual name, or the one that `fits`.

    `fits` says whether the cells of a column can be meant as sounds. Raises SoundjudgeError, which
    shows the choice where several columns may be meant, and tells at once where both are missing.
    """
    named: dict[Kind, str | None] = {"audio": audio, "text": text}
    for kind, name in named.items():
        if name is not None and name not in columns:
            raise SoundjudgeError(
                f"{where} has no column {name!r} (--{kind}-column): it has {_list(columns)}"
            )
    if missing := [k for k, name in named.items() if name is None and not _usual(k, columns)]:
        raise _missing_error(missing, columns, where)
    return (
        audio or _choose("audio", columns, where, fits),
        text or _choose("text", columns, where, lambda name: False),
    )


def _usual(kind: Kind, columns: Sequence[str]) -> list[str]:
    """The columns that may be meant: ours, else those of a usual name."""
    usual = USUAL_NAMES[kind]
    if usual[0] in columns:
        return [usual[0]]
    return [name for name in columns if name.strip().lower() in usual]


def _choose(kind: Kind, columns: Sequence[str], where: str, fits: Callable[[str], bool]) -> str:
    candidates = _usual(kind, columns)
    if len(candidates) > 1:
        candidates = [name for name in candidates if fits(name)] or candidates
    if len(candidates) > 1:
        listed = " or ".join(map(repr, candidates))
        raise SoundjudgeError(
            f"{where}: the {KINDS[kind]} may be in {listed}: choose one by --{kind}-column"
        )
    return candidates[0]


def _missing_error(missing: Sequence[Kind], columns: Sequence[str], where: str) -> SoundjudgeError:
    if len(columns) == 1 and (other := set(";\t|,") & set(columns[0])):
        separators = "tabs" if where.endswith(".tsv") else "commas"
        return SoundjudgeError(f"{where}: {min(other)!r} separates its columns: use {separators}")
    kinds = " and none ".join(
        f"of {KINDS[kind]} under a usual name ({', '.join(USUAL_NAMES[kind])})" for kind in missing
    )
    options = " and one by ".join(f"--{kind}-column" for kind in missing)
    return SoundjudgeError(
        f"{where} has no column {kinds}: name one of {_list(columns)} by {options}"
    )


def _list(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns))
