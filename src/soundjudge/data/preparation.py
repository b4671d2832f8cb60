"""The upstream corpora -> one prepared folder: clips, captions, pairs, ratings, rejections."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data import audiocaps, corpus, intake, tables, vggsound, xacle
from soundjudge.data.audio import SAMPLE_RATE
from soundjudge.data.corpus import Corpus, Rejection
from soundjudge.data.intake import Intake, Preparation
from soundjudge.data.xacle import Xacle

# Of a corpus that everybody downloads in part, these say nothing about what was downloaded.
UNCOUNTED = ("missing", "no caption", "caption of no clip")


class PreparationError(ValueError):
    """Too much of a corpus cannot be used; the message has a table of the reasons."""


@dataclass(frozen=True, kw_only=True)
class Corpora:
    """Everything listed: XACLE, and the captioned corpora that are there."""

    xacle: Xacle
    captioned: list[Corpus]

    @property
    def all(self) -> list[Corpus]:
        """Every corpus, XACLE last as in the order of clip ids."""
        return [*self.captioned, self.xacle.corpus]


def listed(preparation: Preparation) -> Corpora:
    """Reads the lists of all corpora, and no sound. Raises TableError or PreparationError."""
    readers = {
        "audiocaps": (audiocaps.read, preparation.audiocaps),
        "vggsound": (vggsound.read, preparation.vggsound),
    }
    if corpus.is_left_out(preparation.xacle, "prepare.xacle"):
        raise PreparationError(
            f"prepare.xacle: {preparation.xacle} holds only a README.md; ratings are needed"
        )
    corpora = Corpora(
        xacle=xacle.read(preparation.xacle),
        captioned=[
            read(folder)
            for name, (read, folder) in readers.items()
            if not corpus.is_left_out(folder, f"prepare.{name}")
        ],
    )
    # What is missing is known before hours of reading.
    missing = [
        Rejection(corpus=sound.corpus, file=sound.file, reason="missing")
        for one in corpora.all
        for sound in one.sounds
        if sound.path is None
    ]
    refuse_bad(corpora, missing, preparation)
    return corpora


def write(
    corpora: Corpora,
    preparation: Preparation,
    folder: Path,
    workers: int,
    log: Callable[[str], None],
) -> dict[str, object]:
    """Writes the prepared folder and returns its coverage, numbers by corpus.

    Ratings of the test split are not written: see quarantined.
    """
    sounds = [sound for one in corpora.all for sound in one.sounds]
    taken = intake.write(sounds, folder, preparation, workers, log)
    rejections = [*taken.rejections, *(r for one in corpora.all for r in one.rejections)]
    refuse_bad(corpora, rejections, preparation)

    clips = set(taken.clips["clip_id"])
    captions = pd.concat(
        [
            pd.DataFrame(columns=list(tables.CAPTIONS.columns)),
            *(c.captions for c in corpora.captioned),
        ]
    )
    captions = captions[captions["clip_id"].isin(clips)].sort_values("caption_id")
    rated = _heard(corpora.xacle.rated, clips)
    ratings = _heard(corpora.xacle.ratings, clips)
    rejected = pd.DataFrame(
        sorted((one.corpus, one.file, one.reason) for one in rejections),
        columns=list(tables.REJECTED.columns),
    )
    tables.write(taken.clips, folder / "clips.parquet", tables.CLIPS)
    tables.write(captions, folder / "captions.parquet", tables.CAPTIONS)
    tables.write(rated, folder / "rated.parquet", tables.RATED)
    tables.write(ratings[ratings["split"] != "test"], folder / "ratings.parquet", tables.RATINGS)
    tables.write(rejected, folder / "rejected.csv", tables.REJECTED)
    return coverage(corpora, taken, captions, rejections)


def quarantined(corpora: Corpora, clips: Iterable[str]) -> pd.DataFrame:
    """The quarantined RATINGS of the test split; empty where nobody published them."""
    ratings = _heard(corpora.xacle.ratings, set(clips))
    return ratings[ratings["split"] == "test"]


def _heard(frame: pd.DataFrame, clips: set[str]) -> pd.DataFrame:
    return frame[[xacle.clip_id(name) in clips for name in frame["wav_file_name"]]]


def refuse_bad(corpora: Corpora, rejections: Iterable[Rejection], preparation: Preparation) -> None:
    """Raises PreparationError, with a table of reasons, if more is bad than the params allow."""
    reasons = Counter((one.corpus, one.reason.split(":")[0]) for one in rejections)
    complaints = []
    for one in corpora.all:
        own = {reason: count for (name, reason), count in reasons.items() if name == one.name}
        complete = one.name == xacle.NAME  # everybody has all of it
        missing = 0 if complete else own.get("missing", 0)
        found = len(one.sounds) - missing
        bad = sum(count for reason, count in own.items() if complete or reason not in UNCOUNTED)
        if not found or missing > preparation.max_missing * len(one.sounds):
            complaints.append(_table(one, own, "max_missing", preparation.max_missing))
        elif bad > preparation.max_rejected * found:
            complaints.append(_table(one, own, "max_rejected", preparation.max_rejected))
    if complaints:
        raise PreparationError("\n".join(complaints))


def _table(one: Corpus, reasons: dict[str, int], key: str, limit: float) -> str:
    lines = [
        f"{one.name}: too many of its {len(one.sounds)} sounds cannot be used"
        f" (prepare.{key} is {limit:g}); complete the folder prepare.{one.name} or raise the limit"
    ]
    lines += [f"  {count:8d}  {reason}" for reason, count in sorted(reasons.items())]
    return "\n".join(lines)


def coverage(
    corpora: Corpora, taken: Intake, captions: pd.DataFrame, rejections: Iterable[Rejection]
) -> dict[str, object]:
    """Numbers by corpus: sounds listed, found, kept and cut, hours, captions, rejections."""
    reasons = Counter((one.corpus, one.reason.split(":")[0]) for one in rejections)
    table: dict[str, object] = {}
    for one in corpora.all:
        kept = taken.clips[taken.clips["corpus"] == one.name]
        table[one.name] = {
            "listed": len(one.sounds),
            "found": sum(sound.path is not None for sound in one.sounds),
            "kept": len(kept),
            "cut": taken.cut[one.name],
            "hours": round(int(kept["samples"].sum()) / SAMPLE_RATE / 3600, 3),
            "captions": int((captions["corpus"] == one.name).sum()),
            "rejected": {
                reason: n for (name, reason), n in sorted(reasons.items()) if name == one.name
            },
        }
    return table
