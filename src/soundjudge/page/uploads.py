"""What people send to the local page, checked and laid down in a folder under our own names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from starlette.datastructures import FormData, UploadFile

from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.page.judging import NamedSound
from soundjudge.page.limits import Limits, RefusalError
from soundjudge.page.zipped_sounds import ZippedSounds, open_sounds
from soundjudge.scoring.files import listed_pairs, pair_table
from soundjudge.scoring.files.pair_table import PairTable

BLOCK = 1 << 20
LONGEST_NAME = 200  # characters of a name that are shown


def texts_of(form: FormData, limits: Limits) -> list[str]:
    """The texts of the form, each once. Raises RefusalError."""
    texts = [text for text in form.getlist("texts") if isinstance(text, str)]
    texts = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if not texts:
        raise RefusalError("there is no text: write what the sounds should match")
    if len(texts) > limits.texts:
        raise RefusalError(f"there are {len(texts)} texts: send {limits.texts} at most")
    for text in texts:
        check_text(text, limits)
    return texts


def check_text(text: str, limits: Limits) -> None:
    """Raises RefusalError unless a judge can read it, and it is not too long."""
    if len(text) > limits.characters:
        raise RefusalError(
            f"the text {text[:40]!r}... has {len(text)} characters: shorten it to "
            f"{limits.characters}"
        )
    try:
        clean_text(text)
    except SoundjudgeError as error:
        raise RefusalError(str(error)) from error


async def save_sounds(
    form: FormData, folder: Path, texts: Sequence[str], limits: Limits
) -> list[NamedSound]:
    """The sounds of the form as numbered files. Raises RefusalError for none or too many."""
    uploads = [file for file in form.getlist("sounds") if isinstance(file, UploadFile)]
    uploads = [file for file in uploads if file.filename]
    if not uploads:
        raise RefusalError("there is no sound: choose a file")
    if len(uploads) > limits.sounds:
        raise RefusalError(
            f"there are {len(uploads)} sounds: send {limits.sounds} at most, or a table with a zip"
        )
    if len(uploads) * len(texts) > limits.pairs:
        raise RefusalError(
            f"{len(uploads)} sounds with {len(texts)} texts are {len(uploads) * len(texts)} pairs: "
            f"send {limits.pairs} at most"
        )
    names = [shown_name(upload.filename or "") for upload in uploads]
    sounds = []
    for number, (upload, name) in enumerate(zip(uploads, names, strict=True)):
        path = folder / f"{number}"
        await _save(upload, path)
        earlier = names[:number].count(name)  # systems name their takes alike
        sounds.append(NamedSound(name=f"{name} ({earlier + 1})" if earlier else name, path=path))
    return sounds


async def save_table(
    form: FormData, folder: Path, limits: Limits
) -> tuple[PairTable, dict[str, Path]]:
    """The pairs of the form's table, and the sounds of its zip by their names in the table."""
    table, archive = form.get("table"), form.get("archive")
    if not isinstance(table, UploadFile) or not table.filename:
        raise RefusalError("there is no table: choose one with wav_file_name and text")
    if not isinstance(archive, UploadFile) or not archive.filename:
        raise RefusalError("there is no zip with the sounds of the table: choose one")
    name = shown_name(table.filename)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in pair_table.SUFFIXES:
        raise RefusalError(f"{name}: save the table as one of {', '.join(pair_table.SUFFIXES)}")
    path = folder / f"table{suffix}"  # one of ours, for the suffix is
    zipped, unpacked = folder / "sounds.zip", folder / "sounds"
    await _save(table, path)
    await _save(archive, zipped)
    unpacked.mkdir()
    with open_sounds(zipped, limits) as sounds:
        try:
            pairs = _read_pairs(path, name, sounds)
        except SoundjudgeError as error:
            raise RefusalError(str(error).replace(str(path), name)) from error
        if len(pairs.rows) > limits.rows:
            raise RefusalError(
                f"{name} has {len(pairs.rows)} rows: send {limits.rows} at most, or use "
                "soundjudge score-table"
            )
        for text in pairs.column(pairs.text):
            check_text(text, limits)
        return pairs, sounds.unpack(pairs.column(pairs.audio), unpacked)


def _read_pairs(path: Path, name: str, sounds: ZippedSounds) -> PairTable:
    table = replace(pair_table.read_pair_table(path), where=name)

    def is_there(column: str) -> bool:
        return all(sounds.has(cell) for cell in table.column(column))

    audio, text = listed_pairs.find_columns(table.columns, name, fits=is_there)
    return replace(table, audio=audio, text=text)


def shown_name(name: str) -> str:
    """A file's name without folders and control characters: to be shown, never to be opened."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:LONGEST_NAME] or "unnamed"


async def _save(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        while block := await upload.read(BLOCK):
            file.write(block)
