"""A table of pairs with its columns, and the files of its sounds, before anything is scored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files import pair_columns, pair_folders
from soundjudge.scoring.files.pair_table import STDIN, PairTable, read_pair_table
from soundjudge.scoring.files.sound_names import SoundFolder
from soundjudge.scoring.members.windows import clean_text


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

    audio = pair_columns.audio_column(table.columns, audio_column, table.where, is_there)
    text = pair_columns.text_column(table.columns, text_column, table.where)
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
