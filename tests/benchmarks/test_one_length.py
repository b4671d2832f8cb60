"""Scenes of one length: what a sound's length and its gaps may tell."""

from itertools import pairwise

import numpy as np
import pytest
import repository
import tiny_recordings

from soundjudge.sample.composition import scenes

RATE = 16_000


@pytest.fixture
def one_length(monkeypatch):
    module = repository.load_benchmark("one_length")
    monkeypatch.setattr(scenes, "EVENT_SECONDS", module.SCENE_SECONDS)
    return module


def test_every_scene_lasts_five_seconds_and_holds_all_its_events(one_length) -> None:
    pool = tiny_recordings.pool()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scene = scenes.sample_scene(pool, rng, repeat_probability=0.7)
        wave, spans = one_length.render_scene(scene, rng)
        assert len(wave) == 5 * RATE
        assert len(spans) == sum(event.count for event in scene.events)
        assert all(0 <= span.start < span.end <= 5 * RATE for span in spans)
        assert all(np.abs(wave[span.start : span.end]).max() > 0 for span in spans)


def test_sounds_in_a_row_lie_a_quarter_of_a_second_apart(one_length) -> None:
    pool = tiny_recordings.pool()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scene = scenes.sample_scene(pool, rng, relation="then", repeat_probability=0.7)
        _, spans = one_length.render_scene(scene, rng)
        assert all(later.start - sooner.end >= 4_000 for sooner, later in pairwise(spans))


def test_the_form_of_a_text_is_counted_by_hand(one_length) -> None:
    text = "A dog barks twice, then an owl hoots"
    assert one_length.text_form(text) == [2, False, 1, 0, 8, 36]
