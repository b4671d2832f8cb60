"""How much of what the corpora list was found and kept, and why the rest was not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import pandas as pd

from soundjudge.data.corpora import xacle
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.data.corpora.corpus import Corpus, Rejection
from soundjudge.data.corpora.intake import IntakeResult
from soundjudge.errors import SoundjudgeError

# What two lists do not share says nothing about either.
UNCOUNTED = ("no caption", "caption of no clip")
RATED = tuple(f"{xacle.NAME}/{split}" for split in ("validation", "test"))




@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Numbers of one corpus."""

    listed: int  # sounds
    found: int
    kept: int
    cut: int  # kept sounds that were longer than max_seconds
    repeated: int  # kept sounds that equal another of the corpus, sample for sample
    hours: float
    captions: int
    rejected: dict[str, int]  # reason -> sounds, captions or rows


def check_coverage(
    corpora: Iterable[Corpus], rejections: Iterable[Rejection], preparation: Preparation
) -> None:
    """Raises PreparationError, with a table of reasons, if more is bad than the params allow.

    `rejections` are those of sounds, all or so far; those of its lists a corpus has itself.
    """
    of_sounds = _reasons(rejections)
    complaints = []
    for one in corpora:
        sounds = of_sounds.get(one.name, Counter())
        captions = _reasons(one.rejections).get(one.name, Counter())
        # Of XACLE everybody has all: what is missing there is bad.
        missing = 0 if one.name == xacle.NAME else sounds["missing"]
        found = len(one.sounds) - missing
        bad = sum(sounds.values()) - missing
        wrong = sum(count for reason, count in captions.items() if reason not in UNCOUNTED)
        rows = len(one.captions) + wrong
        if not found or missing > preparation.max_missing_fraction * len(one.sounds):
            key = "max_missing_fraction"
        elif max(bad / found, wrong / max(rows, 1)) > preparation.max_rejected_fraction:
            key = "max_rejected_fraction"
        else:
            continue
        complaints.append(_complaint(one, sounds + captions, key, getattr(preparation, key)))
    if complaints:
        raise SoundjudgeError("\n".join(complaints))


def _reasons(rejections: Iterable[Rejection]) -> dict[str, Counter[str]]:
    """Corpus -> the first words of a reason -> how often."""
    reasons: dict[str, Counter[str]] = {}
    for one in rejections:
        reasons.setdefault(one.corpus, Counter())[one.reason.split(":")[0]] += 1
    return reasons


def _complaint(one: Corpus, reasons: Mapping[str, int], key: str, limit: float) -> str:
    lines = [
        f"{one.name}: too many of its {len(one.sounds)} sounds or their captions cannot be used"
        f" (prepare.{key} is {limit:g}); complete the folder prepare.{one.name} or raise the limit"
    ]
    lines += [f"  {count:8d}  {reason}" for reason, count in sorted(reasons.items())]
    return "\n".join(lines)


def measure_coverage(
    corpora: Iterable[Corpus],
    taken: IntakeResult,
    captions: pd.DataFrame,
    rejections: Iterable[Rejection],
) -> dict[str, Coverage]:
    """The numbers of each corpus by its name."""
    reasons = _reasons(rejections)
    table = {}
    for one in corpora:
        kept = taken.clips[taken.clips["corpus"] == one.name]
        table[one.name] = Coverage(
            listed=len(one.sounds),
            found=sum(sound.path is not None for sound in one.sounds),
            kept=len(kept),
            cut=taken.cut[one.name],
            repeated=int(kept["sha256"].duplicated().sum()),
            hours=round(int(kept["samples"].sum()) / SAMPLE_RATE / 3600, 3),
            captions=int((captions["corpus"] == one.name).sum()),
            rejected=dict(sorted(reasons.get(one.name, Counter()).items())),
        )
    return table


def overlap(clips: pd.DataFrame) -> dict[str, int]:
    """Two of corpus/split -> how many distinct sounds are in both, sample for sample."""
    places = pd.DataFrame(
        {"sound": clips["sha256"], "place": clips["corpus"] + "/" + clips["split"]}
    ).drop_duplicates()
    shared = places[places["sound"].duplicated(keep=False)]
    pairs = (
        pair
        for _, group in shared.groupby("sound")["place"]
        for pair in combinations(sorted(group), 2)
    )
    return {" and ".join(pair): count for pair, count in sorted(Counter(pairs).items())}


def coverage_metrics(table: Mapping[str, Coverage], shared: Mapping[str, int]) -> dict[str, object]:
    """What goes into the metrics: all numbers."""
    numbers: dict[str, object] = {name: asdict(one) for name, one in table.items()}
    return numbers | {"overlap": dict(shared)}


def coverage_page(table: Mapping[str, Coverage], shared: Mapping[str, int]) -> str:
    """The same numbers as Markdown, for people."""
    names = ("listed", "found", "kept", "cut", "repeated", "hours", "captions")
    lines = ["# What was found and kept", "", *_head(["corpus", *names])]
    for corpus, one in table.items():
        lines.append(_row([corpus, *(f"{getattr(one, name):,}" for name in names)]))
    lines += ["", *_head(["corpus", "rejected because", "how many"])]
    for corpus, one in table.items():
        lines += [_row([corpus, reason, f"{count:,}"]) for reason, count in one.rejected.items()]
    lines += ["", "Each one is named in `data/prepared/rejected.csv`.", ""]
    lines += [
        f"- {places}: {count:,} of the same sounds, sample for sample"
        + (", rated for validation or test" if any(one in places for one in RATED) else "")
        for places, count in shared.items()
    ] or ["No sound is in two corpora or splits."]
    return "\n".join(lines) + "\n"


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), "|" + "---|" * len(names)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
