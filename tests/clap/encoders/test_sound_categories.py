"""Named categories of sound that join two towers."""

import numpy as np
import torch
from torch.nn import functional

from soundjudge.clap.encoders.sound_categories import (
    SoundCategories,
    blank_categories,
    describe_categories,
)

NAMES = ("BELLS", "RAIN", "WATER")


def categories() -> SoundCategories:
    """Phrases along the axes of a text tower of width 4; WATER has one phrase, repeated."""
    own = SoundCategories(NAMES, classes=3, phrases=2, width=4)
    axes = torch.eye(4)
    own.phrases.copy_(torch.stack([axes[[0, 1]], axes[[1, 2]], axes[[3, 3]]]))
    own.descriptions.copy_(functional.normalize(own.phrases.sum(dim=1), dim=1))
    with torch.no_grad():
        own.evidence.weight.copy_(torch.eye(3))
        own.evidence.bias.zero_()
    return own


def test_a_texts_similarity_is_the_mean_of_the_nearest_phrases_and_the_descriptions():
    own = categories()
    own.center.copy_(torch.tensor([0.0, 0.0, 0.0, 5.0]))
    near = own.similarities(torch.tensor([[3.0, 4.0, 0.0, 5.0]]))  # centered: .6, .8, 0, 0
    half = 0.5**0.5
    expected = [(0.8 + 1.4 * half) / 2, (0.8 + 0.8 * half) / 2, 0.0]
    np.testing.assert_allclose(near[0], expected, atol=1e-6)


def test_the_dot_product_is_the_correlation_of_what_both_towers_say():
    own = categories()
    rng = torch.Generator().manual_seed(0)
    log_probabilities, texts = (
        torch.randn(5, 3, generator=rng),
        torch.randn(5, 4, generator=rng),
    )
    with torch.no_grad():
        sounds, read = own.of_sounds(log_probabilities), own.of_texts(texts)
        softmax = (own.similarities(texts) / 0.2).softmax(dim=1)
    for row in range(5):
        expected = np.corrcoef(log_probabilities[row], softmax[row])[0, 1]
        np.testing.assert_allclose(sounds[row] @ read[row], expected, atol=1e-5)


def test_a_text_agrees_most_with_the_sound_of_its_category():
    own = categories()
    sounds = torch.log(torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]))
    with torch.no_grad():
        agreement = own.of_texts(own.phrases[:, 1]) @ own.of_sounds(sounds).T
    assert agreement.argmax(dim=1).tolist() == [0, 1, 2]


def test_the_temperature_sharpens_what_a_text_says():
    own = categories()
    texts = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    own.temperature = 0.05
    expected = (own.similarities(texts) / 0.05).softmax(dim=1).numpy()
    expected -= expected.mean(axis=1, keepdims=True)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(own.of_texts(texts), expected, atol=1e-6)
    assert blank_categories(describe_categories(own), [3], 4).temperature == 0.05
