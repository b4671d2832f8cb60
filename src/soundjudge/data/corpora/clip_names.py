"""The names that downloaders give to clips, and those that differ from a list's by their case."""

import re
from collections.abc import Iterable
from pathlib import Path

from soundjudge.data.corpora.corpus import list_folder
from soundjudge.data.tables import spellings


def whole_seconds(text: str) -> str:
    """A start as lists write it, in whole seconds: 30.0 -> 30; any other text stays."""
    match = re.fullmatch(r" *([0-9]+)(\.0*)? *", text)
    return text if match is None else str(int(match[1]))


class CutClips:
    """Files of clips by YouTube id and start: <id>_30, _30.0, _000030, _30_40 or _30000_40000."""

    TIMES = re.compile(r"_([0-9]+(?:\.[0-9]+)?)(?:_([0-9]+(?:\.[0-9]+)?))?$")

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files
        self._by_start: dict[tuple[str, float], set[str]] = {}
        for stem in files:
            # An id may itself end in digits behind a "_": both readings are kept.
            for start in re.finditer(r"_(?=[0-9])", stem):
                match = self.TIMES.fullmatch(stem, start.start())
                if match:
                    self._add(stem, stem[: start.start()], match)

    def _add(self, stem: str, youtube_id: str, match: re.Match[str]) -> None:
        start, end = float(match[1]), float(match[2] or match[1])
        # Clips last 10 s at most: a greater difference is one of milliseconds.
        seconds = start / 1000 if end - start >= 100 else start
        self._by_start.setdefault((youtube_id, seconds), set()).add(stem)

    def find(self, youtube_id: str, start: str, stems: Iterable[str]) -> tuple[Path | None, str]:
        """The file, the first of `stems` that is there or one of that start; or why there is none.

        `start`: in seconds.
        """
        for stem in stems:
            if stem in self._files:
                return self._files[stem], ""
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", start):
            return None, "missing"
        names = {youtube_id, f"Y{youtube_id}"}
        matches = [stem for name in names for stem in self._by_start.get((name, float(start)), ())]
        if len(matches) > 1:
            return None, f"ambiguous: {' and '.join(sorted(matches))}"
        return (self._files[matches[0]], "") if matches else (None, "missing")


def other_spellings(folder: Path, name: str, cache: dict[Path, dict[str, list[str]]]) -> list[str]:
    """The names of files in the folder that differ from `name` by case or Unicode form alone.

    `cache` keeps the names of folders that were listed before.
    """
    if folder not in cache:
        cache[folder] = {}
        for entry in list_folder(folder) if folder.is_dir() else ():
            cache[folder].setdefault(spellings.normal_form(entry.name), []).append(entry.name)
    return sorted(cache[folder].get(spellings.normal_form(name), []))
