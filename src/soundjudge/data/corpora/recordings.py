"""Recordings of YouTube that both captioned corpora have, whatever their files sound like.

Each cut, resampled and compressed its own copy, so that no two samples need be equal.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from soundjudge.data.corpora.corpus import Corpus, Rejection

SAME_RECORDING = "same recording"  # the reason of a rejection
TRAIN, VALIDATION = "train", "validation"


def recording(clip_id: str) -> str:
    """The YouTube id in the id of a captioned clip, such as vggsound/<id>_000030."""
    return clip_id.split("/", 1)[-1].rpartition("_")[0]


def without_validated(corpora: Sequence[Corpus]) -> list[Corpus]:
    """The corpora without clips of train whose recording another corpus has in validation."""
    return [
        _without(corpus, [other for other in corpora if other is not corpus]) for corpus in corpora
    ]


def _without(corpus: Corpus, others: Sequence[Corpus]) -> Corpus:
    validated = {
        recording(sound.clip_id): sound.clip_id
        for other in others
        for sound in other.sounds
        if sound.split == VALIDATION
    }
    repeated = {
        sound.clip_id: validated[recording(sound.clip_id)]
        for sound in corpus.sounds
        if sound.split == TRAIN and recording(sound.clip_id) in validated
    }
    rejections = [
        Rejection(corpus=corpus.name, file=clip, reason=f"{SAME_RECORDING}: {other} of validation")
        for clip, other in repeated.items()
    ]
    return replace(
        corpus,
        sounds=[sound for sound in corpus.sounds if sound.clip_id not in repeated],
        captions=corpus.captions[~corpus.captions["clip_id"].isin(repeated)],
        rejections=[*corpus.rejections, *rejections],
    )


def shared_recordings(corpora: Sequence[Corpus]) -> dict[str, int]:
    """Two of corpus/split of different corpora -> the number of recordings that both list."""
    sounds = [sound for corpus in corpora for sound in corpus.sounds]
    ids = [recording(sound.clip_id) for sound in sounds]
    counts = count_shared(ids, [f"{sound.corpus}/{sound.split}" for sound in sounds])
    return {
        " and ".join(pair): count
        for pair, count in counts.items()
        if len({split.partition("/")[0] for split in pair}) == 2
    }


def count_shared(ids: Iterable[str], splits: Iterable[str]) -> dict[tuple[str, str], int]:
    """Two of the splits -> the number of distinct ids in both; both in order of their names."""
    table = pd.DataFrame({"id": ids, "split": splits}).drop_duplicates()
    shared = table[table["id"].duplicated(keep=False)]
    counts = Counter(
        pair
        for _, group in shared.groupby("id")["split"]
        for pair in combinations(sorted(group), 2)
    )
    return dict(sorted(counts.items()))
