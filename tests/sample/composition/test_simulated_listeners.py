"""Simulated listeners: the true match by hand, and the distribution of their ratings."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_recordings import PANEL, recording

from soundjudge.sample.composition import simulated_listeners
from soundjudge.sample.composition.scenes import Event, Scene
from soundjudge.sample.composition.simulated_listeners import match_score

DOG, OWL, RAIN, CAR = (recording(label) for label in ("dog", "owl", "rain", "car"))
OTHER_DOG = recording("dog", take=2)
EXACT = replace(PANEL, bias_sd=0.0, scale_sd=0.0, noise_sd=0.0, careless=0.0)


def scene(*events, relation="then"):
    """scene(DOG, (OWL, 2)): a dog, then an owl twice."""
    pairs = [event if isinstance(event, tuple) else (event, 1) for event in events]
    return Scene(tuple(Event(one, count) for one, count in pairs), relation)


TEXT = scene(DOG, OWL)
THREE = scene(DOG, OWL, RAIN)
CASES = {
    "no fault": (TEXT, TEXT, 10.0),
    # half or a third of the events is missing; the others are in order
    "one of two missing": (scene(DOG), TEXT, 5.0),
    "the middle of three missing": (scene(DOG, RAIN), THREE, 10 * 2 / 3),
    # one of the audio's three events is extra: a third of the fifth
    "an extra event": (scene(DOG, CAR, OWL), TEXT, 10 * (1 - 0.2 / 3)),
    "an extra event beside one": (scene(DOG, CAR), scene(DOG), 10 * (1 - 0.2 / 2)),
    # both neighbors swapped: the whole .45; one of two neighbors: half of it
    "two in the wrong order": (scene(OWL, DOG), TEXT, 10 * (1 - 0.45)),
    "the first of three last": (scene(OWL, RAIN, DOG), THREE, 10 * (1 - 0.45 / 2)),
    "three backwards": (scene(RAIN, OWL, DOG), THREE, 10 * (1 - 0.45)),
    "once for twice": (scene((DOG, 1)), scene((DOG, 2)), 10 * (1 - 0.2)),
    "three times for once": (scene((DOG, 3), OWL), TEXT, 10 * (1 - 0.4)),
    "two wrong numbers": (scene((DOG, 2), (OWL, 2)), TEXT, 10 * 0.8 * 0.8),
    # the wrong event costs its half, and half of the audio's events are extra
    "a wrong event": (scene(DOG, CAR), TEXT, 10 * 0.5 * (1 - 0.2 / 2)),
    "nothing of it": (scene(CAR, RAIN), TEXT, 0.0),
    "another dog": (scene(OTHER_DOG), scene(DOG), 6.0),
    "another dog beside the owl": (scene(OTHER_DOG, OWL), TEXT, 10 * 1.6 / 2),
    "together for one after the other": (
        scene(DOG, OWL, relation="while"), TEXT, 10 * (1 - 0.45 / 2),
    ),
    "together in another order": (
        scene(OWL, DOG, relation="while"), scene(DOG, OWL, relation="while"), 10.0,
    ),
    "one event has no relation": (scene(DOG, relation="while"), scene(DOG), 10.0),
    "a wrong order and a wrong number": (scene(OWL, (DOG, 2)), TEXT, 10 * 0.8 * 0.55),
    # one dog of the audio cannot match two of the text
    "one dog for two": (scene(DOG), scene(DOG, OTHER_DOG), 5.0),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_match_is_what_a_hand_works_out(case):
    audio, text, expected = CASES[case]
    assert match_score(audio, text) == pytest.approx(expected, abs=1e-12)


def test_the_very_recording_is_a_partner_before_another_of_its_label():
    audio, assign = scene(OTHER_DOG, DOG), simulated_listeners._assign_events
    assert assign(audio, scene(DOG)) == [1]
    assert assign(audio, scene(OTHER_DOG, DOG)) == [0, 1]
    assert assign(audio, scene(recording("dog", take=3), DOG)) == [0, 1]
    assert assign(audio, scene(OWL, DOG)) == [None, 1]


def test_disorder_is_the_share_of_neighbors_heard_the_wrong_way_round():
    def disorder(indices, audio_relation="then", text_relation="then"):
        audio = scene(DOG, OWL, RAIN, relation=audio_relation)
        text = scene(DOG, OWL, RAIN, relation=text_relation)
        return simulated_listeners._disorder(indices, audio, text)

    assert disorder([0, 1, 2]) == 0.0
    assert disorder([2, 0, 1]) == 0.5
    assert disorder([2, 1, 0]) == 1.0
    assert disorder([1]) == 0.0
    assert disorder([]) == 0.0
    assert disorder([1, 0], "while", "while") == 0.0
    assert disorder([0, 1], "while", "then") == 0.5
    assert disorder([0, 1], "then", "while") == 0.5


def simulate(pairs=240, panel=PANEL, prefix="l", seed=0):
    truth = np.linspace(0.0, 10.0, pairs)
    return truth, simulated_listeners.simulate_ratings(
        truth, panel, prefix, np.random.default_rng(seed)
    )


def test_every_pair_gets_its_ratings_in_whole_points_from_0_to_10():
    _, ratings = simulate()
    assert [pair for pair, _, _ in ratings] == sorted(list(range(240)) * 4)
    assert {type(score) for *_, score in ratings} == {int}
    assert {score for *_, score in ratings} == set(range(11))


@pytest.mark.parametrize("listeners", [9, 10, 11, 12])  # some rounds leave listeners over
def test_nobody_rates_a_pair_twice_and_everybody_rates_about_as_much(listeners):
    panel = replace(PANEL, ratings_per_listener=240 * 4 // listeners)
    _, ratings = simulate(panel=panel)
    assert len({(pair, listener) for pair, listener, _ in ratings}) == 240 * 4
    counts = np.unique([listener for _, listener, _ in ratings], return_counts=True)[1]
    assert len(counts) == round(240 * 4 / panel.ratings_per_listener)
    if len(counts) % 4 == 0:
        assert counts.max() - counts.min() <= 1
    assert counts.min() > 0.7 * counts.mean()
    assert counts.max() < 1.3 * counts.mean()


def test_a_panel_is_never_smaller_than_a_pair_needs():
    _, ratings = simulate(pairs=2, panel=replace(PANEL, ratings_per_listener=100))
    assert len({listener for _, listener, _ in ratings}) == 4


def test_listeners_are_named_after_their_split():
    ids = [{row[1] for row in simulate(prefix=prefix)[1]} for prefix in ("simtr", "simva")]
    assert not ids[0] & ids[1]
    assert "simtr0000" in ids[0]


def test_listeners_without_habits_say_the_true_match():
    truth, ratings = simulate(panel=EXACT)
    assert all(score == np.rint(truth[pair]) for pair, _, score in ratings)


def test_a_listener_with_a_bias_rates_all_pairs_higher_or_lower():
    truth, ratings = simulate(panel=replace(EXACT, bias_sd=1.0))
    errors = {}
    for pair, listener, score in ratings:
        if 4.0 < truth[pair] < 6.0:  # away from the ends of the scale
            errors.setdefault(listener, []).append(score - truth[pair])
    means = np.array([np.mean(values) for values in errors.values()])
    assert means.std() > 0.5
    assert max(np.std(values) for values in errors.values()) < 0.5  # rounding alone


def test_a_listeners_scale_stretches_around_the_middle():
    truth, ratings = simulate(panel=replace(EXACT, scale_sd=0.5))
    for pair, _, score in ratings:
        if abs(truth[pair] - 5.0) > 1.5:
            assert (score - 5.0) * (truth[pair] - 5.0) >= 0
        elif abs(truth[pair] - 5.0) < 0.1:
            assert score == 5


def test_careless_listeners_know_nothing_of_the_match():
    truth, ratings = simulate(panel=replace(EXACT, careless=1.0), pairs=1000)
    scores = np.array([score for *_, score in ratings], float)
    matches = np.array([truth[pair] for pair, *_ in ratings])
    assert abs(np.corrcoef(scores, matches)[0, 1]) < 0.1
    assert scores.mean() == pytest.approx(5.0, abs=0.3)


def test_the_mean_rating_follows_the_match():
    truth, ratings = simulate(pairs=1000)
    means = np.array([score for *_, score in ratings], float).reshape(-1, 4).mean(axis=1)
    assert np.corrcoef(means, truth)[0, 1] > 0.85


def test_the_same_seed_gives_the_same_ratings():
    assert simulate(seed=4)[1] == simulate(seed=4)[1]
    assert simulate(seed=4)[1] != simulate(seed=5)[1]
