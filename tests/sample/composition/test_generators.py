"""Simulated generators: the effect of each fault on a scene, and of a channel on a sound."""

import numpy as np
import pytest
import tiny_recordings
from tiny_recordings import LONG, recording

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.sample.composition import generators
from soundjudge.sample.composition.generators import FAULTS, GENERATORS, Generator
from soundjudge.sample.composition.scenes import Event, Scene

DOG, OWL, RAIN = (recording(label) for label in ("dog", "owl", "rain"))
SEEDS = range(40)


def rng(seed=0):
    return np.random.default_rng(seed)


def outcomes(scene, fault):
    """Every scene that a generator with this fault can make of `scene`."""
    pool = tiny_recordings.pool()
    return {generators.generate_scene(scene, fault, pool, rng(seed)) for seed in SEEDS}


def labels(scene):
    return [event.recording.label for event in scene.events]


def test_each_generator_has_a_name_of_its_own_and_chances_that_sum_to_one():
    assert len({one.model_id for one in GENERATORS}) == len(GENERATORS) == 6
    for one in GENERATORS:
        assert len(one.faults) == len(FAULTS)
        assert sum(one.faults) == pytest.approx(1.0)


def test_the_generators_differ_in_how_often_they_are_right():
    assert len({one.faults[FAULTS.index("none")] for one in GENERATORS}) == len(GENERATORS)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_described_leaves_room_for_the_fault(fault):
    pool = tiny_recordings.pool()
    for seed in SEEDS:
        scene = generators.sample_text_scene(pool, fault, rng(seed))
        audio = generators.generate_scene(scene, fault, pool, rng(seed))
        if fault == "none":
            assert audio == scene
        else:
            assert audio.events
            assert audio != scene


def test_an_order_is_described_as_a_sequence_of_two_or_three():
    pool = tiny_recordings.pool()
    scenes = [generators.sample_text_scene(pool, "order", rng(seed)) for seed in SEEDS]
    assert {len(scene.events) for scene in scenes} == {2, 3}
    assert {scene.relation for scene in scenes} == {"then"}


def test_a_wrong_number_of_long_recordings_is_refused():
    pool = [recording(label, seconds=LONG) for label in tiny_recordings.LABELS]
    with pytest.raises(SoundjudgeError, match="short enough for a wrong number"):
        generators.sample_text_scene(pool, "count", rng())


def test_a_missing_event_leaves_the_others_in_their_order():
    scene = Scene((Event(DOG), Event(OWL, 2), Event(RAIN)), "while")
    assert outcomes(scene, "missing") == {
        Scene((Event(OWL, 2), Event(RAIN)), "while"),
        Scene((Event(DOG), Event(RAIN)), "while"),
        Scene((Event(DOG), Event(OWL, 2)), "while"),
    }


def test_an_extra_event_is_of_another_kind_and_stands_anywhere():
    scene = Scene((Event(DOG), Event(OWL)), "then")
    positions = set()
    for audio in outcomes(scene, "extra"):
        assert len(audio.events) == 3
        (extra,) = [i for i, label in enumerate(labels(audio)) if label not in ("dog", "owl")]
        assert tuple(event for i, event in enumerate(audio.events) if i != extra) == scene.events
        assert audio.relation == "then"
        positions.add(extra)
    assert positions == {0, 1, 2}


def test_a_wrong_event_stands_in_the_place_of_an_asked_one():
    scene = Scene((Event(DOG), Event(OWL)), "then")
    for audio in outcomes(scene, "wrong"):
        equal = [a == b for a, b in zip(audio.events, scene.events, strict=True)]
        assert sorted(equal) == [False, True]
        assert labels(audio)[equal.index(False)] not in ("dog", "owl")


def test_a_wrong_order_puts_the_first_event_last():
    two = Scene((Event(DOG, 2), Event(OWL)), "then")
    assert outcomes(two, "order") == {Scene((Event(OWL), Event(DOG, 2)), "then")}
    three = Scene((Event(DOG), Event(OWL), Event(RAIN)), "then")
    assert outcomes(three, "order") == {Scene((Event(OWL), Event(RAIN), Event(DOG)), "then")}


def test_a_wrong_number_changes_the_count_of_one_short_recording():
    long = recording("car", seconds=LONG)
    scene = Scene((Event(DOG, 2), Event(long)), "then")
    assert outcomes(scene, "count") == {
        Scene((Event(DOG, 1), Event(long)), "then"),
        Scene((Event(DOG, 3), Event(long)), "then"),
    }


def test_an_unrelated_scene_shares_no_label():
    scene = Scene((Event(DOG), Event(OWL)), "then")
    unrelated = outcomes(scene, "unrelated")
    assert {len(audio.events) for audio in unrelated} == {1, 2, 3}
    assert all(not {"dog", "owl"} & set(labels(audio)) for audio in unrelated)


def power(wave, low, high):
    """The power of (T,) between two frequencies."""
    spectrum = np.abs(np.fft.rfft(wave)) ** 2 / len(wave) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


def generator(**changes):
    values = {"model_id": "g", "faults": (1.0, 0, 0, 0, 0, 0, 0), "cutoff_hz": 4000.0}
    return Generator(**{**values, "noise_db": -200.0, **changes})


def test_a_generator_takes_away_what_lies_above_its_cutoff(tone):
    low, high = tone(500.0, seconds=1.0), tone(7000.0, seconds=1.0)
    filtered = generators.apply_channel((low + high) / 2, generator(), rng())
    assert filtered.dtype == np.float32
    assert filtered.shape == low.shape
    assert power(filtered, 450, 550) == pytest.approx(power(low / 2, 450, 550), rel=0.02)
    assert power(filtered, 6900, 7100) < 1e-3 * power(high / 2, 6900, 7100)


def test_a_generators_noise_lies_so_many_decibels_below_the_sound(tone):
    wave = tone(500.0, seconds=2.0)
    clean = generators.apply_channel(wave, generator(), rng())
    noisy = generators.apply_channel(wave, generator(noise_db=-20.0), rng())
    ratio = np.mean((noisy - clean) ** 2) / np.mean(clean**2)
    assert 10 * np.log10(ratio) == pytest.approx(-20.0, abs=0.3)


def test_a_generators_sound_stays_within_full_scale():
    square = np.sign(np.sin(np.arange(16000) / 20.0)).astype(np.float32)
    noisy = generators.apply_channel(square, generator(noise_db=0.0), rng())
    assert np.abs(noisy).max() == 1.0


def test_a_random_channel_changes_half_of_the_sounds(tone):
    wave = tone(440.0, seconds=0.1)
    sounds = [generators.apply_random_channel(wave, rng(seed)) for seed in range(200)]
    assert 70 <= sum(sound is wave for sound in sounds) <= 130
    assert all(sound.shape == wave.shape and sound.dtype == np.float32 for sound in sounds)
