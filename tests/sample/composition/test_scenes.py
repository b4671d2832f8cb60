"""Scenes: their random events, their captions and their sound."""

import csv

import numpy as np
import pytest
import tiny_recordings
from optional_packages import soundfile
from tiny_recordings import LONG, recording

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Event, Scene

DOG, OWL, RAIN = (recording(label) for label in ("dog", "owl", "rain"))
SEEDS = range(60)


def rng(seed=0):
    return np.random.default_rng(seed)


def captions(scene):
    """Every caption that a scene can get."""
    return {scenes.write_caption(scene, rng(seed)) for seed in SEEDS}


def test_recordings_are_read_with_what_the_manifest_says_of_them(tmp_path, tone):
    (tmp_path / "ogg").mkdir()
    soundfile.write(tmp_path / "ogg" / "rc7.ogg", tone(440.0, seconds=0.5), SAMPLE_RATE)
    (tmp_path / "manifest.csv").write_text(
        "clip_id,duration,caption,label,group,license\n"
        'rc7,0.5,"A dog barks, once",dog,pack/dog_1,CC0-1.0\n'
    )
    (one,) = scenes.load_recordings(tmp_path)
    assert (one.clip_id, one.caption, one.label, one.group) == (
        "rc7", "A dog barks, once", "dog", "pack/dog_1",
    )  # fmt: skip
    assert one.wave.dtype == np.float32
    assert len(one.wave) == pytest.approx(8000, abs=64)


def test_the_samples_manifest_and_its_sounds_belong_together():
    with (tiny_recordings.CLIPS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    files = {path.stem for path in (tiny_recordings.CLIPS / "ogg").iterdir()}
    assert [row["clip_id"] for row in rows] == sorted(files)
    assert all(row[key] for row in rows for key in ("caption", "label", "group", "license"))
    # Each group is one take of one thing: it can be dealt to one split.
    labels = {(row["group"], row["label"]) for row in rows}
    assert len(labels) == len({row["group"] for row in rows})


def test_a_recording_can_be_counted_up_to_1_2_seconds():
    assert recording("dog", seconds=1.2).countable
    assert not recording("dog", seconds=1.2001).countable


def test_a_scene_has_one_to_three_recordings_of_different_labels():
    pool = tiny_recordings.pool()
    samples = [scenes.sample_scene(pool, rng(seed)) for seed in SEEDS]
    assert {len(scene.events) for scene in samples} == {1, 2, 3}
    assert {scene.relation for scene in samples} == {"then", "while"}
    for scene in samples:
        labels = [event.recording.label for event in scene.events]
        assert len(set(labels)) == len(labels)


def test_the_number_of_events_and_the_relation_can_be_asked_for():
    pool = tiny_recordings.pool()
    for seed in SEEDS:
        scene = scenes.sample_scene(pool, rng(seed), events=(2,), relation="while")
        assert len(scene.events) == 2
        assert scene.relation == "while"


def test_only_short_recordings_are_heard_more_than_once():
    pool = tiny_recordings.pool()
    always = [scenes.sample_scene(pool, rng(seed), repeat_probability=1.0) for seed in SEEDS]
    events = [event for scene in always for event in scene.events]
    assert {event.count for event in events if event.recording.countable} == {2, 3}
    assert {event.count for event in events if not event.recording.countable} == {1}
    never = [scenes.sample_scene(pool, rng(seed), repeat_probability=0.0) for seed in SEEDS]
    assert {event.count for scene in never for event in scene.events} == {1}


def test_a_scene_of_more_events_than_labels_is_refused():
    with pytest.raises(SoundjudgeError, match="recordings of 2 labels make no scene of 3 events"):
        scenes.sample_scene([DOG, OWL, recording("dog", take=2)], rng(), events=(3,))


def test_the_same_seed_draws_the_same_scene():
    pool = tiny_recordings.pool()
    assert scenes.sample_scene(pool, rng(3)) == scenes.sample_scene(pool, rng(3))


@pytest.mark.parametrize(("count", "words"), [(1, ""), (2, " twice"), (3, " three times")])
def test_a_single_event_is_said_with_its_number(count, words):
    assert captions(Scene((Event(DOG, count),))) == {f"A dog sounds as take 1{words}"}


def test_a_sequence_is_said_in_its_order():
    assert captions(Scene((Event(DOG, 2), Event(OWL)), "then")) == {
        "A dog sounds as take 1 twice, then a owl sounds as take 1",
        "A dog sounds as take 1 twice, followed by a owl sounds as take 1",
        "A dog sounds as take 1 twice, and then a owl sounds as take 1",
    }


def test_what_sounds_together_is_said_in_either_order():
    dog, owl = "dog sounds as take 1", "owl sounds as take 1 twice"
    conjunctions = (" while ", " as ", " and at the same time ")
    assert captions(Scene((Event(DOG), Event(OWL, 2)), "while")) == {
        f"A {first}{conjunction}a {second}"
        for conjunction in conjunctions
        for first, second in ((dog, owl), (owl, dog))
    }


def test_three_events_are_said_with_two_joints():
    texts = captions(Scene((Event(DOG), Event(OWL), Event(RAIN)), "then"))
    conjunctions = (", then ", ", followed by ", ", and then ")
    assert texts == {
        f"A dog sounds as take 1{one}a owl sounds as take 1{two}a rain sounds as take 1"
        for one in conjunctions
        for two in conjunctions
    }


def test_a_sequence_sounds_in_its_order_with_its_numbers_and_gaps():
    scene = Scene((Event(DOG, 3), Event(OWL, 1), Event(RAIN, 2)), "then")
    for seed in SEEDS:
        wave, spans = scenes.render_scene(scene, rng(seed))
        assert [span.event.recording.label for span in spans] == ["dog"] * 3 + ["owl"] + [
            "rain"
        ] * 2
        assert [span.end - span.start for span in spans] == [8000] * 6
        assert 0 <= spans[0].start <= 0.2 * SAMPLE_RATE
        gaps = [later.start - span.end for span, later in zip(spans, spans[1:], strict=False)]
        within, between = [gaps[0], gaps[1], gaps[4]], [gaps[2], gaps[3]]
        assert within == [4000] * 3  # a quarter of a second
        assert all(0.1 * SAMPLE_RATE - 1 <= gap <= 0.3 * SAMPLE_RATE for gap in between)
        assert len(wave) == spans[-1].end


def test_what_sounds_together_starts_within_a_third_of_a_second():
    scene = Scene((Event(DOG), Event(recording("owl", seconds=LONG))), "while")
    for seed in SEEDS:
        wave, spans = scenes.render_scene(scene, rng(seed))
        assert all(span.start <= 0.3 * SAMPLE_RATE for span in spans)
        assert spans[0].end > spans[1].start
        assert len(wave) == max(span.end for span in spans)


def test_nothing_sounds_outside_the_spans():
    wave, spans = scenes.render_scene(Scene((Event(DOG, 2), Event(OWL)), "then"), rng())
    silent = np.ones(len(wave), bool)
    for span in spans:
        silent[span.start : span.end] = False
        assert np.abs(wave[span.start : span.end]).max() > 0.01
    assert silent.any()
    assert not wave[silent].any()


def test_a_long_recording_is_cropped():
    _, (span,) = scenes.render_scene(Scene((Event(recording("dog", seconds=LONG)),)), rng())
    assert span.end - span.start == 2.2 * SAMPLE_RATE


def test_loud_and_soft_recordings_enter_at_the_same_loudness():
    loud = recording("dog", seconds=1.0)
    soft = scenes.Recording(**{**vars(loud), "wave": loud.wave * 0.01})
    (one, _), (other, _) = (scenes.render_scene(Scene((Event(r),)), rng(1)) for r in (loud, soft))
    np.testing.assert_allclose(one, other, atol=1e-6)
    inside = one[one != 0][500:-500]  # without the fades
    assert 0.6 * 0.06 * 0.99 <= np.sqrt(np.mean(inside**2)) <= 0.06 * 1.01


def test_a_recording_is_faded_in_and_out():
    wave, (span,) = scenes.render_scene(Scene((Event(DOG),)), rng())
    levels = np.abs(wave[span.start : span.end])
    assert levels[0] == 0.0
    assert levels[-1] == 0.0
    assert levels[:40].max() < 0.3 * levels[1000:2000].max()


def test_a_scene_is_cut_at_8_seconds():
    long = [recording(label, seconds=1.2) for label in ("dog", "owl", "rain")]
    scene = Scene(tuple(Event(one, 3) for one in long), "then")  # 12 s and more
    wave, spans = scenes.render_scene(scene, rng())
    assert len(wave) == 8 * SAMPLE_RATE
    assert len(spans) < 9
    assert spans[-1].end == 8 * SAMPLE_RATE


def test_a_scene_never_clips():
    click = scenes.Recording(
        clip_id="c", caption="A click", label="click", group="c", wave=np.zeros(8000, np.float32)
    )
    click.wave[4000] = 1.0  # loudness .06 makes its peak 5
    wave, _ = scenes.render_scene(Scene((Event(click),)), rng())
    assert np.abs(wave).max() == pytest.approx(0.95)


def test_the_same_seed_renders_the_same_sound():
    scene = Scene((Event(recording("dog", seconds=LONG)), Event(OWL, 2)), "while")
    one, other = (scenes.render_scene(scene, rng(5))[0] for _ in range(2))
    assert one.tobytes() == other.tobytes()
