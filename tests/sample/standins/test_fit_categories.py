"""Which class of a classifier is which category, by recordings with captions."""

from itertools import combinations

import fit_categories
import numpy as np
import pytest
import torch
from sample_towers import read_phrases
from scipy.stats import zscore


@pytest.mark.parametrize("seed", range(5))
def test_the_assignment_is_the_best_of_all_that_keep_the_order(seed):
    affinity = np.random.default_rng(seed).normal(size=(4, 7))
    best = max(combinations(range(7), 4), key=lambda own: affinity[np.arange(4), list(own)].sum())
    assert fit_categories.assign_classes(affinity).tolist() == list(best)


def test_as_many_classes_as_categories_are_assigned_one_to_one():
    affinity = -np.ones((3, 3))
    assert fit_categories.assign_classes(affinity).tolist() == [0, 1, 2]


def bells_rain_water(temperature: float = 0.2) -> fit_categories.SoundCategories:
    """Axes 0, 1 and 2 of the text tower are the three categories; axis 3 is what all share."""
    vectors = dict(zip(("a bell", "rain", "water"), np.eye(3, 4), strict=True))

    def encode(texts: list[str]) -> np.ndarray:
        return np.array([vectors[text] + [0, 0, 0, 9.0] for text in texts])

    phrases = {"BELLS": ["a bell"], "RAIN": ["rain"], "WATER": ["water"]}
    center = np.array([0, 0, 0, 9.0])
    return fit_categories.blank_categories(phrases, 5, center, encode, temperature)


def test_classes_get_their_categories_and_what_recordings_share_is_taken_away():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=300)
    captions = np.eye(3, 4)[truth] + [0, 0, 0, 9.0] + rng.normal(scale=0.05, size=(300, 4))
    loud = 4.0 * np.eye(3)[truth] + rng.normal(size=(300, 3)) - [1.0, 50.0, 3.0]
    categories = bells_rain_water()
    # The second classifier has no class for RAIN.
    fit_categories.fit_categories(categories, [loud, loud[:, [0, 2]]], captions)
    weight = categories.evidence.weight.detach().numpy()
    spread = loud.std(axis=0)
    expected = np.zeros((3, 5))
    expected[0, [0, 3]] = 0.5 / spread[0]  # the mean of two classifiers
    expected[1, 1] = 1 / spread[1]
    expected[2, [2, 4]] = 0.5 / spread[2]
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
    with torch.no_grad():
        rows = torch.from_numpy(np.hstack([loud, loud[:, [0, 2]]])).float()
        evidence = categories.evidence(rows).numpy()
        np.testing.assert_allclose(evidence.mean(axis=0), np.zeros(3), atol=1e-4)
        agreement = (
            categories.of_sounds(rows) @ categories.of_texts(torch.eye(3, 4) + categories.center).T
        )
    assert (agreement.argmax(dim=1).numpy() == truth).mean() > 0.95
    assert not any(weights.requires_grad for weights in categories.parameters())


def test_evidence_of_named_classes_is_their_standardized_scores():
    rows = np.array([[1.0, 5.0, 2.0], [3.0, 9.0, 2.5], [5.0, 7.0, 9.0]])
    categories = bells_rain_water()
    categories.evidence = torch.nn.Linear(3, 3)
    fit_categories.set_evidence(categories, [rows], [np.arange(3)])
    with torch.no_grad():
        evidence = categories.evidence(torch.from_numpy(rows).float())
    np.testing.assert_allclose(evidence, zscore(rows), rtol=1e-5, atol=1e-6)


def test_a_lower_temperature_leaves_a_text_to_its_nearest_category():
    texts = torch.tensor([[1.0, 0.9, 0.0, 9.0]])
    warm, cold = bells_rain_water(temperature=5.0), bells_rain_water(temperature=0.01)
    only_the_first = torch.tensor([2.0, -1.0, -1.0]) / 6**0.5
    assert torch.allclose(cold.of_texts(texts)[0], only_the_first, atol=1e-2)
    assert not torch.allclose(warm.of_texts(texts)[0], only_the_first, atol=0.1)


def test_categories_with_fewer_phrases_repeat_their_last():
    def encode(texts: list[str]) -> np.ndarray:
        return np.array([[len(text), 1.0] for text in texts])

    phrases = {"A": ["one", "three"], "B": ["seven"]}
    categories = fit_categories.blank_categories(phrases, 2, np.zeros(2), encode)
    assert categories.phrases.shape == (2, 2, 2)
    assert torch.equal(categories.phrases[1, 0], categories.phrases[1, 1])
    np.testing.assert_allclose(categories.phrases[0, 0], np.array([3, 1]) / 10**0.5, rtol=1e-6)
    joined = np.array([len("one, three"), 1.0])
    np.testing.assert_allclose(
        categories.descriptions[0], joined / np.linalg.norm(joined), rtol=1e-6
    )


def test_the_categories_of_the_system_are_82_in_alphabetical_order():
    phrases = read_phrases()
    assert len(phrases) == 82 and list(phrases) == sorted(phrases)
    assert all(isinstance(one, str) for own in phrases.values() for one in own)
