"""The closed-form fit of two projections."""

import fit_towers
import numpy as np
import pytest
import torch
from fit_towers import CaptionedSounds, TowersFit


def related(count: int = 200) -> CaptionedSounds:
    """Texts of 3 hidden causes and a large common part; sounds of the same causes."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(count, 3))
    captions = causes @ rng.normal(size=(3, 10)) + 20.0
    return CaptionedSounds(
        sounds=causes @ rng.normal(size=(3, 6)) - 7.0,
        captions=captions,
        targets=captions,
        weights=np.ones(count),
    )


def cosines(data: CaptionedSounds, fit: TowersFit) -> torch.Tensor:
    audio, text = fit_towers.fit_projections(data, fit)
    assert audio.out_features == text.out_features == fit.dimensions
    heard, read = (
        audio(torch.from_numpy(data.sounds).float()),
        text(torch.from_numpy(data.captions).float()),
    )
    return (
        torch.nn.functional.normalize(heard, dim=1) @ torch.nn.functional.normalize(read, dim=1).T
    )


def test_sounds_land_where_their_texts_do_whatever_all_texts_share():
    scores = cosines(related(), TowersFit(penalty=1e-3, dimensions=3))
    np.testing.assert_allclose(scores.diag(), np.ones(200), atol=1e-3)
    assert scores.mean().abs() < 0.1  # centered: others are as often opposite as alike


def test_the_text_side_keeps_the_directions_in_which_captions_differ_most():
    data = related()
    _, text = fit_towers.fit_projections(data, TowersFit(penalty=1.0, dimensions=2))
    kept = text(torch.from_numpy(data.captions).float()).detach().numpy()
    centered = data.captions - data.captions.mean(axis=0)
    singular = np.linalg.svd(centered, compute_uv=False)
    np.testing.assert_allclose((kept**2).sum(), (singular[:2] ** 2).sum(), rtol=1e-4)
    np.testing.assert_allclose(kept.mean(axis=0), np.zeros(2), atol=1e-4)


def test_a_large_penalty_shrinks_the_audio_side_and_a_weight_of_zero_leaves_a_sound_out():
    data = related(40)
    small, _ = fit_towers.fit_projections(data, TowersFit(penalty=1.0, dimensions=3))
    large, _ = fit_towers.fit_projections(data, TowersFit(penalty=1e5, dimensions=3))
    assert large.weight.norm() < 0.01 * small.weight.norm()
    odd = CaptionedSounds(
        sounds=np.vstack([data.sounds, np.full((1, 6), 99.0)]),
        captions=np.vstack([data.captions, np.full((1, 10), -50.0)]),
        targets=np.vstack([data.targets, np.full((1, 10), -50.0)]),
        weights=np.append(data.weights, 0.0),
    )
    without, _ = fit_towers.fit_projections(odd, TowersFit(penalty=1.0, dimensions=3))
    np.testing.assert_allclose(without.weight.abs(), small.weight.abs(), rtol=1e-4, atol=1e-6)


def test_sounds_that_share_a_caption_weigh_less_by_the_root_of_their_number():
    weights = fit_towers.caption_weights(["rain", "rain", "rain", "rain", "dog"])
    np.testing.assert_allclose(weights, np.array([0.5, 0.5, 0.5, 0.5, 1.0]) / 0.6)


@pytest.mark.parametrize(("penalty", "dimensions"), [(0.0, 3), (1.0, 0)])
def test_a_fit_without_penalty_or_dimensions_is_refused(penalty, dimensions):
    with pytest.raises(ValueError, match="is 0"):
        TowersFit(penalty=penalty, dimensions=dimensions)
