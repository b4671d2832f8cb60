"""Names of sounds in tables to files: with or without extension, all looked up before scoring."""

from functools import cache
from pathlib import Path

from soundjudge.data.audio import audio
from soundjudge.data.audio.formats import SUFFIXES
from soundjudge.data.tables import spellings
from soundjudge.errors import AudioError, SoundjudgeError


class SoundFolder:
    """Where the names of a table start from; each folder is listed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = cache(_names)
        self._stems = cache(_stems)

    def __reduce__(self) -> tuple[type["SoundFolder"], tuple[Path]]:
        """In another process: the folder's name alone, whose files that process lists itself."""
        return SoundFolder, (self.folder,)

    def locate(self, name: str) -> Path:
        """The file of a name, which need not exist; one without extension gets that of its file.

        Raises SoundjudgeError where several files differ by their extension alone.
        """
        path = self.folder / name
        if self.has(path):
            return path
        fitting = self._stems(path.parent).get(path.name, [])
        if len(fitting) > 1:
            raise SoundjudgeError(
                f"{name!r} may be {' or '.join(fitting)} in {path.parent}: write the extension"
            )
        return path.with_name(fitting[0]) if fitting else path

    def has(self, path: Path) -> bool:
        """Whether there is such a file."""
        return path.name in self._names(path.parent) or is_there(path)

    def hint(self, name: str) -> str:
        """Where the folder has the file under another spelling of its name: a clause, or ""."""
        path = self.folder / name.replace("\\", "/")
        if "\\" in name and is_there(path):
            return f", but {path} is there: write / in place of \\"
        other = spellings.other_spelling(path.name, self._names(path.parent))
        return (
            "" if other is None else f", but {other!r} is there: write it so, blanks and case too"
        )


def is_there(path: Path) -> bool:
    """Whether there is such a file; False for a name that is longer than any file's."""
    try:
        return path.exists()
    except OSError:
        return False


def read_sound(path: Path) -> audio.Sound:
    """As `audio.read_sound`; an error about a missing file names one of another spelling."""
    try:
        return audio.read_sound(path)
    except AudioError as error:
        if error.reason != "missing":
            raise
        hint = SoundFolder(Path()).hint(str(path))
        raise AudioError(path, error.reason, error.detail + hint) from error


def sound_files(folder: Path) -> list[str]:
    """The names of the sound files in a folder, in order."""
    return [name for name in _names(folder) if Path(name).suffix.lower() in SUFFIXES]


def _names(folder: Path) -> dict[str, None]:
    """Sorted."""
    if not is_there(folder) or not folder.is_dir():
        return {}
    return dict.fromkeys(sorted(entry.name for entry in folder.iterdir()))


def _stems(folder: Path) -> dict[str, list[str]]:
    stems: dict[str, list[str]] = {}
    for name in sound_files(folder):
        stems.setdefault(Path(name).stem, []).append(name)
    return stems
