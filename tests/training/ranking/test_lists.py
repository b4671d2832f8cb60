"""Lists of pairs: their composition, that all pairs occur, that the seed decides."""

import numpy as np
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.training.ranking.lists import clip_lists, random_lists


def rng(seed=0):
    return np.random.default_rng(seed)


def test_random_lists_hold_every_pair_at_most_once_and_leave_less_than_a_list_out():
    lists = random_lists(50, 16)(rng())
    assert lists.shape == (3, 16)
    assert len(set(lists.ravel())) == 48


def test_random_lists_differ_between_draws_and_agree_for_one_seed():
    sample = random_lists(50, 16)
    generator = rng()
    first, second = sample(generator), sample(generator)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, sample(rng()))


def test_a_clip_list_holds_several_clips_with_several_captions_each():
    clips = np.repeat([7, 3, 9, 5], 6)  # 4 clips with 6 pairs: 2 groups of 3 each
    lists = clip_lists(clips, 12, 3)(rng())
    assert lists.shape == (2, 12)
    for row in lists:
        for group in row.reshape(4, 3):
            assert len(set(clips[group])) == 1
            assert len(set(group)) == 3
    assert sorted(lists.ravel()) == list(range(24))


def test_a_clip_with_too_few_captions_fills_its_group_with_its_own():
    clips = np.array([0, 0, 0, 0, 1, 2, 2, 2, 2, 2])  # clip 1 has one pair, clip 2 five
    lists = clip_lists(clips, 4, 4)(rng())
    groups = {tuple(sorted(row)) for row in lists.tolist()}
    assert len(lists) == 4  # one of clip 0, one of clip 1, two of clip 2
    assert (0, 1, 2, 3) in groups
    assert (4, 4, 4, 4) in groups
    assert set(lists.ravel()) == set(range(10))


def test_the_pairs_of_a_clip_need_not_stand_together_in_the_table():
    clips = np.array([1, 0, 1, 0, 1, 0, 1, 0])
    for row in clip_lists(clips, 4, 4)(rng()):
        assert len(set(clips[row])) == 1


def test_groups_change_company_from_epoch_to_epoch():
    sample, generator = clip_lists(np.repeat(np.arange(8), 4), 16, 4), rng()
    assert not np.array_equal(sample(generator), sample(generator))


def test_the_captions_of_a_clip_must_fit_into_a_list():
    with pytest.raises(SoundjudgeError, match="captions_per_clip 5 must divide list_size 16"):
        clip_lists(np.zeros(64, dtype=np.int64), 16, 5)


@pytest.mark.parametrize(
    "make", [lambda: random_lists(3, 4), lambda: clip_lists(np.arange(3), 16, 4)]
)
def test_too_few_pairs_for_a_list_are_refused(make):
    with pytest.raises(SoundjudgeError, match="do not fill a list"):
        make()
