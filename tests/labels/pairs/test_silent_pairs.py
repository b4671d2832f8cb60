"""Silence and captions: so many pairs, of the silent clips' split, with the lowest label."""

import pandas as pd
import pytest

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.pairs import pseudolabels

CLIPS = pd.DataFrame(
    [
        ("a", "audiocaps", "train"),
        ("b", "audiocaps", "validation"),
        ("silence/0", "silence", "train"),
        ("silence/1", "silence", "train"),
    ],
    columns=["clip_id", "corpus", "split"],
)


def scored() -> pd.DataFrame:
    """Ten matched pairs of train, one of validation, and a mismatched one with the lowest score."""
    lines = [("a", f"p{n}", True, 0.5, None) for n in range(10)]
    lines += [("b", "q", True, 0.6, None), ("b", "p0", False, -0.25, "random")]
    columns = ["clip_id", "caption_id", "matched", "clap_score", "kind"]
    return pd.DataFrame(lines, columns=columns).astype(
        {"clip_id": "category", "caption_id": "category", "kind": "category"}
    )


@pytest.mark.parametrize(("mean", "count"), [(0.3, 3), (1.0, 10), (1.5, 15), (2.0, 20)])
def test_the_number_of_silent_pairs_is_that_per_matched_pair_of_their_split(mean, count):
    pairs = pseudolabels.add_silent_pairs(scored(), CLIPS, mean, seed=1)
    added = pairs.iloc[12:]
    assert len(added) == count
    assert set(added["clip_id"]) <= {"silence/0", "silence/1"}
    assert set(added["caption_id"]) <= {f"p{n}" for n in range(10)}
    assert set(added["clap_score"]) == {-0.25}
    assert set(added["kind"]) == {"silent"}
    assert not added["matched"].any()


def test_the_other_pairs_stay_and_the_table_can_be_written(tmp_path):
    pairs = pseudolabels.add_silent_pairs(scored(), CLIPS, 0.5, seed=1)
    before = scored()
    for name in before:
        assert pairs[name].iloc[:12].astype(object).equals(before[name].astype(object))
    tables.write_table(pairs, tmp_path / "pairs.parquet", tables.PAIRS)  # no pair twice
    assert len(tables.read_table(tmp_path / "pairs.parquet", tables.PAIRS)) == 17


def test_the_seed_alone_decides():
    one, two, other = (
        pseudolabels.add_silent_pairs(scored(), CLIPS, 0.5, seed=seed) for seed in (1, 1, 2)
    )
    assert one.equals(two)
    assert not one.equals(other)


def test_without_silent_pairs_nothing_changes():
    pairs = scored()
    assert pseudolabels.add_silent_pairs(pairs, CLIPS, 0.0, seed=1) is pairs
    empty = pairs[:0]
    assert pseudolabels.add_silent_pairs(empty, CLIPS, 1.0, seed=1) is empty


def test_too_few_silent_clips_are_an_error_that_names_the_key():
    with pytest.raises(SoundjudgeError, match=r"num_silent is 3, and there are 2 silent clips"):
        pseudolabels.add_silent_pairs(scored(), CLIPS, 3.0, seed=1)
    with pytest.raises(SoundjudgeError, match=r"there are 0 silent clips.*prepare\.num_silent"):
        pseudolabels.add_silent_pairs(scored(), CLIPS[:2], 1.0, seed=1)
