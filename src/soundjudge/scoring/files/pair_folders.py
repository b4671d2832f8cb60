"""Folders that hold pairs: Kaldi's wav.scp and text, or a .txt file per sound, of the same stem."""

from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files import sound_names

SCP, TEXT = "wav.scp", "text"


def is_kaldi(folder: Path) -> bool:
    """Whether the folder is a data folder of Kaldi; its sounds start from the working folder."""
    return (folder / SCP).is_file()


def read_rows(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the pairs in a folder. Raises SoundjudgeError."""
    if is_kaldi(folder):
        return ["id", "wav_file_name", "text"], _kaldi_rows(folder)
    texts = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt")
    if not texts:
        raise SoundjudgeError(
            f"{folder} holds neither .txt files nor {SCP} and {TEXT}: name a table of pairs, or a "
            "folder with a .txt file per sound"
        )
    return ["wav_file_name", "text"], [[path.stem, read_text(path).strip()] for path in texts]


def check_complete(folder: Path, stems: set[str], sounds: Path) -> None:
    """Raises SoundjudgeError for a sound in `sounds` that has no .txt file in `folder`."""
    without = [name for name in sound_names.sound_files(sounds) if Path(name).stem not in stems]
    if without:
        raise SoundjudgeError(
            f"{len(without)} sounds of {sounds} have no .txt file in {folder}, the first is "
            f"{without[0]}: add them, or take those sounds away"
        )


def _kaldi_rows(folder: Path) -> list[list[str]]:
    sounds, texts = _kaldi_map(folder / SCP), _kaldi_map(folder / TEXT)
    for one, other, name in ((sounds, texts, TEXT), (texts, sounds, SCP)):
        if missing := [key for key in one if key not in other]:
            raise SoundjudgeError(
                f"{folder / name} lacks {len(missing)} ids, the first is {missing[0]}: add them"
            )
    for key, value in sounds.items():
        if value.endswith("|"):
            raise SoundjudgeError(
                f"{folder / SCP}: {key} is a command, which is not run: write files and list them"
            )
    return [[key, value, texts[key]] for key, value in sounds.items()]


def _kaldi_map(path: Path) -> dict[str, str]:
    """Lines of a key, a blank and a value."""
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist: Kaldi's folders hold {SCP} and {TEXT}")
    pairs: dict[str, str] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        key, *rest = line.strip().split(None, 1)
        if not rest:
            raise SoundjudgeError(f"{path}, line {number}: {key!r} has no value behind it")
        if key in pairs:
            raise SoundjudgeError(f"{path}, line {number}: {key!r} stands twice: remove one")
        pairs[key] = rest[0]
    return pairs


def read_text(path: Path) -> str:
    """The contents of a file, without a byte order mark. Raises SoundjudgeError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SoundjudgeError(f"{path} cannot be read as UTF-8: {error}") from error
