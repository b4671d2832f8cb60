"""SpecAugment: one band and one span of zeros per sound, from the given generator."""

from dataclasses import replace

import pytest
import torch

from soundjudge.errors import SoundjudgeError
from soundjudge.training.lalm.specaugment import SpecAugment, apply_specaugment

MASKS = SpecAugment(freq_mask=15, time_mask=30, per="sound")


def mask_ones(sounds=200, seed=0):
    spectrograms = torch.ones(sounds, 98, 128)
    return apply_specaugment(spectrograms, MASKS, torch.Generator().manual_seed(seed))


def count_spans(masked):
    """Number of separate spans of True in each row of (B, n)."""
    edges = torch.diff(masked.int(), dim=1, prepend=torch.zeros(len(masked), 1, dtype=torch.int))
    return (edges == 1).sum(1)


def test_every_sound_loses_at_most_one_band_and_one_stretch_of_the_stated_width():
    masked = mask_ones() == 0
    bins, frames = masked.all(1), masked.all(2)  # (B, 128), (B, 98)
    assert int(count_spans(bins).max()) == 1
    assert int(count_spans(frames).max()) == 1
    assert set(bins.sum(1).tolist()) == set(range(15))
    assert set(frames.sum(1).tolist()) == set(range(30))
    # Nothing else is touched.
    assert torch.equal(masked, bins[:, None, :] | frames[:, :, None])


def test_masks_reach_both_ends():
    bins = (mask_ones(2000) == 0).all(1).any(0)
    assert bool(bins.all())


def test_sounds_of_one_batch_are_masked_differently():
    masked = mask_ones(8) == 0
    assert any(not torch.equal(masked[0], other) for other in masked[1:])


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
    first = mask_ones()
    torch.manual_seed(2)
    assert torch.equal(first, mask_ones())
    assert not torch.equal(first, mask_ones(seed=1))


def test_the_picture_itself_is_left_as_it_was():
    spectrograms = torch.ones(3, 98, 128)
    apply_specaugment(spectrograms, MASKS, torch.Generator().manual_seed(0))
    assert torch.equal(spectrograms, torch.ones(3, 98, 128))


def test_a_mask_wider_than_the_picture_still_leaves_something():
    masks = SpecAugment(freq_mask=128, time_mask=500, per="sound")
    result = apply_specaugment(torch.ones(100, 20, 128), masks, torch.Generator().manual_seed(0))
    assert bool((result.flatten(1).sum(1) > 0).all())


def test_a_mask_of_no_width_is_refused():
    with pytest.raises(SoundjudgeError, match="freq_mask"):
        SpecAugment(freq_mask=0, time_mask=30, per="sound")
