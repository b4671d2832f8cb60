"""The sample's corpora: the layouts of the downloads, and no leak between splits."""

import csv
import re
import wave
from dataclasses import replace

import numpy as np
import pytest
import tiny_recordings
from tiny_recordings import PANEL

from soundjudge.data.corpora import audiocaps, vggsound, xacle
from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import check_table
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import scenes, upstream
from soundjudge.sample.composition.generators import GENERATORS

PANELS = {"train": PANEL, "validation": PANEL, "test": replace(PANEL, ratings_per_pair=8)}
SPLITS = ("train", "validation", "test")
SIZES = (12, 6, 8)
POOL = tiny_recordings.pool(takes=12)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def build(folder, seed=1):
    """All three corpora below `folder`."""
    for name in ("audiocaps", "vggsound", "xacle"):
        (folder / name).mkdir(parents=True)
    upstream.write_audiocaps(POOL, (4, 2, 1), folder / "audiocaps", seed)
    upstream.write_vggsound(POOL, (3, 2), folder / "vggsound", seed)
    upstream.write_xacle(POOL, SIZES, PANELS, folder / "xacle", seed)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("corpora"))


def test_two_builds_are_the_same_to_the_byte(built, tmp_path):
    assert artifacts.sha256(build(tmp_path / "again")) == artifacts.sha256(built)
    assert artifacts.sha256(build(tmp_path / "other", seed=2)) != artifacts.sha256(built)


def test_every_sound_is_mono_16_bit_and_16_khz(built):
    sounds = list(built.rglob("*.wav"))
    assert len(sounds) == 4 + 2 + 1 + 3 + 2 + sum(SIZES)
    for path in sounds:
        with wave.open(str(path)) as sound:
            assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
            assert sound.getframerate() == 16_000
            assert 0 < sound.getnframes() <= 8 * 16_000


def test_every_corpus_says_that_it_is_made_up(built):
    for name in ("audiocaps", "vggsound", "xacle"):
        text = (built / name / "README.md").read_text(encoding="utf-8")
        assert "SIMULATED" in text
        assert "Ids are made up" in text


def test_audiocaps_lies_as_downloaded(built):
    folder = built / "audiocaps"
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "audio", "train.csv", "val.csv", "test.csv",
    }  # fmt: skip
    numbers = []
    for split, captions in (("train", 1), ("val", 5), ("test", 5)):
        header, *listed = rows(folder / f"{split}.csv")
        assert header == ["audiocap_id", "youtube_id", "start_time", "caption"]
        names = [f"{youtube_id}_{start}" for _, youtube_id, start, _ in listed]
        assert all(names.count(name) == captions for name in names)
        files = {path.name for path in (folder / "audio" / split).iterdir()}
        assert {f"{name}.wav" for name in names} == files
        numbers += [int(row[0]) for row in listed]
    assert numbers == list(range(4 + 5 * 2 + 5 * 1))


def test_vggsound_lies_as_downloaded(built):
    folder = built / "vggsound"
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "audio", "vggsound.csv", "VGGSound_AudioSetCaps_caption.csv",
    }  # fmt: skip
    listed = rows(folder / "vggsound.csv")  # no header
    assert [row[3] for row in listed] == ["train"] * 3 + ["test"] * 2
    assert {row[2] for row in listed} <= set(tiny_recordings.LABELS)
    names = [f"{youtube_id}_{int(start):06d}" for youtube_id, start, *_ in listed]
    assert {f"{name}.wav" for name in names} == {p.name for p in (folder / "audio").iterdir()}
    header, *captions = rows(folder / "VGGSound_AudioSetCaps_caption.csv")
    assert header == ["id", "caption"]
    assert [row[0] for row in captions] == names
    for (*_, label, _), (_, text) in zip(listed, captions, strict=True):
        assert text.startswith(f"A {label} sounds")  # one event


def test_made_up_ids_have_the_length_of_real_ones_and_none_comes_twice(built):
    ids = {row[1] for split in ("train", "val", "test")
           for row in rows(built / "audiocaps" / f"{split}.csv")[1:]}  # fmt: skip
    ids |= {row[0] for row in rows(built / "vggsound" / "vggsound.csv")}
    assert len(ids) == 4 + 2 + 1 + 3 + 2
    assert all(re.fullmatch(r"[\w-]{11}", one) for one in ids)


def test_xacle_lies_as_downloaded(built):
    folder = built / "xacle"
    assert {path.name for path in folder.iterdir()} == {"README.md", "meta_data", "wav"}
    assert {path.name for path in (folder / "meta_data").iterdir()} == {
        f"{split}{kind}.csv" for split in SPLITS for kind in ("", "_average")
    }
    number = 0
    for split, size in zip(SPLITS, SIZES, strict=True):
        header, *listed = rows(folder / "meta_data" / f"{split}.csv")
        assert header == ["wav_file_name", "text", "score", "listener_id", "model_id"]
        names = [f"{one:05d}.wav" for one in range(number, number + size)]
        number += size  # one count through all splits
        assert sorted({row[0] for row in listed}) == names
        assert sorted(path.name for path in (folder / "wav" / split).iterdir()) == names
        assert all(re.fullmatch(r"10|\d", row[2]) for row in listed)


def test_an_average_is_the_mean_of_its_ratings(built):
    for split, ratings in zip(SPLITS, (4, 4, 8), strict=True):
        folder = built / "xacle" / "meta_data"
        header, *average = rows(folder / f"{split}_average.csv")
        assert header == ["wav_file_name", "text", "average_score"]
        scores = {}
        for name, text, score, *_ in rows(folder / f"{split}.csv")[1:]:
            scores.setdefault((name, text), []).append(int(score))
        assert [(name, text) for name, text, _ in average] == list(scores)
        for name, text, mean in average:
            assert len(scores[name, text]) == ratings
            assert float(mean) == sum(scores[name, text]) / ratings


def test_our_own_readers_find_everything(built):
    readers = {"audiocaps": audiocaps.read_audiocaps, "vggsound": vggsound.read_vggsound}
    captioned = [read(built / name, 1000) for name, read in readers.items()]
    challenge = xacle.read_xacle(built / "xacle")
    for corpus in (*captioned, challenge.corpus):
        assert all(sound.path is not None for sound in corpus.sounds)
        assert not corpus.rejections
    assert [len(corpus.sounds) for corpus in captioned] == [7, 5]
    assert [len(corpus.captions) for corpus in captioned] == [4 + 10 + 5, 5]
    check_table(challenge.ratings, tables.RATINGS, "the sample")
    assert len(challenge.ratings) == 4 * 12 + 4 * 6 + 8 * 8
    assert challenge.ratings["model_id"].notna().all()


def test_no_listener_hears_two_splits(built):
    ratings = xacle.read_xacle(built / "xacle").ratings
    assert (ratings.groupby("listener_id")["split"].nunique() == 1).all()


@pytest.mark.slow
def test_test_has_generators_that_are_heard_nowhere_else(tmp_path):
    small = replace(PANEL, ratings_per_pair=1, ratings_per_listener=5)
    upstream.write_xacle(POOL, (60, 60, 60), dict.fromkeys(SPLITS, small), tmp_path, seed=1)
    ratings = xacle.read_xacle(tmp_path).ratings
    systems = {split: set(part["model_id"]) for split, part in ratings.groupby("split")}
    names = [one.model_id for one in GENERATORS]
    assert systems["train"] == systems["validation"] == set(names[:4])
    assert systems["test"] == set(names[2:])


def test_no_group_is_heard_or_described_in_two_splits(tmp_path, monkeypatch):
    rendered = []
    render = scenes.render_scene

    def record(scene, rng):
        rendered.append({event.recording.group for event in scene.events})
        return render(scene, rng)

    monkeypatch.setattr(scenes, "render_scene", record)
    upstream.write_xacle(POOL, SIZES, PANELS, tmp_path, seed=1)
    group_of = {one.caption.lower(): one.group for one in POOL}
    groups = {}
    for split, size in zip(SPLITS, SIZES, strict=True):
        groups[split] = set().union(*rendered[:size])
        del rendered[:size]
        for row in rows(tmp_path / "meta_data" / f"{split}.csv")[1:]:
            phrases = re.findall(r"a \w+ sounds as take \d+", row[1].lower())
            groups[split] |= {group_of[phrase] for phrase in phrases}
    assert not rendered
    assert all(len(of_split) > 3 for of_split in groups.values())
    assert not groups["train"] & groups["validation"]
    assert not groups["train"] & groups["test"]
    assert not groups["validation"] & groups["test"]


def manifest():
    """The sample's own recordings without their sound."""
    with (tiny_recordings.CLIPS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [
            scenes.Recording(
                wave=np.zeros(1, np.float32),
                **{key: row[key] for key in ("clip_id", "caption", "label", "group")},
            )
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("seed", range(5))
def test_the_real_groups_are_dealt_out_once_each_in_the_shares(seed):
    pool = manifest()
    split_of = upstream.split_groups(pool, np.random.default_rng(seed))
    assert set(split_of) == {one.group for one in pool}
    share = {split: sum(s == split for s in split_of.values()) / len(split_of) for split in SPLITS}
    for split, expected in zip(SPLITS, upstream.FRACTIONS, strict=True):
        assert share[split] == pytest.approx(expected, abs=0.08)


def test_a_label_with_many_groups_is_in_every_split():
    pool = manifest()
    split_of = upstream.split_groups(pool, np.random.default_rng(0))
    groups = {}
    for one in pool:
        groups.setdefault(one.label, set()).add(one.group)
    for of_label in groups.values():
        if len(of_label) >= 7:  # 1 / .15: at least one is in validation
            assert {split_of[group] for group in of_label} == set(SPLITS)


def test_the_deal_does_not_depend_on_the_order_of_the_recordings():
    pool = manifest()
    one, other = (upstream.split_groups(p, np.random.default_rng(3)) for p in (pool, pool[::-1]))
    assert one == other
