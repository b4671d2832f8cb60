"""Which columns of anyone's table hold the sounds and the texts."""

from collections.abc import Callable, Sequence

from soundjudge.errors import SoundjudgeError

# As people write them, ours first: that one is taken whatever stands beside it.
AUDIO_NAMES = (
    "wav_file_name", "wave_file_name", "wavname", "path", "audio", "audio_path", "audio_file",
    "file", "file_name", "file_path", "filename", "filepath", "name", "id", "audio_id",
)  # fmt: skip
TEXT_NAMES = ("text", "caption", "prompt", "description")


def audio_column(
    columns: Sequence[str], named: str | None, where: str, fits: Callable[[str], bool]
) -> str:
    """The column of the sounds: `named`, or the only usual name, or the only one that `fits`.

    `fits` says whether the cells of a column name sounds that are there. Raises SoundjudgeError.
    """
    candidates = _candidates(columns, named, AUDIO_NAMES, "sounds", "--audio-column", where)
    if len(candidates) > 1:
        candidates = [name for name in candidates if fits(name)] or candidates
    return _only(candidates, "sounds", "--audio-column", where)


def text_column(columns: Sequence[str], named: str | None, where: str) -> str:
    """The column of the texts: `named`, or the only usual name. Raises SoundjudgeError."""
    candidates = _candidates(columns, named, TEXT_NAMES, "texts", "--text-column", where)
    return _only(candidates, "texts", "--text-column", where)


def _candidates(
    columns: Sequence[str],
    named: str | None,
    usual: tuple[str, ...],
    what: str,
    option: str,
    where: str,
) -> list[str]:
    listed = ", ".join(map(repr, columns))
    if named is not None:
        if named not in columns:
            raise SoundjudgeError(f"{where} has no column {named!r} ({option}): it has {listed}")
        return [named]
    if usual[0] in columns:
        return [usual[0]]
    candidates = [name for name in columns if name.strip().lower() in usual]
    if not candidates and len(columns) == 1 and (other := set(";\t|,") & set(columns[0])):
        separators = "tabs" if where.endswith(".tsv") else "commas"
        raise SoundjudgeError(f"{where}: {min(other)!r} separates its columns: use {separators}")
    if not candidates:
        raise SoundjudgeError(
            f"{where} has no column of {what} under a usual name ({', '.join(usual)}): name one of "
            f"{listed} by {option}"
        )
    return candidates


def _only(candidates: list[str], what: str, option: str, where: str) -> str:
    if len(candidates) > 1:
        listed = " or ".join(map(repr, candidates))
        raise SoundjudgeError(f"{where}: the {what} may be in {listed}: choose one by {option}")
    return candidates[0]
