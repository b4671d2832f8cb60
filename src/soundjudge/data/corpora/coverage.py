"""How many of the listed sounds and captions were kept, and why the others were not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from soundjudge.data.corpora import xacle
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.corpora.corpus import Corpus, Rejection
from soundjudge.data.corpora.intake import IntakeResult
from soundjudge.data.corpora.recordings import SAME_RECORDING, count_shared
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError

# Differences between two lists of a corpus are no faults.
UNCOUNTED = ("no caption", "caption of no clip", SAME_RECORDING)
RATED = tuple(f"{xacle.NAME}/{split}" for split in ("validation", "test"))


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Counts of one corpus."""

    listed: int  # sounds
    found: int  # sounds with a file
    kept: int
    cut: int  # kept sounds that were longer than max_seconds
    silent: int  # kept sounds, rated ones, whose peak lies below silence_dbfs
    repeated: int  # kept sounds that equal another of the corpus, sample for sample
    hours: float
    captions: int
    rejected: dict[str, int]  # reason -> sounds, captions or rows


@dataclass(frozen=True, kw_only=True)
class CoverageReport:
    """The counts of each corpus, and of the sounds and the recordings that two of them share."""

    corpora: dict[str, Coverage]
    overlap: dict[str, int]
    recordings: dict[str, int]

    def metrics(self) -> dict[str, object]:
        """All counts, for the metrics file."""
        numbers: dict[str, object] = {name: asdict(counts) for name, counts in self.corpora.items()}
        numbers["overlap"] = self.overlap
        return numbers | ({"same_recordings": self.recordings} if self.recordings else {})

    def page(self) -> str:
        """The same counts as Markdown, for people."""
        names = ("listed", "found", "kept", "cut", "silent", "repeated", "hours", "captions")
        lines = ["# What was found and kept", "", *_head(["corpus", *names])]
        for corpus, counts in self.corpora.items():
            lines.append(_row([corpus, *(f"{getattr(counts, name):,}" for name in names)]))
        lines += ["", *_head(["corpus", "rejected because", "how many"])]
        for corpus, counts in self.corpora.items():
            lines += [_row([corpus, reason, f"{n:,}"]) for reason, n in counts.rejected.items()]
        lines += ["", "Each one is named in `data/prepared/rejected.csv`.", ""]
        lines += [
            f"- {splits}: {count:,} of the same sounds, sample for sample"
            + (", rated for validation or test" if any(split in splits for split in RATED) else "")
            for splits, count in self.overlap.items()
        ] or ["No sound is in two corpora or splits."]
        lines += [
            f"- {splits}: {count:,} recordings of YouTube in both"
            for splits, count in self.recordings.items()
        ]
        return "\n".join(lines) + "\n"


def check_coverage(
    corpora: Iterable[Corpus], rejections: Iterable[Rejection], config: Preparation
) -> None:
    """Raises SoundjudgeError, with a table of reasons, if more is bad than the params allow.

    `rejections` are those of sounds, all or so far; a corpus holds those of its lists.
    """
    sound_reasons = _count_reasons(rejections)
    errors = []
    for corpus in corpora:
        sounds = sound_reasons.get(corpus.name, Counter())
        captions = _count_reasons(corpus.rejections).get(corpus.name, Counter())
        # XACLE is complete for everyone: there a missing sound is bad.
        missing = 0 if corpus.name == xacle.NAME else sounds["missing"]
        present = len(corpus.sounds) - missing
        bad_sounds = sum(sounds.values()) - missing
        bad_captions = sum(count for reason, count in captions.items() if reason not in UNCOUNTED)
        rows = len(corpus.captions) + bad_captions
        if not present or missing > config.max_missing_fraction * len(corpus.sounds):
            key = "max_missing_fraction"
        elif max(bad_sounds / present, bad_captions / max(rows, 1)) > config.max_rejected_fraction:
            key = "max_rejected_fraction"
        else:
            continue
        errors.append(_message(corpus, sounds + captions, key, getattr(config, key)))
    if errors:
        raise SoundjudgeError("\n".join(errors))


def _count_reasons(rejections: Iterable[Rejection]) -> dict[str, Counter[str]]:
    """Corpus -> the first words of a reason -> number of rejections."""
    reasons: dict[str, Counter[str]] = {}
    for rejection in rejections:
        reason = rejection.reason.split(":")[0]
        reasons.setdefault(rejection.corpus, Counter())[reason] += 1
    return reasons


def _message(corpus: Corpus, reasons: Mapping[str, int], key: str, limit: float) -> str:
    name = corpus.name
    lines = [
        f"{name}: too many of its {len(corpus.sounds)} sounds or their captions cannot be used"
        f" (prepare.{key} is {limit:g}); complete the folder prepare.{name} or raise the limit"
    ]
    lines += [f"  {count:8d}  {reason}" for reason, count in sorted(reasons.items())]
    return "\n".join(lines)


def measure_coverage(
    corpora: Iterable[Corpus],
    intake: IntakeResult,
    captions: pd.DataFrame,
    rejections: Iterable[Rejection],
) -> dict[str, Coverage]:
    """The counts of each corpus, by its name."""
    reasons = _count_reasons(rejections)
    table = {}
    for corpus in corpora:
        kept = intake.clips[intake.clips["corpus"] == corpus.name]
        table[corpus.name] = Coverage(
            listed=len(corpus.sounds),
            found=sum(sound.path is not None for sound in corpus.sounds),
            kept=len(kept),
            cut=intake.cut[corpus.name],
            silent=int(kept["clip_id"].isin(intake.silent).sum()),
            repeated=int(kept["sha256"].duplicated().sum()),
            hours=round(int(kept["samples"].sum()) / SAMPLE_RATE / 3600, 3),
            captions=int((captions["corpus"] == corpus.name).sum()),
            rejected=dict(sorted(reasons.get(corpus.name, Counter()).items())),
        )
    return table


def overlap(clips: pd.DataFrame) -> dict[str, int]:
    """Two of corpus/split -> the number of distinct sounds in both, sample for sample."""
    counts = count_shared(clips["sha256"], clips["corpus"] + "/" + clips["split"])
    return {" and ".join(pair): count for pair, count in counts.items()}


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), "|" + "---|" * len(names)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
