"""SpecAugment: one band and one stretch a sound, zeros, from the passed generator."""

from dataclasses import replace

import pytest
import torch

from soundjudge.training.lalm.specaugment import SpecAugment, apply_specaugment

MASKS = SpecAugment(freq_mask=15, time_mask=30, per="sound")


def drawn(sounds=200, seed=0):
    picture = torch.ones(sounds, 98, 128)
    return apply_specaugment(picture, MASKS, torch.Generator().manual_seed(seed))


def runs(hidden):
    """Number of separate runs of True in each row of (B, n)."""
    edges = torch.diff(hidden.int(), dim=1, prepend=torch.zeros(len(hidden), 1, dtype=torch.int))
    return (edges == 1).sum(1)


def test_every_sound_loses_at_most_one_band_and_one_stretch_of_the_stated_width():
    hidden = drawn() == 0
    bins, frames = hidden.all(1), hidden.all(2)  # (B, 128), (B, 98)
    assert int(runs(bins).max()) == 1
    assert int(runs(frames).max()) == 1
    assert set(bins.sum(1).tolist()) == set(range(15))
    assert set(frames.sum(1).tolist()) == set(range(30))
    # Nothing else is touched.
    assert torch.equal(hidden, bins[:, None, :] | frames[:, :, None])


def test_masks_reach_both_ends():
    bins = (drawn(2000) == 0).all(1).any(0)
    assert bool(bins.all())


def test_sounds_of_one_batch_are_masked_differently():
    hidden = drawn(8) == 0
    assert any(not torch.equal(hidden[0], other) for other in hidden[1:])


def test_one_pair_of_masks_may_serve_a_whole_batch():
    masks = replace(MASKS, per="batch")
    one = apply_specaugment(torch.ones(8, 98, 128), masks, torch.Generator().manual_seed(3)) == 0
    assert bool(one.any())
    assert all(torch.equal(one[0], other) for other in one[1:])
    # The same masks as those of a single sound.
    alone = apply_specaugment(torch.ones(1, 98, 128), MASKS, torch.Generator().manual_seed(3)) == 0
    assert torch.equal(one[0], alone[0])


def test_the_masks_come_from_the_generator_alone():
    torch.manual_seed(1)
    first = drawn()
    torch.manual_seed(2)
    assert torch.equal(first, drawn())
    assert not torch.equal(first, drawn(seed=1))


def test_the_picture_itself_is_left_as_it_was():
    picture = torch.ones(3, 98, 128)
    apply_specaugment(picture, MASKS, torch.Generator().manual_seed(0))
    assert torch.equal(picture, torch.ones(3, 98, 128))


def test_a_mask_wider_than_the_picture_still_leaves_something():
    masks = SpecAugment(freq_mask=500, time_mask=500, per="sound")
    out = apply_specaugment(torch.ones(100, 20, 128), masks, torch.Generator().manual_seed(0))
    assert bool((out.flatten(1).sum(1) > 0).all())


def test_a_mask_of_no_width_is_refused():
    with pytest.raises(ValueError, match="freq_mask"):
        SpecAugment(freq_mask=0, time_mask=30, per="sound")
